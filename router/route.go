package router

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
)

// Handler serves the requests of one version of a service.
//
// The record carries what matched (Prefix, Rest) in, and what became of the request out. An error that is not yet
// answered becomes a problem answer, by problem.From; if the answer has begun, the connection is aborted instead. Once
// Serve has returned, neither of its arguments may be used.
type Handler interface {
	Serve(w http.ResponseWriter, r *http.Request, rec *accesslog.Record) error
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(w http.ResponseWriter, r *http.Request, rec *accesslog.Record) error

// Serve calls f.
func (f HandlerFunc) Serve(w http.ResponseWriter, r *http.Request, rec *accesslog.Record) error {
	return f(w, r, rec)
}

// Binding says what a prefix is bound to. It is immutable once a Route is made of it.
type Binding struct {
	Prefix     Prefix
	Match      Match              // what a request must have beside the prefix; the zero Match is nothing
	Service    string             // name for the access log and errors
	Version    string             // digest, for the access log
	Generation uint64             // for the access log
	Handler    Handler            // serves the requests
	Limiter    *admission.Limiter // shared by all versions of the service; nil: requests are not limited

	// Await, if it is not nil, stands for a version that is still being prepared: instead of the handler, it is called with the
	// request's context, outside of admission. When it returns nil, a newer table leads elsewhere, and the request looks there.
	Await func(ctx context.Context) error
}

// Key is what the binding is found by.
func (b *Binding) Key() Key { return Key{Prefix: b.Prefix, Match: b.Match} }

// Route is a binding with a count of the requests that are using it. Tables share it: a service that does not change keeps
// its Route from one table to the next.
type Route struct {
	Binding // immutable

	pins      atomic.Int64  // requests, and the retired bit
	drainOnce sync.Once     // closes drained
	drained   chan struct{} // closed when retired and unused
}

// retired is the bit of Route.pins that says that no further request may begin. The bits below it are the count.
const retired = int64(1) << 62

// NewRoute makes a route that no request uses yet.
func NewRoute(b Binding) *Route {
	return &Route{Binding: b, drained: make(chan struct{})}
}

// Retire makes the route refuse requests that come from now on. Call it after a table without the route has been
// published; a request that had found the route in the old table then looks again in the new one. It may be called
// more than once.
func (r *Route) Retire() {
	if r.pins.Or(retired) == 0 {
		r.closeDrained()
	}
}

// InUse returns the number of requests that have the route, those that wait for admission included.
func (r *Route) InUse() int { return int(r.pins.Load() &^ retired) }

// Drained is closed when the route is retired and its last request is over: nothing calls its handler any more.
func (r *Route) Drained() <-chan struct{} { return r.drained }

// pin counts a request in, unless the route is retired.
func (r *Route) pin() bool {
	if r.pins.Add(1)&retired == 0 {
		return true
	}
	r.unpin()
	return false
}

// unpin counts a request out. The count of a retired route may rise above zero again for a moment, by a pin that fails.
func (r *Route) unpin() {
	if r.pins.Add(-1) == retired {
		r.closeDrained()
	}
}

func (r *Route) closeDrained() {
	r.drainOnce.Do(func() { close(r.drained) })
}
