// Package span describes the spans of traced requests, for the code that serves them. It knows no exporter.
//
// Requests that are not sampled have a nil *Span. All methods of a nil *Span do nothing, so that callers need not
// distinguish the cases.
//
// # Concurrency
//
// A Span is safe for concurrent use, as far as its Recorder is.
package span

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The fields of W3C Trace Context.
const (
	ParentField = "Traceparent"
	StateField  = "Tracestate"
)

// Kind is the role of a span in its trace.
type Kind uint8

// The kinds of spans.
const (
	Internal Kind = iota
	Server        // a request that the server serves
	Client        // a request that the server makes, or hands to a worker
)

// Tracer begins the spans of requests. It is safe for concurrent use.
type Tracer interface {
	// Begin starts the span of a request that arrived at a time. The parent is the valid trace context of the header, if
	// there is one. Begin changes the header so that services continue the trace with the span as their parent. It
	// returns nil if the request is not sampled.
	Begin(header http.Header, arrived time.Time) *Span
}

// Recorder is a span of an implementation. The methods have the meaning of those of Span.
type Recorder interface {
	Child(kind Kind, name string, start time.Time) Recorder
	Rename(name string)
	Text(key, value string)
	Number(key string, value int64)
	Seconds(key string, d time.Duration)
	Fail(reason string)
	End(at time.Time)
	Context() (parent, state string) // values of ParentField and StateField that name the span; state may be empty
}

// Span is one timed operation of a sampled request. It is nil if there is nothing to record.
type Span struct {
	recorder Recorder // immutable
}

// New returns a span that records to r.
func New(r Recorder) *Span { return &Span{r} }

// Child starts a span within s. The caller must end it.
func (s *Span) Child(kind Kind, name string) *Span { return s.ChildAt(kind, name, time.Now()) }

// ChildAt is Child with the start of the span.
func (s *Span) ChildAt(kind Kind, name string, start time.Time) *Span {
	if s == nil {
		return nil
	}
	return New(s.recorder.Child(kind, name, start))
}

// Rename replaces the name.
func (s *Span) Rename(name string) {
	if s != nil {
		s.recorder.Rename(name)
	}
}

// Text sets an attribute, unless the value is empty.
func (s *Span) Text(key, value string) {
	if s != nil && value != "" {
		s.recorder.Text(key, value)
	}
}

// Number sets an attribute, unless the value is 0.
func (s *Span) Number(key string, value int64) {
	if s != nil && value != 0 {
		s.recorder.Number(key, value)
	}
}

// Seconds sets an attribute in seconds, unless the value is 0.
func (s *Span) Seconds(key string, d time.Duration) {
	if s != nil && d != 0 {
		s.recorder.Seconds(key, d)
	}
}

// Address sets the attributes of the server that a request is sent to: HOST or HOST:PORT.
func (s *Span) Address(hostport string) {
	if s == nil {
		return
	}
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		s.Text("server.address", strings.Trim(hostport, "[]"))
		return
	}
	s.Text("server.address", host)
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		s.Number("server.port", int64(n))
	}
}

// Status sets the status of the response that a client got. A span of a client has failed from status 400 on.
func (s *Span) Status(status int) {
	if s == nil {
		return
	}
	s.Number("http.response.status_code", int64(status))
	if status >= http.StatusBadRequest {
		s.Fail(strconv.Itoa(status))
	}
}

// Fail marks the operation as failed. The reason is a short text from a fixed set.
func (s *Span) Fail(reason string) {
	if s != nil {
		s.recorder.Fail(reason)
	}
}

// End ends the span. Further calls have no effect.
func (s *Span) End() { s.EndAt(time.Now()) }

// EndAt is End with the time of the end.
func (s *Span) EndAt(at time.Time) {
	if s != nil {
		s.recorder.End(at)
	}
}

// Inject sets the trace context of h to s.
func (s *Span) Inject(h http.Header) {
	if s == nil {
		return
	}
	parent, state := s.recorder.Context()
	h[ParentField] = []string{parent}
	if delete(h, StateField); state != "" {
		h[StateField] = []string{state}
	}
}

// Replace sets the trace context of h to s if it names parent. A context that a guest or a rule has chosen stays.
func (s *Span) Replace(parent *Span, h http.Header) {
	if s.Names(parent, h) {
		s.Inject(h)
	}
}

// Names reports whether s records, and the trace context of h names parent.
func (s *Span) Names(parent *Span, h http.Header) bool {
	if s == nil || parent == nil {
		return false
	}
	named, _ := parent.recorder.Context()
	return slices.Equal(h[ParentField], []string{named})
}

// methods are the methods of RFC 9110 and RFC 5789. Clients can send any other text.
var methods = [...]string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete,
	http.MethodConnect, http.MethodOptions, http.MethodTrace, http.MethodPatch,
}

// Method returns a method for the name of a span and for the attribute http.request.method. Unknown ones are "HTTP" and
// "_OTHER", so that no client chooses the name of a span.
func Method(method string) (name, attribute string) {
	if slices.Contains(methods[:], method) {
		return method, method
	}
	return "HTTP", "_OTHER"
}
