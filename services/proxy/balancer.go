package proxy

import (
	"slices"
	"sync"
	"time"
)

// How long an upstream is set aside that could not be connected to: the first time, and at most.
const (
	firstAside = time.Second
	maxAside   = 30 * time.Second
)

// balancer chooses the upstream of a request: the one with the fewest requests in flight, and among equals each in turn. One that could
// not be connected to is set aside, for twice as long each time; when that is over, one request tries it. It does not look at the
// clock: its callers do.
type balancer struct {
	upstreams []*upstream // immutable

	mu   sync.Mutex
	next int // guarded by mu; where the turn is
}

// health is what the balancer knows of one upstream.
type health struct {
	inFlight int       // guarded by balancer.mu, like all below
	failures int       // in a row
	until    time.Time // set aside until then; in the past if not
}

// acquire chooses an upstream that is none of the tried ones; nil if there is none left. release must follow.
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
	if best.failures > 0 {
		best.until = now.Add(asideFor(best.failures)) // this request tries it, the others wait for what comes of that
	}
	return best
}

// before tells whether u is a better choice than v: one that is due to be tried, then the healthy ones by load, then those set
// aside, by the time when they are due.
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

// release ends what acquire began.
func (b *balancer) release(u *upstream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u.inFlight--
}

// failed notes that no connection to u could be had.
func (b *balancer) failed(u *upstream, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u.failures++
	u.until = now.Add(asideFor(u.failures))
}

// answered notes that u is there.
func (b *balancer) answered(u *upstream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u.failures, u.until = 0, time.Time{}
}

// aside lists the upstreams that are set aside.
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
