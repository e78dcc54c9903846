package router

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/cache"
	"github.com/vespo-dev/vespo/router/ratelimit"
)

// Binding configures a Route. It must not be changed after NewRoute.
type Binding struct {
	Key        routekey.Key
	Service    string             // name for the access log and errors
	Version    string             // digest, for the access log
	Number     uint64             // of the version, for the access log
	Generation uint64             // for the access log
	Handler    Handler            // serves the requests
	Limiter    *admission.Limiter // shared by all versions of the service; nil: requests are not limited
	Rate       *ratelimit.Limiter // limit of the requests of clients; nil: none
	Cache      *cache.Cache       // of the answers of this version; nil: none is stored
	Passable   bool               // other hosts of the catalogue may pass requests on to this one
	Content    string             // digest of the version with its settings and secrets, by which those name it; not for logs

	// Await, if not nil, marks a version that is still being prepared. It is called instead
	// of the handler, with the request's context and outside of admission. After it returns
	// nil, the router looks the request up again in a newer table.
	Await func(ctx context.Context) error
}

// Route is a Binding with a count of the requests using it. Tables share routes: an
// unchanged service keeps its Route from one table to the next.
type Route struct {
	Binding // immutable

	split     *Split             // immutable; nil unless the route leads to others
	listener  accesslog.Listener // set before the route is published; may be nil
	pins      atomic.Int64       // number of requests, and the retired bit
	requests  atomic.Uint64      // ended ones
	errors    atomic.Uint64      // of these, failed ones
	drainOnce sync.Once          // closes drained
	drained   chan struct{}      // closed when the route is retired and unused
}

// retired is the bit of Route.pins that refuses further requests. The lower bits are the count.
const retired = int64(1) << 62

// NewRoute returns an unused route.
func NewRoute(b Binding) *Route {
	return &Route{Binding: b, drained: make(chan struct{})}
}

// Observe sets a listener of the records of the route's requests, which is called after that of the router. It must be called
// before the first table with the route is published, such as by Config.Follow.
func (r *Route) Observe(l accesslog.Listener) { r.listener = l }

// Retire makes the route refuse new requests. Call it after publishing a table without the route: a request
// that found it in the old table then looks again in the new one. It may be called more than once.
func (r *Route) Retire() {
	if r.pins.Or(retired) == 0 {
		r.closeDrained()
	}
}

// InUse returns the number of requests using the route, including those waiting for admission.
func (r *Route) InUse() int { return int(r.pins.Load() &^ retired) }

// RouteStats counts the requests of a route since NewRoute.
type RouteStats struct {
	InUse    int    // requests that use the route, including those that wait for admission
	Requests uint64 // ended requests
	Errors   uint64 // of these, those that were answered with a status of 500 or above, or broken off by the server
}

// Stats returns the current state.
func (r *Route) Stats() RouteStats {
	return RouteStats{InUse: r.InUse(), Errors: r.errors.Load(), Requests: r.requests.Load()}
}

// count counts a request that has ended.
func (r *Route) count(failed bool) {
	r.requests.Add(1)
	if failed {
		r.errors.Add(1)
	}
}

// Drained returns a channel that is closed when the route is retired and its last
// request is over. The handler is not called afterwards.
func (r *Route) Drained() <-chan struct{} { return r.drained }

// pin counts a request, unless the route is retired.
func (r *Route) pin() bool {
	if r.pins.Add(1)&retired == 0 {
		return true
	}
	r.unpin()
	return false
}

// unpin removes a request from the count. A failing pin can raise the count of a
// retired route above zero for a moment.
func (r *Route) unpin() {
	if r.pins.Add(-1) == retired {
		r.closeDrained()
	}
}

func (r *Route) closeDrained() {
	r.drainOnce.Do(func() { close(r.drained) })
}
