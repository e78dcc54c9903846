package journal

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/router/accesslog"
)

// fieldPrefix is the attribute by which the control plane names a service.
const fieldPrefix = "prefix"

// Handler returns a handler that passes records to next, and keeps those of level Info and above, or of the levels of
// next, that name a service.
func (j *Journal) Handler(next slog.Handler) slog.Handler { return &handler{next: next, journal: j} }

// handler adds records that name a service to a journal. Groups are ignored there.
type handler struct {
	next    slog.Handler // immutable, like all below
	journal *Journal
	seen    seen // in attributes of the logger
}

// seen is what the attributes of a record say.
type seen struct {
	service string
	id      string
	line    string // of a guest or function
	guest   bool
	rest    string // the other attributes
}

// add notes an attribute.
func (s *seen) add(a slog.Attr) {
	switch a.Key {
	case accesslog.FieldService, fieldPrefix:
		s.service = a.Value.Resolve().String()
	case accesslog.FieldRequestID:
		s.id = a.Value.String()
	case accesslog.AttrLine:
		s.line, s.guest = strings.TrimRight(a.Value.String(), "\r\n"), true
	case accesslog.FieldVersion, accesslog.FieldTraceID: // of no interest
	default:
		value := a.Value.Resolve().String()
		if strings.ContainsAny(value, " \"=\n") {
			value = strconv.Quote(value)
		}
		s.rest += " " + a.Key + "=" + value
	}
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, rec slog.Record) error {
	switch rec.Message {
	case accesslog.Message, accesslog.MessageFailed, accesslog.MessageScarce: // Listen has the request
	default:
		h.keep(rec)
	}
	if !h.next.Enabled(ctx, rec.Level) {
		return nil
	}
	return h.next.Handle(ctx, rec)
}

// keep adds a record to the journal if it names a service.
func (h *handler) keep(rec slog.Record) {
	s := h.seen
	rec.Attrs(func(a slog.Attr) bool {
		s.add(a)
		return true
	})
	if !strings.HasPrefix(s.service, "/") {
		return
	}
	e := Entry{Time: rec.Time, Level: rec.Level, Source: SourceHost, RequestID: s.id, Text: rec.Message + s.rest}
	if s.guest {
		e.Source, e.Text = SourceGuest, s.line
	}
	h.journal.add(s.service, e)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	for _, a := range attrs {
		with.seen.add(a)
	}
	with.next = h.next.WithAttrs(attrs)
	return &with
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	with := *h
	with.next = h.next.WithGroup(name)
	return &with
}
