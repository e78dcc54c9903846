package router

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// Config configures a Router. The zero Config is valid.
type Config struct {
	// Admin serves the requests under routekey.ReservedSegment; nil: they are answered 404. If it implements Handler,
	// that method is called. The Router neither limits nor authorises these requests.
	Admin http.Handler
	// AdminOnly makes every path one of Admin. The router has no table then.
	AdminOnly bool
	// AccessLog is called with the record of every request; nil: records are dropped.
	AccessLog accesslog.Listener
	// Unserved is called with the record of every request that no route has, such as those of Admin; nil: no call.
	Unserved accesslog.Listener
	// MayReport decides who gets the report of a request's costs; nil: no client.
	MayReport MayReport
	// WorkUnit is the version of the unit of work in reports.
	WorkUnit int
	// Follow is called with each table before it is published; nil: no call. It must be quick. It may
	// set the listeners of routes (Route.Observe).
	Follow func(*Table)
	// Tracer begins the spans of requests for services; nil: no request is traced.
	Tracer span.Tracer
	// Trust lists the trusted proxies, whose claims about their clients are accepted; nil: none.
	Trust *forwarded.Trust
	// MaxPathBytes is the maximum length of the escaped path; 0: DefaultMaxPathBytes.
	// Longer paths are answered 414.
	MaxPathBytes int
	// HeaderBytes limits the memory that open requests hold, mainly headers; 0: no limit.
	// Requests beyond it are answered 503. If it is large, requests are refused up to a sixteenth earlier.
	HeaderBytes int64
	// StrictTransport is the value of Strict-Transport-Security in responses over TLS
	// whose service does not set it; "": none.
	StrictTransport string
}

// DefaultMaxPathBytes is the default of Config.MaxPathBytes.
const DefaultMaxPathBytes = 8 << 10

// notReadyRetry is the Retry-After of requests that come before the first table.
const notReadyRetry = time.Second

// Router is the http.Handler of the public listener. Create it with New. It is safe for
// concurrent use and starts no goroutines.
type Router struct {
	admin        Handler            // immutable; nil if there is none
	adminOnly    bool               // immutable
	accessLog    accesslog.Listener // immutable; nil if there is none
	unserved     accesslog.Listener // immutable; nil if there is none
	tracer       span.Tracer        // immutable; nil if there is none
	trust        *forwarded.Trust   // immutable; may be nil
	maxPathBytes int                // immutable
	strict       []string           // immutable; Config.StrictTransport; nil if there is none
	follow       func(*Table)       // immutable; may be nil
	mayReport    MayReport          // immutable; nil: no client gets reports
	workUnit     int                // immutable
	headerBytes  int64              // immutable; Config.HeaderBytes

	table   atomic.Pointer[Table] // nil before the first Publish
	leaving atomic.Bool           // set by Leave
	spent   sync.Pool             // of *exchange, which no goroutine uses
	held    burden
}

// New returns a router without a table. It answers requests for services with 503 until the first Publish.
func New(c Config) *Router {
	rt := &Router{
		adminOnly:    c.AdminOnly,
		accessLog:    c.AccessLog,
		unserved:     c.Unserved,
		tracer:       c.Tracer,
		trust:        c.Trust,
		maxPathBytes: c.MaxPathBytes,
		follow:       c.Follow,
	}
	rt.headerBytes = c.HeaderBytes
	rt.held.limitTo(c.HeaderBytes)
	rt.mayReport, rt.workUnit = c.MayReport, c.WorkUnit
	if rt.maxPathBytes <= 0 {
		rt.maxPathBytes = DefaultMaxPathBytes
	}
	if c.StrictTransport != "" {
		rt.strict = []string{c.StrictTransport}
	}
	if c.Admin != nil {
		rt.admin = adminHandler(c.Admin)
	}
	return rt
}

// Stats describes what the open requests of a router hold.
type Stats struct {
	HeldBytes  int64  // estimated memory, mainly headers; 0 without a limit
	LimitBytes int64  // Config.HeaderBytes
	Refused    uint64 // requests beyond the limit since New
}

// Stats returns the current state.
func (rt *Router) Stats() Stats {
	return Stats{HeldBytes: rt.held.sum(), LimitBytes: rt.headerBytes, Refused: rt.held.refused.Load()}
}

