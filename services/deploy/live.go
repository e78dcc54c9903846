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
	limiter    *sharedLimiter      // immutable
	route      *router.Route       // immutable
	since      time.Time           // immutable; when it was made
	problem    error               // immutable; why it is unavailable, else nil
	unroutable bool                // immutable; the router's rules for prefixes do not allow this one any more

	scaleMu sync.Mutex
	closed  bool // guarded by scaleMu; Close of the deployment has been called
}

func (l *live) entry() Entry {
	return Entry{Service: l.service, Status: l.deployment.Status(), Problem: l.problem}
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
	l := &live{service: service, deployment: deployment, since: time.Now(), problem: unavailable}
	l.limiter = d.useLimiter(service)
	l.route = newRoute(service, deployment, l.limiter.Limiter)
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

func newRoute(s registry.Service, h router.Handler, limiter *admission.Limiter) *router.Route {
	key, _ := router.ParseKey(string(s.Prefix)) // else it is unroutable, and its route in no table
	return router.NewRoute(router.Binding{
		Prefix:     key.Prefix,
		Match:      key.Match,
		Service:    string(s.Prefix),
		Version:    string(s.Current.Digest),
		Generation: uint64(s.Current.Generation),
		Handler:    h,
		Limiter:    limiter,
	})
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
}

// Serve answers with the problem.
func (r refusal) Serve(http.ResponseWriter, *http.Request, *accesslog.Record) error {
	return problem.New(r.kind, r.detail).WithCause(r.cause)
}

// Status says that the service has failed.
func (r refusal) Status() services.Status { return services.Status{State: services.StateFailed} }

// Scale has nothing to give back.
func (r refusal) Scale(context.Context, services.Scale) error { return nil }

// Close has nothing to give back.
func (r refusal) Close(context.Context) error { return nil }
