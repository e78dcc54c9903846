package deploy

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/cache"
	"github.com/vespo-dev/vespo/services"
	hosts "github.com/vespo-dev/vespo/services/placement"
)

// live is a version that is routed to or being drained.
type live struct {
	service    registry.Service    // immutable; with this version alone
	deployment services.Deployment // immutable
	limiter    *sharedLimiter      // immutable; nil while starting
	rate       *sharedRate         // immutable; nil if the rate of requests is not limited
	cache      *cache.Cache        // immutable; nil if no answers are kept
	route      *router.Route       // immutable
	since      time.Time           // immutable; time of creation
	problem    error               // immutable; why it is unavailable, else nil
	away       bool                // immutable; other hosts alone serve it
	relays     bool                // immutable; its requests are passed to other hosts
	unroutable bool                // immutable; the router no longer allows this prefix
	startup    *startup            // immutable; nil unless the version is not prepared yet
	stop       chan struct{}       // capacity 1; a send stops the version before RetireAfter is over

	scaleMu sync.Mutex
	closed  bool // guarded by scaleMu; the deployment's Close was called
}

// limiterKey identifies a limiter. Versions at one prefix may be admitted by different gates or with
// different weights.
type limiterKey struct {
	key    routekey.Key
	gate   *admission.Gate
	weight int
}

func (d *Deployer) limiterKey(s registry.Service, relays bool) limiterKey {
	own := d.admittedBy(s.Current, relays)
	return limiterKey{key: s.Key, gate: own.Gate, weight: own.Limits.Weight}
}

// admittedBy returns the admission of a version.
func (d *Deployer) admittedBy(v registry.Version, relays bool) Admission {
	if relays && d.cfg.Away.Gate != nil {
		return d.cfg.Away
	}
	return d.admission(v)
}

// sharedLimiter is the limiter of a prefix, shared by all of its versions that can have requests in flight,
// whether they serve or drain. With one limiter per version, a replacement would admit up to twice the limit
// for a while.
type sharedLimiter struct {
	*admission.Limiter     // immutable
	users              int // guarded by Deployer.mu: live versions that refer to it
}

// newLive returns a version that is not visible to requests yet. The caller publishes it or calls discard.
func (d *Deployer) newLive(service registry.Service, deployment services.Deployment, unavailable error) *live {
	l := &live{service: service, deployment: deployment, since: time.Now(), problem: unavailable, stop: make(chan struct{}, 1)}
	_, l.relays = deployment.(standIn)
	b := d.admit(l, deployment)
	if code, ok := deployment.(services.Loader); ok && d.cfg.Forward != nil && hosts.Of(service.Current.Manifest).IsZero() {
		b.Passable, b.Content = true, string(service.Current.ContentDigest())
		b.Handler = d.cfg.Forward(service, b.Content, deployment, code)
	}
	l.setRoute(b)
	return l
}

// admit gives a new version the limits of its service, and returns its binding.
func (d *Deployer) admit(l *live, h router.Handler) router.Binding {
	l.limiter = d.useLimiter(l.service, l.relays)
	b := d.binding(l.service, h)
	b.Limiter = l.limiter.Limiter
	if l.rate = d.useRate(l.service); l.rate != nil {
		b.Rate = l.rate.Limiter
	}
	if l.cache = d.openCache(l); l.cache != nil {
		b.Cache = l.cache
	}
	return b
}

// setRoute gives a new version its route.
func (l *live) setRoute(b router.Binding) {
	l.route = router.NewRoute(b)
	l.unroutable = l.service.Key.Canonical() != nil
}

// routes returns the routes of all services, without unroutable ones.
func routes(all []*placement) []*router.Route {
	list := make([]*router.Route, 0, len(all)+1)
	for _, p := range all {
		if !p.all[0].unroutable {
			list = append(list, p.route)
		}
	}
	return list
}

// buildTable builds a table of all versions. Until the configuration file is applied the table is incomplete:
// a path without a service may still get one.
func (d *Deployer) buildTable(all []*placement) (*router.Table, error) {
	table, err := router.BuildTable(routes(all))
	if err == nil && !d.applied.Load() {
		table = table.Incomplete()
	}
	return table, err
}

func (d *Deployer) binding(s registry.Service, h router.Handler) router.Binding {
	return router.Binding{
		Key:        s.Key,
		Service:    s.Key.String(),
		Version:    string(d.logged(s.Current)),
		Number:     uint64(s.Current.Number),
		Generation: uint64(s.Current.Generation),
		Handler:    h,
	}
}

// useLimiter returns the limiter of a service and adds a user to it.
func (d *Deployer) useLimiter(service registry.Service, relays bool) *sharedLimiter {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := d.limiterKey(service, relays)
	s := d.limiters[key]
	if s == nil {
		own := d.admittedBy(service.Current, relays)
		s = &sharedLimiter{Limiter: own.Gate.NewLimiter(own.Limits)}
		s.Limit(d.concurrency(service, relays))
		d.limiters[key] = s
	}
	s.users++
	return s
}

// dropLimiter removes a user from the limiters and deletes each with its last user.
func (d *Deployer) dropLimiter(l *live) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.limiter.users--; l.limiter.users == 0 {
		delete(d.limiters, d.limiterKey(l.service, l.relays))
	}
	d.dropRateLocked(l.rate)
}

// close closes the deployment and drops its limiter. No request can arrive any more.
func (d *Deployer) close(l *live) error {
	l.scaleMu.Lock()
	l.closed = true
	l.scaleMu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), d.cfg.CloseTimeout)
	defer cancel()
	l.emptyCache()
	err := guarded(ctx, d.log, "close", func() error { return l.deployment.Close(ctx) })
	d.dropLimiter(l)
	return err
}

// refusal is a Deployment that answers every request with one problem.
type refusal struct {
	kind   problem.Kind // immutable
	detail string       // immutable
	cause  error        // immutable
	state  string       // immutable; one of the State constants
}

// Serve returns the problem.
func (r refusal) Serve(http.ResponseWriter, *router.Request, *accesslog.Result) error {
	return problem.New(r.kind, r.detail).WithCause(r.cause)
}

// Status returns only the state.
func (r refusal) Status() services.Status { return services.Status{State: r.state} }

// Scale does nothing.
func (r refusal) Scale(context.Context, services.Scale) error { return nil }

// Close does nothing.
func (r refusal) Close(context.Context) error { return nil }
