package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/control/identity"
	"github.com/vespo-dev/vespo/services/observe/journal"
	"github.com/vespo-dev/vespo/services/schema"
)

// Names of the fields of requests for logs.
const (
	fieldID     = "id"
	fieldLevel  = "level"
	fieldSince  = "since"
	fieldFailed = "failed"
	fieldFollow = "follow"
)

// Limits of requests for logs.
const (
	defaultLines = 1000
	maxLines     = 10000
	heartbeat    = 15 * time.Second // between two signs of life on a silent stream
	maxIDBytes   = 255
)

// Logs has the logs of services; *journal.Journal implements it.
type Logs interface {
	Read(ctx context.Context, f journal.Filter, limit int) (lines []journal.Line, more bool, err error)
	Follow(f journal.Filter) *journal.Follower
}

// logFields describes the fields of a request for logs.
func logFields() []schema.Field {
	return append(fields.KeyFields(),
		schema.Field{Name: fieldID, Type: schema.Text},
		schema.Field{Name: fieldLevel, Type: schema.Text},
		schema.Field{Name: fieldSince, Type: schema.Text},
		schema.Field{Name: fieldFailed, Type: schema.Bool},
		schema.Field{Name: fieldFollow, Type: schema.Bool},
		schema.Field{Name: fieldLimit, Type: schema.Count},
	)
}

// logs streams the entries of one service or of all as server-sent events.
func (h *Handler) logs(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	if h.cfg.Logs == nil {
		return problem.New(problem.NotFound, "this server keeps no logs: --log-size is 0")
	}
	in := bodilessFields(r, logFields()...)
	filter, limit := logFilter(in, r)
	follow := in.Bool(fieldFollow)
	all, err := entriesOf(d, r, in)
	if err != nil {
		return err
	}
	if in.Has(fields.Prefix) {
		name := all[0].Service.Key.String()
		filter.Service = func(other string) bool { return other == name }
	} else {
		filter.Service = func(other string) bool { return mayRead(r, routekey.Stored(other)) }
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodHead {
		return nil
	}
	if to, ok := w.(*client.Writer); ok {
		to.Paced()
	}
	client.ConnOf(w).Received()
	s := &logStream{w: w, logs: h.cfg.Logs, owner: !identity.Of(r.Context()).Scopes.ReadAll()}
	return s.serve(r.Context(), filter, limit, follow)
}

// logFilter returns the filter of a request, without its services. Violations are added to in.
func logFilter(in *fields.Input, r *http.Request) (f journal.Filter, limit int) {
	f.RequestID, f.Failed, f.Level = in.Text(fieldID), in.Bool(fieldFailed), slog.LevelDebug
	if len(f.RequestID) > maxIDBytes {
		in.Violate(fieldID, "is %d bytes long: a request id has at most %d", len(f.RequestID), maxIDBytes)
	}
	if text := in.Text(fieldLevel); text != "" && f.Level.UnmarshalText([]byte(text)) != nil {
		in.Violate(fieldLevel, "is %.50q: use debug, info, warn or error", text)
	}
	if in.Text(fieldSince) != "" {
		f.Since = in.Time(fieldSince, time.Now())
	}
	if text := r.Header.Get("Last-Event-ID"); text != "" {
		f.After, _ = strconv.ParseUint(text, 10, 64) // another server's id is as good as none
	}
	limit = defaultLines
	if n, ok := in.Value(fieldLimit).(int64); ok {
		if limit = int(n); limit > maxLines {
			in.Violate(fieldLimit, "is %d: it must be at most %d", limit, maxLines)
		}
	}
	return f, limit
}

// logStream is a response to a request for logs.
type logStream struct {
	w     http.ResponseWriter
	logs  Logs
	owner bool // the client may see its services alone, and not the host
}

// serve sends the entries that are there, and then, if asked to follow, those that come.
func (s *logStream) serve(ctx context.Context, filter journal.Filter, limit int, follow bool) error {
	var follower *journal.Follower
	if follow {
		follower = s.logs.Follow(filter)
		defer follower.Close()
		filter.Until = follower.Begin
	}
	if filter.Until == 0 || filter.Until > filter.After {
		lines, more, err := s.logs.Read(ctx, filter, limit)
		if err != nil {
			return err
		}
		if more {
			s.event("more", `{"detail":"there are earlier entries, which are left out"}`)
		}
		s.send(lines)
	}
	if !follow {
		s.event("end", "{}")
		return s.flush()
	}
	if err := s.flush(); err != nil {
		return err
	}
	return s.follow(ctx, follower)
}

// follow sends entries as they come, until the client leaves, is too slow, or the server is about to stop.
func (s *logStream) follow(ctx context.Context, follower *journal.Follower) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
			_, _ = fmt.Fprint(s.w, ": still here\n\n") // flush returns the error
		case <-follower.Ready():
		}
		lines, end := follower.Take()
		s.send(lines)
		switch end {
		case journal.TooSlow:
			s.event("slow", `{"detail":"the client took entries too slowly: go on with Last-Event-ID"}`)
		case journal.Stopped:
			s.event("end", "{}")
		}
		if err := s.flush(); err != nil || end != journal.NotYet {
			return err
		}
	}
}

// send writes an event for each entry. Its id is the number of the entry.
func (s *logStream) send(lines []journal.Line) {
	for _, l := range lines {
		if s.owner {
			l.JSON = journal.ForOwner(l.JSON)
		}
		_, _ = fmt.Fprintf(s.w, "id: %d\ndata: %s\n\n", l.N, l.JSON) // flush returns the error
	}
}

// event writes an event that is no entry.
func (s *logStream) event(name, data string) {
	_, _ = fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", name, data)
}

// flush sends the events, and returns the first error of a write.
func (s *logStream) flush() error {
	if err := client.ConnOf(s.w).Flush(); err != nil {
		return fmt.Errorf("%w: %w", http.ErrAbortHandler, err)
	}
	if to, ok := s.w.(*client.Writer); ok && to.Err() != nil {
		return to.Failure()
	}
	return nil
}
