package deploy

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

// startRetryAfter is the Retry-After of requests whose service did not start in time.
const startRetryAfter = 2 * time.Second

// startup is the state of a live service whose version is not prepared yet.
type startup struct {
	done      chan struct{} // closed when the prefix leads to the prepared version or a later one
	waiting   int           // guarded by Deployer.mu: requests waiting for done
	requested bool          // guarded by Deployer.mu: a request has moved the service to the front
}

// newStarting returns the placeholder of a service until it is prepared. Its requests wait outside of the
// gate, so that they use no capacity of services that are ready. Those to a placed service are first passed to its other hosts.
func (d *Deployer) newStarting(s registry.Service, n registry.Number, g registry.Generation) *live {
	l := &live{service: only(s, n), since: time.Now(), startup: &startup{done: make(chan struct{})}, stop: make(chan struct{}, 1)}
	refuse := refusal{kind: problem.NotReady, detail: "the service is starting", state: services.StateStarting}
	wait := func(_ http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		return cmp.Or(d.await(r.Context(), l), router.ErrAgain)
	}
	if s.Mirror.Number == 0 { // a request that is looked up again would be copied twice
		if others := d.standInFor(s, g, refuse, router.HandlerFunc(wait)); others != nil {
			l.deployment, l.relays = others, true
			l.setRoute(d.admit(l, others))
			return l
		}
	}
	l.deployment = refuse
	b := d.binding(l.service, refuse)
	b.Await = func(ctx context.Context) error { return d.await(ctx, l) }
	l.setRoute(b)
	return l
}

// await returns nil once the table no longer leads to l. It returns a problem if the timeout of the request
// is shorter than that.
func (d *Deployer) await(ctx context.Context, l *live) error {
	if !d.enterStart(l) {
		return notStarted("the service is starting, and too many requests wait for it already; try again")
	}
	defer d.leaveStart(l)
	timeout := schema.TimeoutOf(l.service.Current.Manifest)
	if timeout <= 0 {
		timeout = d.cfg.StartWait
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-l.startup.done:
		return nil
	case <-d.closing.Done():
		return errClosing()
	case <-timer.C:
		return notStarted("the service is still starting; try again")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func notStarted(detail string) error {
	p := problem.New(problem.NotReady, detail)
	p.RetryAfter = startRetryAfter
	return p.WithCause(ErrStarting)
}

// enterStart counts a waiting request and moves its service to the front. It reports whether there is room.
func (d *Deployer) enterStart(l *live) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.start.request(l)
	if l.startup.waiting >= d.cfg.Limits.Queue || d.awaiting >= d.cfg.MaxStartWait {
		d.acts.requests.Add(1)
		return false
	}
	l.startup.waiting++
	d.awaiting++
	select {
	case d.hurry <- struct{}{}:
	default:
	}
	return true
}

func (d *Deployer) leaveStart(l *live) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.startup.waiting--
	d.awaiting--
}

// startQueue holds the services to be prepared. It is guarded by Deployer.mu.
type startQueue struct {
	// ordered are the services without a guest. One worker prepares them in the order of the catalogue: of two services
	// that exclude each other, the same one serves after each start.
	ordered   []*live
	requested []*live // services with waiting requests; first in, first out
	rest      []*live
	later     []*live // found claimed by a change, which may fail
	total     int
	left      int // services neither prepared nor replaced
}

// request moves a service to the front, once.
func (q *startQueue) request(l *live) {
	if i := slices.Index(q.rest, l); i >= 0 && !l.startup.requested {
		l.startup.requested = true
		q.rest = slices.Delete(q.rest, i, i+1)
		q.requested = append(q.requested, l)
	}
}

// pop removes and returns the first service of a list.
func pop(list *[]*live) *live {
	l := (*list)[0]
	*list = (*list)[1:]
	return l
}

// nextOrdered removes and returns the next service of ordered, then those of later, and nil at the end.
func (q *startQueue) nextOrdered() (l *live, wait bool) {
	if len(q.ordered) > 0 {
		return pop(&q.ordered), false
	}
	return q.nextLater()
}

// next removes and returns the next service with a guest, then those of later, and nil at the end.
func (q *startQueue) next() (l *live, wait bool) {
	switch {
	case len(q.requested) > 0:
		return pop(&q.requested), false
	case len(q.rest) > 0:
		return pop(&q.rest), false
	}
	return q.nextLater()
}

// nextLater removes and returns the next service of later. Its claim must be waited for. Every worker ends with these
// services, so that none is left if the other workers have ended.
func (q *startQueue) nextLater() (l *live, wait bool) {
	if len(q.later) == 0 {
		return nil, false
	}
	return pop(&q.later), true
}

// progress counts services.
type progress struct{ done, total int }

// Progress returns the number of services that are prepared or have failed, and the total needed for
// readiness.
func (d *Deployer) Progress() (done, total int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.phase.Load() == phaseNew {
		return 0, len(d.cfg.Registry.State().Services)
	}
	return d.start.total - d.start.left + d.declared.done, d.start.total + d.declared.total
}