// Publish makes t the table of all subsequent requests. Requests in flight keep their
// route. Call it before retiring the routes that are missing in t.
func (rt *Router) Publish(t *Table) {
	if rt.follow != nil {
		rt.follow(t)
	}
	rt.table.Store(t)
}

// Table returns the table published last, nil before the first Publish.
func (rt *Router) Table() *Table { return rt.table.Load() }

// ServeHTTP answers a request and passes its record to the access log. If a response
// cannot be completed, it panics with http.ErrAbortHandler, which makes net/http close
// the connection. All capacity is released before that.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := rt.take(w, r)
	x.writer.leaving, x.writer.report = &rt.leaving, takeReport(r)
	if r.TLS != nil {
		x.writer.strict = rt.strict
	}
	rt.respond(x, w, r)
}

// respond answers a request of a listener.
func (rt *Router) respond(x *exchange, w http.ResponseWriter, r *http.Request) {
	held, err := rt.held.take(r)
	rt.respondWith(x, w, held, err)
}

// respondWith is respond for a request that is counted in rt.held, or refused with err.
func (rt *Router) respondWith(x *exchange, w http.ResponseWriter, held load, err error) {
	defer rt.held.give(held)
	if rt.answer(x, err); x.abort {
		panic(http.ErrAbortHandler)
	}
	rt.give(x, w)
}

// Leave makes clients close their connections: subsequent responses have "Connection:
// close", which net/http turns into GOAWAY for HTTP/2. Requests are still served.
func (rt *Router) Leave() { rt.leaving.Store(true) }

// Dispatch serves a request of this server itself, which only the service with this prefix may answer. The
// request fails if its path has no match or matches a longer prefix; services with a match are ignored.
// Services call each other in this way, and a permission to call one service must not extend to others. The
// handler gets call as Request.Call, and the request has the id of forwarded.WithID.
//
// The error is that of the handler or the router, not rendered: the caller decides how to report it. It matches
// http.ErrAbortHandler if the response has broken off; otherwise nothing was written to w. In both cases the
// header of w has the request id.
func (rt *Router) Dispatch(prefix routekey.Prefix, w http.ResponseWriter, r *http.Request, call any) error {
	x := newExchange(w, r, forwarded.Internal(r))
	x.only, x.request.Call = prefix, call
	return rt.dispatch(x)
}

// Own describes a request of the server itself for one of its services.
type Own struct {
	Key    routekey.Key // of the service
	Header http.Header  // fields in which only the server itself is believed; their names are canonical
	Call   any          // for Request.Call
}

// DispatchOwn serves a request of the server itself, in the way of Dispatch. The service with the key serves it: its
// match does not have to hold, and services with longer prefixes are ignored. The path of the request has to begin
// with the prefix.
func (rt *Router) DispatchOwn(own Own, w http.ResponseWriter, r *http.Request) error {
	x := newExchange(w, r, forwarded.Internal(r))
	x.only, x.own, x.request.Call = own.Key.Prefix, &own, own.Call
	return rt.dispatch(x)
}

// dispatch serves a request of the server itself.
func (rt *Router) dispatch(x *exchange) error {
	err := rt.answer(x, nil)
	if x.abort && !errors.Is(err, http.ErrAbortHandler) {
		return fmt.Errorf("%w: %w", http.ErrAbortHandler, err)
	}
	return err
}

// answer serves the request, unless err already refuses it, and completes the response and the record. It
// returns the error of the request.
func (rt *Router) answer(x *exchange, err error) error {
	if err == nil {
		err = rt.serve(x)
	}
	x.conclude(err)
	x.endCaching(err == nil && !x.abort)
	x.count()
	if !x.abort {
		x.writer.sendReport(&x.record, rt.workUnit)
	}
	x.endSpan()
	rt.publish(x)
	x.finishCopy()
	x.dropLeftover()
	return err
}

// publish passes the record to its listeners.
func (rt *Router) publish(x *exchange) {
	if rt.accessLog != nil {
		rt.accessLog(&x.record)
	}
	listener := rt.unserved
	if x.named != nil {
		listener = x.named.listener
	}
	if listener != nil {
		listener(&x.record)
	}
}

