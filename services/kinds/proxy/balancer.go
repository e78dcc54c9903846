package proxy

import (
	"slices"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/services"
)

// How long an upstream is set aside after a failed connection: the first time, and at most.
const (
	firstAside = time.Second
	maxAside   = 30 * time.Second
)

// balancer chooses the upstream of a request: the one with the fewest requests in flight, in turn
// among equals. An upstream that cannot be connected to is set aside, each time for twice as
// long. Once that time has passed, a single request tries it. The callers pass the current time.
type balancer struct {
	upstreams []*upstream // immutable

	mu   sync.Mutex
	next int // guarded by mu; start of the round robin
}

// health is the balancer's state of one upstream.
type health struct {
	inFlight int       // guarded by balancer.mu, like all below
	failures int       // consecutive; requests that were in flight together count as one
	tries    bool      // a request that knows of the failures tries it
	until    time.Time // set aside until this time; in the past if not set aside
	requests uint64    // since the start
	failed   uint64    // failed connections since the start
}

// acquire returns an upstream that is not in tried, or nil if none is left. The caller must call release.
func (b *balancer) acquire(now time.Time, tried []*upstream) *upstream {
	b.mu.Lock()
	defer b.mu.Unlock()
	var best *upstream
	for i := range b.upstreams {
		u := b.upstreams[(b.next+i)%len(b.upstreams)]
		if !slices.Contains(tried, u) && (best == nil || u.before(best, now)) {
			best = u
		}
	}
	if best == nil {
		return nil
	}
	b.next = (slices.Index(b.upstreams, best) + 1) % len(b.upstreams)
	best.inFlight++
	best.requests++
	if best.failures > 0 {
		best.tries, best.until = true, now.Add(asideFor(best.failures)) // this request tries it; others avoid it until the outcome is known
	}
	return best
}

// before reports whether u is a better choice than v. Upstreams that are due for a retry
// come first, then the healthy ones by load, then those set aside by the time they are due.
func (h *health) before(v *upstream, now time.Time) bool {
	if a, b := h.rank(now), v.rank(now); a != b {
		return a < b
	}
	if h.until.After(now) {
		return h.until.Before(v.until)
	}
	return h.inFlight < v.inFlight
}

func (h *health) rank(now time.Time) int {
	switch {
	case h.until.After(now):
		return 2
	case h.failures > 0:
		return 0
	}
	return 1
}

func asideFor(failures int) time.Duration {
	return min(firstAside<<min(failures-1, 10), maxAside)
}

// release ends the request that acquire counted on u.
func (b *balancer) release(u *upstream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u.inFlight--
}

// failed records a failed connection to u.
func (b *balancer) failed(u *upstream, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u.health.failed++
	if u.failures > 0 && !u.tries {
		return // the request began before the failure that set the upstream aside
	}
	u.failures++
	u.tries = false
	u.until = now.Add(asideFor(u.failures))
}

// answered records that u is reachable.
func (b *balancer) answered(u *upstream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u.failures, u.tries, u.until = 0, false, time.Time{}
}

// aside returns the upstreams that are set aside.
func (b *balancer) aside(now time.Time) (list []*upstream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.upstreams {
		if u.until.After(now) {
			list = append(list, u)
		}
	}
	return list
}

// stats returns the state of all upstreams.
func (b *balancer) stats(now time.Time) []services.UpstreamStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]services.UpstreamStatus, 0, len(b.upstreams))
	for _, u := range b.upstreams {
		all = append(all, services.UpstreamStatus{
			Name:     u.origin.String(),
			InFlight: u.inFlight,
			Requests: u.requests,
			Failures: u.health.failed,
			Aside:    u.until.After(now),
		})
	}
	return all
}
