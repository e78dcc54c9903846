package router

import (
	"errors"
	"net/http"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// Passed describes a request that another host of the same catalogue has passed on.
type Passed struct {
	Key     routekey.Key     // of the service, as that host has found it
	Version string           // Binding.Content of the version that it would have served
	Client  forwarded.Client // as that host has determined it; its ID is the request id
	Placed  bool             // that host does not serve the service: Version is not compared
}

// ErrAgain is returned by a handler whose route is retired, if nothing of the request was read and nothing answered. The router
// looks the request up in a newer table.
var ErrAgain = errors.New("the route of the request is retired")

// ServePassed serves a request that another host has passed on, by ServeHTTP's rules. It reports false, and does nothing, unless
// the service has that one version here, is passable (Binding.Passable), half of the capacity is free, the service is
// not full, and the memory for headers suffices. If the request is Placed, any service with the key serves it, and it waits for capacity
// like one of a client. The caller must have authenticated the host.
func (rt *Router) ServePassed(p Passed, w http.ResponseWriter, r *http.Request) bool {
	t := rt.table.Load()
	path := rawPath(r.URL)
	if t == nil || rt.leaving.Load() || isReserved(path) { // management is not for other hosts
		return false
	}
	route, _, ok := t.exactly(p.Key, path)
	if !ok || !p.Placed && !route.passes(p.Version) {
		return false
	}
	held, err := rt.held.take(r)
	if err != nil {
		return false
	}
	x := newExchange(w, r, p.Client)
	x.own, x.request.Passed = &Own{Key: p.Key}, true
	x.writer.leaving = &rt.leaving
	dropReport(r.Header)
	rt.respondWith(x, w, held, nil)
	return true
}

// passes reports whether the route has the version and capacity to spare.
func (r *Route) passes(version string) bool {
	return r.Passable && r.split == nil && r.Content == version && r.Limiter != nil && r.Limiter.Spare() && !r.Limiter.Full()
}

// Movable reports whether a service that is on other hosts alone may serve the request there: it has come from a client of this one.
func (r *Request) Movable() bool {
	x := r.exchange
	return x != nil && r == &x.request && x.only == "" && x.own == nil
}

// Passable reports whether another host may serve the request: it has come from a client of this one, and wants no more than a
// response.
func (r *Request) Passable() bool {
	x := r.exchange
	return x != nil && r == &x.request && x.only == "" && x.own == nil && x.copied == nil && x.writer.report == nil && r.Header["Upgrade"] == nil
}

// Relayed marks the result of a request that another host has served, and counts.
func Relayed(res *accesslog.Result) { res.Start = accesslog.StartForwarded }
