package forwarded

import (
	"context"
	"net/http"
	"strings"

	"github.com/vespo-dev/vespo/internal/span"
)

// The fields of W3C Trace Context, which name the trace of a request: the requests of all servers that one
// request of a client has caused.
const (
	TraceParent = span.ParentField
	TraceState  = span.StateField // means nothing without a valid TraceParent
)

// The parts of a traceparent: version, trace id, parent id and flags, in lower-case hexadecimal digits.
const (
	traceIDStart = len("00-")
	traceIDEnd   = traceIDStart + 32
	parentStart  = traceIDEnd + len("-")
	parentEnd    = parentStart + 16
	flagsStart   = parentEnd + len("-")
	flagsEnd     = flagsStart + 2
)

// TraceID returns the trace id of a valid traceparent: 32 lower-case hexadecimal digits, not all 0. It is empty
// if there is no such field, more than one, or a malformed one. A version after 00 may have further parts, and
// ff is not a version (https://www.w3.org/TR/trace-context-2/#traceparent-header).
//
// Any client may send it. It is fit for logs, but it is no proof of anything.
func TraceID(h http.Header) string {
	values := h[TraceParent]
	if len(values) != 1 || len(values[0]) < flagsEnd {
		return ""
	}
	v := values[0]
	version, trace, parent, flags := v[:2], v[traceIDStart:traceIDEnd], v[parentStart:parentEnd], v[flagsStart:flagsEnd]
	switch {
	case version == "ff", version == "00" && len(v) != flagsEnd, len(v) > flagsEnd && v[flagsEnd] != '-':
		return ""
	case v[2] != '-', v[traceIDEnd] != '-', v[parentEnd] != '-':
		return ""
	case !lowerHex(version), !lowerHex(trace), !lowerHex(parent), !lowerHex(flags), allZero(trace), allZero(parent):
		return ""
	}
	return trace
}

func lowerHex(text string) bool { return strings.Trim(text, "0123456789abcdef") == "" }

func allZero(text string) bool { return strings.Trim(text, "0") == "" }

// requestID returns the X-Request-Id set by a proxy, or an empty string if it is not fit to be kept.
func requestID(h http.Header) string {
	if ids := h["X-Request-Id"]; len(ids) == 1 && validID(ids[0]) {
		return ids[0]
	}
	return ""
}

// validID reports whether id needs no escaping in logs, headers and JSON.
func validID(id string) bool {
	return id != "" && len(id) <= maxIDBytes && !strings.ContainsFunc(id, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._~:/+=@", r))
	})
}

type idKey struct{}

// WithID returns a context for a request within the server that continues a request with this id. No client can
// set it, unlike a field of the header.
func WithID(ctx context.Context, id string) context.Context {
	if !validID(id) {
		return ctx
	}
	return context.WithValue(ctx, idKey{}, id)
}

// Internal returns the client of a request within the server, which has the id of WithID.
func Internal(r *http.Request) Client {
	c := (*Trust)(nil).Client(r)
	c.ID, _ = r.Context().Value(idKey{}).(string)
	return c
}
