package router

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/router/problem"
)

// Config is what a Router is made of. The zero Config is usable.
type Config struct {
	// Admin serves the requests under the reserved prefix; nil: they are answered 404. One that is a Handler too is called
	// as that, so that it has the record. The Router neither limits nor authorises these requests.
	Admin http.Handler
	// AccessLog is told of every request; nil: nobody is.
	AccessLog accesslog.Listener
	// Trust has the proxies that are believed about their clients; nil: none is.
	Trust *forwarded.Trust
	// MaxPathBytes bounds the escaped path; 0: DefaultMaxPathBytes. A longer one is answered 414.
	MaxPathBytes int
	// HeaderBytes bounds what open requests hold, headers above all; 0: nothing does. A request beyond it is answered 503.
	HeaderBytes int64
}

// DefaultMaxPathBytes is the bound of a path where Config has none.
const DefaultMaxPathBytes = 8 << 10

// notReadyRetry is when a client may come again that came before the first table.
const notReadyRetry = time.Second

// Router is the http.Handler of the public listener. Make it with New. It is safe for concurrent use and starts no
// goroutine.
type Router struct {
	admin        Handler            // immutable; nil if there is none
	accessLog    accesslog.Listener // immutable; nil if there is none
	trust        *forwarded.Trust   // immutable; may be nil
	maxPathBytes int                // immutable

	table   atomic.Pointer[Table] // nil before the first Publish
	leaving atomic.Bool           // set by Leave
	held    burden
}

// New makes a router without a table: it answers all services' requests 503 until the first Publish.
func New(c Config) *Router {
	rt := &Router{accessLog: c.AccessLog, trust: c.Trust, maxPathBytes: c.MaxPathBytes}
	rt.held.limit = c.HeaderBytes
	if rt.maxPathBytes <= 0 {
		rt.maxPathBytes = DefaultMaxPathBytes
	}
	if c.Admin != nil {
		rt.admin = adminHandler(c.Admin)
	}
	return rt
}

// Publish makes t the table of all requests that come from now on. Requests in flight keep the route that they have.
// Retire the routes that t does not have any more after this call, not before.
func (rt *Router) Publish(t *Table) { rt.table.Store(t) }

// Table is the table that was published last, nil before the first.
func (rt *Router) Table() *Table { return rt.table.Load() }

// ServeHTTP answers one request and tells the access log of it. It panics with http.ErrAbortHandler, which the HTTP
// server takes for the wish to close the connection, where an answer that has begun cannot be finished; by then all that
// the request held is released.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := newExchange(w, r, rt.trust.Client(r))
	x.writer.leaving = &rt.leaving
	held, err := rt.held.take(r)
	defer rt.held.give(held)
	rt.answer(x, err)
}

// Leave makes clients use no connection again: answers from now on say "Connection: close", which net/http turns into GOAWAY for HTTP/2.
// Requests are answered as before.
func (rt *Router) Leave() { rt.leaving.Store(true) }

// ServeService is ServeHTTP for a request that only the service with this prefix may answer: where a longer prefix matches the
// path, or none, the answer is 404. Services with a match are not called this way. Services call each other by it, and what one was
// granted does not reach further.
func (rt *Router) ServeService(prefix Prefix, w http.ResponseWriter, r *http.Request) {
	x := newExchange(w, r, (*forwarded.Trust)(nil).Client(r))
	x.only = prefix
	rt.answer(x, nil)
}

// answer serves the request, unless it is refused already, and answers what is still to be answered.
func (rt *Router) answer(x *exchange, err error) {
	if err == nil {
		err = rt.serve(x)
	}
	x.conclude(err)
	if rt.accessLog != nil {
		rt.accessLog(&x.record)
	}
	x.dropLeftover()
	if x.abort {
		panic(http.ErrAbortHandler)
	}
}

// serve finds who answers the request and lets it. The error is what is still to be answered.
func (rt *Router) serve(x *exchange) error {
	switch {
	case x.request.Method == http.MethodConnect:
		return problem.New(problem.NotImplemented, "this server is not a proxy; use another method than CONNECT")
	case x.request.Method == http.MethodOptions && x.request.URL.Path == "*":
		x.writer.WriteHeader(http.StatusNoContent)
		return nil
	}
	path := rawPath(x.request.URL)
	if len(path) > rt.maxPathBytes {
		return problem.Newf(problem.URITooLong, "the path is %d bytes long; use at most %d", len(path), rt.maxPathBytes)
	}
	if p := checkPath(path); p != nil {
		return p
	}
	if isReserved(path) && x.only == "" {
		return rt.serveAdmin(x)
	}
	return rt.serveRoute(x, path)
}

func (rt *Router) serveAdmin(x *exchange) error {
	x.record.Service = ReservedSegment
	if rt.admin == nil {
		return notFound()
	}
	return x.call(rt.admin)
}

// serveRoute serves by the route of the path. Where a version is still being prepared, the request waits for it and looks again. What the
// client claims about itself ends here; that another service calls, that service's request says.
func (rt *Router) serveRoute(x *exchange, path string) error {
	x.request = x.record.Client.Service(x.request, x.only != "")
	for {
		route, rest, err := rt.pinRoute(x, path)
		if err != nil {
			return err
		}
		rec := &x.record
		rec.Prefix, rec.Rest = string(route.Prefix), rest
		rec.Service, rec.Version, rec.Generation = route.Service, route.Version, route.Generation
		if route.Await == nil {
			return rt.serveBy(x, route)
		}
		if err := rt.await(x, route); err != nil {
			return err
		}
	}
}

// await waits until a pinned route is replaced, and unpins it.
func (rt *Router) await(x *exchange, route *Route) error {
	defer route.unpin()
	return route.Await(x.request.Context())
}

// serveBy waits for the turn of a request at a pinned route, calls the handler and unpins the route.
func (rt *Router) serveBy(x *exchange, route *Route) (err error) {
	defer route.unpin()
	if route.Limiter != nil {
		if err = x.awaitBody(route.Limiter); err != nil {
			return err
		}
		if err = x.admit(route.Limiter); err != nil {
			return err
		}
	}
	err = x.call(route.Handler)
	x.ended = time.Now()
	x.release(x.ended)
	return err
}

// pinRoute looks again where a route was retired between being found and being pinned, as long as there are newer tables.
func (rt *Router) pinRoute(x *exchange, path string) (*Route, string, error) {
	conditions := x.request
	if x.only != "" {
		conditions = nil
	}
	for t := rt.table.Load(); t != nil; {
		route, rest, ok := t.lookup(path, conditions, &x.found)
		if !ok || x.only != "" && x.only != route.Prefix {
			return nil, "", t.nothing()
		}
		if route.pin() {
			return route, rest, nil
		}
		newer := rt.table.Load()
		if newer == t { // retired while still published: its owner is on the way to publish
			break
		}
		t = newer
	}
	return nil, "", notReady()
}

// adminHandler lets an http.Handler be called like a service; one that is a Handler too gets the record.
func adminHandler(h http.Handler) Handler {
	if own, ok := h.(Handler); ok {
		return own
	}
	return HandlerFunc(func(w http.ResponseWriter, r *http.Request, _ *accesslog.Record) error {
		h.ServeHTTP(w, r)
		return nil
	})
}
