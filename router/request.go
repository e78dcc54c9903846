package router

import (
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// Request is a request for a handler: the HTTP request, and what the router has decided about it.
type Request struct {
	*http.Request

	// ID identifies the request in logs, problems, the header for services and upstreams, and the response: 16
	// hexadecimal digits, or the X-Request-Id of a trusted proxy. A request of one service to another has the ID
	// of the request that it serves.
	ID string
	// TraceID is the trace id of the valid traceparent, 32 hexadecimal digits, or empty. It is the client's, or that of
	// a trace that the server has begun.
	TraceID  string
	Span     *span.Span       // of the request, or of the part that the handler serves; nil if it is not traced
	Client   forwarded.Client // accepted claims about the client
	Prefix   string           // canonical prefix of the matched service, such as "/test"
	Rest     string           // escaped path after the prefix: "" or beginning with "/"
	Arrived  time.Time        // when the request's header had been read, with a monotonic reading
	Admitted time.Time        // when the service's time limit starts; waits before admission do not count
	Mirrored bool             // a copy whose response is dropped: the handler must have no effects
	Passed   bool             // another host of the catalogue has passed the request on
	Call     any              // as given to Dispatch, such as an *invocation.Call; nil for requests of the listener

	exchange *exchange // nil in tests of handlers
}

// Keep lets work for the request go on after its handler has returned, and its response is complete: the request's place in
// the admission, and its use of the version, last until release is called. The handler must call Keep at most once, before it
// returns, and release once.
func (r *Request) Keep() (release func()) {
	x := r.exchange
	if x == nil {
		return func() {}
	}
	x.kept = true
	return func() {
		x.release(time.Now())
		x.route.unpin()
	}
}

// Spent promises that once Serve has returned, no goroutine uses the request, the writer of its response or what belongs to
// them. They may serve another request then. A handler that calls it must have joined all that it has started. A copy
// promises nothing: it is that of a handler behind another one.
func (r *Request) Spent() {
	if x := r.exchange; x != nil && r == &x.request {
		x.spent = true
	}
}

// With returns a copy of r with another HTTP request, such as one with another context or body.
func (r *Request) With(changed *http.Request) *Request {
	own := *r
	own.Request = changed
	return &own
}

// Traced returns a copy of r with a child of its span, which the trace context of the header names from then on; r itself
// if the request is not traced. The caller ends the span.
func (r *Request) Traced(kind span.Kind, name string) *Request {
	if r.Span == nil {
		return r
	}
	own := *r
	own.Span = r.Span.Child(kind, name)
	own.Span.Inject(own.Header)
	return &own
}

// Handler serves the requests of one version of a service.
//
// The handler writes the outcome and the costs of the request to res. If Serve returns an error before a
// status was sent, problem.From makes the response for a client, and a caller within the server gets the error
// itself; afterwards the connection is aborted. The arguments must not be used after Serve has returned.
type Handler interface {
	Serve(w http.ResponseWriter, r *Request, res *accesslog.Result) error
}

// HandlerFunc adapts a function to Handler.
type HandlerFunc func(w http.ResponseWriter, r *Request, res *accesslog.Result) error

// Serve calls f.
func (f HandlerFunc) Serve(w http.ResponseWriter, r *Request, res *accesslog.Result) error {
	return f(w, r, res)
}
