package deploy

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services"
)

// live is a version that is routed to, or was and is being drained.
type live struct {
	service    registry.Service    // immutable
	deployment services.Deployment // immutable
	limiter    *sharedLimiter      // immutable; nil while starting
	route      *router.Route       // immutable
	since      time.Time           // immutable; when it was made
	problem    error               // immutable; why it is unavailable, else nil
	unroutable bool                // immutable; the router's rules for prefixes do not allow this one any more
	startup    *startup            // immutable; nil unless the version is still to be prepared
	stop       chan struct{}       // capacity 1; sent to when the version is to be stopped before its time to retire is over

	scaleMu sync.Mutex
	closed  bool // guarded by scaleMu; Close of the deployment has been called
}

// limiterKey names a limiter: versions at one prefix may be admitted by different gates, or with different weights.
type limiterKey struct {
	prefix registry.Prefix
	gate   *admission.Gate
	weight int
}

func (d *Deployer) limiterKey(s registry.Service) limiterKey {
	own := d.admission(s.Current)
	return limiterKey{prefix: s.Prefix, gate: own.Gate, weight: own.Limits.Weight}
}

// sharedLimiter is the limiter of a prefix for as long as any version of it, serving or draining, can have requests
// in flight. Were it made anew with each version, a replacement would for a while admit twice as many as the limit
// says.
type sharedLimiter struct {
	*admission.Limiter     // immutable
	users              int // guarded by Deployer.mu: live versions that refer to it
}

// newLive makes what is not visible to anybody yet. Its owner publishes it or calls discard.
func (d *Deployer) newLive(service registry.Service, deployment services.Deployment, unavailable error) *live {
	l := &live{service: service, deployment: deployment, since: time.Now(), problem: unavailable, stop: make(chan struct{}, 1)}
	l.limiter = d.useLimiter(service)
	b := binding(service, deployment)
	b.Limiter = l.limiter.Limiter
	l.route = router.NewRoute(b)
	l.unroutable = len(checkPrefix(service.Prefix)) > 0
	return l
}

// routes gives the routes of all, but for those that no table takes.
func routes(all []*live) []*router.Route {
	list := make([]*router.Route, 0, len(all)+1)
	for _, l := range all {
		if !l.unroutable {
			list = append(list, l.route)
		}
	}
	return list
}

// buildTable makes a table of all that is live. Before the configuration file was applied, paths without a service are
// not known to be that.
func (d *Deployer) buildTable(all []*live) (*router.Table, error) {
	table, err := router.BuildTable(routes(all))
	if err == nil && !d.applied.Load() {
		table = table.Incomplete()
	}
	return table, err
}

func binding(s registry.Service, h router.Handler) router.Binding {
	key, _ := router.ParseKey(string(s.Prefix)) // else it is unroutable, and its route in no table
	return router.Binding{
		Prefix:     key.Prefix,
		Match:      key.Match,
		Service:    string(s.Prefix),
		Version:    string(s.Current.Digest),
		Generation: uint64(s.Current.Generation),
		Handler:    h,
	}
}

// useLimiter gives the limiter of a service, with one more user.
func (d *Deployer) useLimiter(service registry.Service) *sharedLimiter {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := d.limiterKey(service)
	s := d.limiters[key]
	if s == nil {
		own := d.admission(service.Current)
		s = &sharedLimiter{Limiter: own.Gate.NewLimiter(own.Limits)}
		d.limiters[key] = s
	}
	s.users++
	return s
}

// dropLimiter takes one user away and forgets the limiter with the last.
func (d *Deployer) dropLimiter(l *live) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.limiter.users--; l.limiter.users == 0 {
		delete(d.limiters, d.limiterKey(l.service))
	}
}

// close closes the deployment and gives its use of the limiter back. No request can arrive any more.
func (d *Deployer) close(l *live) error {
	l.scaleMu.Lock()
	l.closed = true
	l.scaleMu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), d.cfg.CloseTimeout)
	defer cancel()
	err := guarded(ctx, d.log, "close", func() error { return l.deployment.Close(ctx) })
	d.dropLimiter(l)
	return err
}

// refusal is the deployment of what cannot serve: it answers every request with the same problem.
type refusal struct {
	kind   problem.Kind // immutable
	detail string       // immutable
	cause  error        // immutable
	state  string       // immutable; one of the State constants
}

// Serve answers with the problem.
func (r refusal) Serve(http.ResponseWriter, *http.Request, *accesslog.Record) error {
	return problem.New(r.kind, r.detail).WithCause(r.cause)
}

// Status has no more than the state.
func (r refusal) Status() services.Status { return services.Status{State: r.state} }

// Scale has nothing to give back.
func (r refusal) Scale(context.Context, services.Scale) error { return nil }

// Close has nothing to give back.
func (r refusal) Close(context.Context) error { return nil }
