package forward

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/placement"
)

// When a service is loaded on this host although another one is its home: after burst requests at once, or with more than one
// request in each interval.
const (
	interval = time.Second
	burst    = 16
	// declinedTime is how long a service is served here after its home has declined a request.
	declinedTime = 5 * time.Second
)

// Config configures a Forwarder.
type Config struct {
	// Home returns the host that is the home of a service; nil if that is this host.
	Home         func(service string) *Peer
	Peers        func() int  // number of the other hosts that can be homes
	Leaving      func() bool // this host declines all requests; nil: it does not
	MaxBodyBytes int64       // of requests that are forwarded

	// Holders returns the other hosts that may serve a placed service, in the order in which they are asked, and how many of
	// the first ones are equally good.
	Holders func(service string, p placement.Placement) (all []*Peer, equal int)
	Placing func() int    // number of the other hosts among which placed services choose; nil: 0
	Timeout time.Duration // of requests to placed services that set none
	Wait    time.Duration // for a holder that is not as far as this host, or has no capacity
}

// Forwarder forwards requests to services that are not loaded. Create it with New.
type Forwarder struct {
	cfg       Config // immutable
	receiver  Receiver
	forwarded atomic.Uint64
	declined  atomic.Uint64
	unreached atomic.Uint64
	failed    atomic.Uint64
	unserved  atomic.Uint64
}

// New returns a forwarder.
func New(cfg Config) *Forwarder {
	return &Forwarder{cfg: cfg, receiver: Receiver{leaving: cfg.Leaving, forwards: cfg.Home != nil}}
}

// Receiver returns the receiver of requests that other hosts forward.
func (f *Forwarder) Receiver() *Receiver { return &f.receiver }

// Stats counts requests since New.
type Stats struct {
	Forwarded uint64 // served by another host
	Declined  uint64 // declined by another host, and served here
	Unreached uint64 // served here, as the other host was not reached
	Failed    uint64 // begun by another host, and failed on the way
	Received  uint64 // of other hosts, served here
	Refused   uint64 // of other hosts, declined here
	Unserved  uint64 // to placed services, and no host has served them
	Peers     int    // other hosts that can be homes
	Placing   int    // other hosts among which placed services choose
}

// Stats returns the current state.
func (f *Forwarder) Stats() Stats {
	placing := 0
	if f.cfg.Placing != nil {
		placing = f.cfg.Placing()
	}
	return Stats{
		Placing:   placing,
		Forwarded: f.forwarded.Load(),
		Declined:  f.declined.Load(),
		Unreached: f.unreached.Load(),
		Failed:    f.failed.Load(),
		Received:  f.receiver.served.Load(),
		Refused:   f.receiver.declined.Load(),
		Unserved:  f.unserved.Load(),
		Peers:     f.cfg.Peers(),
	}
}

// Handler returns the handler of a version: next, except for requests that come while its code is not loaded.
func (f *Forwarder) Handler(service registry.Service, version string, next router.Handler, code services.Loader) router.Handler {
	t := target{Forwarder: f, key: service.Key, service: service.Key.String(), version: version, limit: code.TimeLimit}
	return &handler{target: t, next: next, code: code}
}

// target is the service of a request, for the note to another host. It is immutable.
type target struct {
	*Forwarder
	key        routekey.Key
	service    string                          // text of key
	version    string                          // of a placed service: its definition
	placed     bool                            // this host does not serve it
	generation registry.Generation             // of a placed service: that this host knows it from
	limit      func() time.Duration            // of a request, from its admission
	waits      time.Duration                   // of the other host, before the limit begins
	answered   func(later registry.Generation) // nil, or called with each response header; see note.Later
}

// handler serves the requests of one version.
type handler struct {
	target
	next router.Handler  // immutable
	code services.Loader // immutable
	heat atomic.Int64    // when the next request would come if they came at interval, in nanoseconds of Unix time
	here atomic.Int64    // until when requests are served here, in nanoseconds of Unix time
}

// Serve implements router.Handler.
func (h *handler) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	if h.code.Unloaded() && r.Passable() && r.ContentLength <= h.cfg.MaxBodyBytes {
		if served, err := h.forward(w, r, res); served {
			return err
		}
	}
	return h.next.Serve(w, r, res)
}

// forward has the home of the service serve a request. It reports false if the request is to be served here: nothing of it was
// read, and nothing answered.
func (h *handler) forward(w http.ResponseWriter, r *router.Request, res *accesslog.Result) (served bool, err error) {
	now := time.Now()
	if now.UnixNano() < h.here.Load() || h.isHot(now) {
		return false, nil
	}
	home := h.cfg.Home(h.service)
	if home == nil || !home.usable(now) || !plainTarget(r.RequestURI) || repeatable(r) {
		return false, nil
	}
	x := newExchange(&h.target, home, w, r)
	if x == nil {
		return false, nil
	}
	defer x.finish()
	switch err := x.run(); {
	case err == nil:
		h.forwarded.Add(1)
		router.Relayed(res)
		return true, nil
	case x.declined && x.untouched():
		h.declined.Add(1)
		h.here.Store(now.Add(declinedTime).UnixNano())
		return false, nil
	case x.isUnreached():
		h.unreached.Add(1)
		home.failed(now)
		return false, nil
	default:
		h.failed.Add(1)
		return true, x.failure(res, err)
	}
}

// isHot reports whether the service has so many requests that it is loaded here, too. It counts the request.
func (h *handler) isHot(now time.Time) bool {
	for {
		before := h.heat.Load()
		next := max(before, now.UnixNano()) + int64(interval)
		if next-now.UnixNano() > int64(burst*interval) {
			return true
		}
		if h.heat.CompareAndSwap(before, next) {
			return false
		}
	}
}