// serve dispatches the request. A returned error has not been answered yet.
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
	if (rt.adminOnly || isReserved(path)) && x.only == "" {
		return rt.serveAdmin(x)
	}
	return rt.serveRoute(x, path)
}

func (rt *Router) serveAdmin(x *exchange) error {
	x.record.Service, x.request.Admitted = routekey.ReservedSegment, x.request.Arrived
	dropReport(x.request.Header) // a token may come alone
	if rt.admin == nil {
		return notFound()
	}
	return x.call(rt.admin)
}

// serveRoute serves the request by the route of its path. If that version is still
// being prepared, the request waits and is looked up again. It removes the client's
// claims about itself, and adds the request's id; the claim of a calling service stays.
func (rt *Router) serveRoute(x *exchange, path string) error {
	x.request.Request = x.request.Client.Service(x.request.Request, x.only != "")
	x.identify()
	if rt.tracer != nil {
		x.beginSpan(rt.tracer)
	}
	for {
		route, rest, err := rt.pinRoute(x, path)
		if err != nil {
			return err
		}
		x.request.Prefix, x.request.Rest = string(route.Key.Prefix), rest
		rec := &x.record
		x.named, rec.Prefix = route, string(route.Key.Prefix)
		rec.Service, rec.Version, rec.Number, rec.Generation = route.Service, route.Version, route.Number, route.Generation
		if err := rt.grantReport(x, route.Key); err != nil {
			route.unpin()
			return err
		}
		if route.Await == nil {
			x.route = route
			if err := rt.serveBy(x, route); !errors.Is(err, ErrAgain) {
				return err
			}
			x.endCaching(false)
			x.writer.caching = nil
			continue
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

// serveBy checks the rate of requests, and answers the request from the cache of a pinned route. Else it admits it, calls the handler and
// unpins the route, unless the handler keeps it.
func (rt *Router) serveBy(x *exchange, route *Route) (err error) {
	defer func() {
		if !x.kept {
			route.unpin()
		}
	}()
	if route.Rate != nil {
		if err = x.checkRate(route.Rate); err != nil {
			return err
		}
	}
	if route.Cache != nil {
		if done, err := x.fromCache(route.Cache); done {
			return err
		}
	}
	if route.Limiter != nil {
		if err = x.awaitBody(route.Limiter); err == nil {
			err = x.admit(route.Limiter)
		}
		if x.spanAdmission(err); err != nil {
			return err
		}
	}
	if x.copied != nil {
		x.copied.begin(x, x.offer)
	}
	x.request.Admitted = x.record.Time.Add(x.record.BodyWait + x.record.QueueWait)
	err = x.call(route.Handler)
	x.ended = time.Now()
	if !x.kept {
		x.release(x.ended)
	}
	return err
}

// pinRoute finds and pins the route of a path. It retries with a newer table if the
// route was retired in between.
func (rt *Router) pinRoute(x *exchange, path string) (*Route, string, error) {
	for t := rt.table.Load(); t != nil; {
		route, rest, ok := x.routeIn(t, path)
		if !ok {
			return nil, "", t.nothing()
		}
		if route.split != nil {
			if x.copied = route.split.copyFor(x); x.copied != nil {
				x.offer = route.split.Mirror.Offer
			}
			route = route.split.choose(x)
		}
		if route.pin() {
			return route, rest, nil
		}
		newer := rt.table.Load()
		if newer == t { // retired while still published: its owner has yet to publish
			break
		}
		t = newer
	}
	return nil, "", notReady()
}

// routeIn returns the route that serves the request.
func (x *exchange) routeIn(t *Table, path string) (route *Route, rest string, ok bool) {
	switch {
	case x.own != nil:
		return t.exactly(x.own.Key, path)
	case x.only != "":
		route, rest, ok = t.lookup(path, nil, &x.found)
		return route, rest, ok && x.only == route.Key.Prefix
	}
	return t.lookup(path, x.request.Request, &x.found)
}

// adminHandler adapts an http.Handler to Handler, unless it implements Handler itself.
func adminHandler(h http.Handler) Handler {
	if own, ok := h.(Handler); ok {
		return own
	}
	return HandlerFunc(func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		h.ServeHTTP(w, r.Request)
		return nil
	})
}
