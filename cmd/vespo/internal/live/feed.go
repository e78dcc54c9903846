package live

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// Limits of a Feed.
const (
	maxEntries   = 100
	maxLogLines  = 50      // of one request
	maxTextBytes = 2 << 10 // of one text, such as a path or a log line, which may have several lines
)

// Entry is a request, with its log lines, or a log line of no request.
type Entry struct {
	Number  uint64    // from 1
	Time    time.Time // when the request began, or the line was logged
	Request *Request  // nil: the log line
	Log     []LogLine
}

// Request is a request that has ended.
type Request struct {
	ID      string
	Method  string
	URI     string
	Status  int // 0: no response was sent
	Outcome accesslog.Outcome
	Took    time.Duration
	Peak    int64  // bytes of the guest's memory; 0: there was none
	Body    int64  // bytes of the response's body
	Err     string // first line
}

// Failed reports whether the request was not answered as the service should.
func (r *Request) Failed() bool { return r.Status == 0 || r.Status >= 500 }

// LogLine is a line of the server's log, which the output of the service is a part of.
type LogLine struct {
	Level slog.Level
	Text  string
}

// Feed has the last requests and log lines. It is safe for concurrent use.
type Feed struct {
	mu      sync.Mutex
	last    uint64               // guarded by mu, like all below; number of the last entry
	entries []Entry              // the last maxEntries, oldest first
	early   map[string][]LogLine // of requests that have not ended, by id; at most maxEntries
	changed chan struct{}        // closed at the next change
}

// NewFeed returns a Feed without entries.
func NewFeed() *Feed {
	return &Feed{early: make(map[string][]LogLine), changed: make(chan struct{})}
}

// Last returns the number of the last entry, and a channel that is closed when the feed changes.
func (f *Feed) Last() (number uint64, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, f.changed
}

// Entries returns the last entries, newest first.
func (f *Feed) Entries() []Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	entries := slices.Clone(f.entries)
	for i := range entries {
		entries[i].Log = slices.Clone(entries[i].Log)
	}
	slices.Reverse(entries)
	return entries
}

// Listen is an accesslog.Listener.
func (f *Feed) Listen(rec *accesslog.Record) {
	request := &Request{
		ID:      strings.Clone(rec.RequestID),
		Method:  clean(rec.Method),
		URI:     clean(rec.URI),
		Status:  rec.Status,
		Outcome: rec.Outcome,
		Took:    rec.TTLB,
		Peak:    rec.PeakBytes,
		Body:    rec.BytesOut,
	}
	if rec.Err != nil {
		first, _, _ := strings.Cut(rec.Err.Error(), "\n") // a stack may follow, which the log has
		request.Err = clean(first)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := f.early[rec.RequestID]
	delete(f.early, rec.RequestID)
	f.addLocked(Entry{Time: rec.Time, Request: request, Log: lines})
}

// log adds a log line. id is that of its request; empty: it has none.
func (f *Feed) log(at time.Time, id string, line LogLine) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id == "" {
		f.addLocked(Entry{Time: at, Log: []LogLine{line}})
		return
	}
	for i := len(f.entries) - 1; i >= 0; i-- { // lines about a failure follow its request
		if r := f.entries[i].Request; r != nil && r.ID == id {
			if len(f.entries[i].Log) < maxLogLines {
				f.entries[i].Log = append(f.entries[i].Log, line)
				f.changedLocked()
			}
			return
		}
	}
	if lines, known := f.early[id]; known && len(lines) < maxLogLines || !known && len(f.early) < maxEntries {
		f.early[id] = append(lines, line)
	}
}

func (f *Feed) addLocked(e Entry) {
	f.last++
	e.Number = f.last
	if f.entries = append(f.entries, e); len(f.entries) > maxEntries {
		f.entries = slices.Delete(f.entries, 0, 1)
	}
	f.changedLocked()
}

func (f *Feed) changedLocked() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// clean makes a text fit for an entry, in memory of its own: it may be a part of a whole request or of a stack. Line ends and tabs stay.
func clean(s string) string {
	if len(s) > maxTextBytes {
		s = s[:maxTextBytes] + "..."
	}
	return strings.Clone(stdio.Printable(strings.TrimRight(s, "\r\n"), '\n', '\t'))
}

// LogHandler returns a handler that adds the records of next to the feed, too. It drops the server's own records below
// the level own from both: only the output of guests has all levels of next. Loggers do not repeat which service it is.
func (f *Feed) LogHandler(next slog.Handler, own slog.Level) slog.Handler {
	return &logHandler{next: next, feed: f, own: own}
}

// logHandler is the handler of a feed and of another log. Groups are ignored in the feed.
type logHandler struct {
	next slog.Handler // immutable, like all below
	feed *Feed
	own  slog.Level
	id   string // from an attribute of the logger
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *logHandler) Handle(ctx context.Context, rec slog.Record) error {
	id, line := h.id, ""
	var failed string
	rec.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case accesslog.FieldRequestID:
			id = a.Value.String()
		case accesslog.AttrLine:
			line = a.Value.String()
		case accesslog.FieldErr, "error":
			failed = ": " + a.Value.String()
		}
		return true
	})
	if line == "" { // not of a guest
		if rec.Level < h.own {
			return nil
		}
		line = rec.Message + failed
	}
	if rec.Message != accesslog.MessageFailed && rec.Message != accesslog.Message { // the request has the reason
		h.feed.log(rec.Time, id, LogLine{Level: rec.Level, Text: clean(line)})
	}
	return h.next.Handle(ctx, rec)
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	var kept []slog.Attr
	for _, a := range attrs {
		switch a.Key {
		case accesslog.FieldRequestID:
			with.id = a.Value.String()
		case accesslog.FieldService, accesslog.FieldVersion: // there is only one
			continue
		}
		kept = append(kept, a)
	}
	with.next = h.next.WithAttrs(kept)
	return &with
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	with := *h
	with.next = h.next.WithGroup(name)
	return &with
}
