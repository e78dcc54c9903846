package admission

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/spare"
)

// Gate is the capacity shared by all services. It is safe for concurrent use. Create it with NewGate.
type Gate struct {
	start    time.Time             // immutable; times are stored as durations since start
	capacity int                   // immutable
	spare    *spare.Shelves[Place] // places without a request, which count as admitted
	tight    atomic.Bool           // set while a limiter is ready: no place may stay spare. Written with mu held

	_        [64]byte // tight is read by all processors, and mu is written by those whose requests wait
	mu       sync.Mutex
	inFlight int   // guarded by mu; total weight of all places given out, never more than capacity
	queued   int   // guarded by mu; sum over all limiters
	ready    *ring // guarded by mu; limiters with a waiter that lacks only capacity, in turn
}

// GateStats is a snapshot of a gate's counters.
type GateStats struct {
	Capacity int
	InFlight int // capacity in use: total weight of requests admitted and not released
	Queued   int // waiting requests of all services
}

// NewGate returns a gate of the given capacity. A capacity below 1 is raised to 1: with
// 0, every request would wait until its bound.
func NewGate(capacity int) *Gate {
	return &Gate{start: time.Now(), capacity: max(1, capacity), ready: newRing(), spare: spare.New[Place]()}
}

// Capacity returns the capacity of the gate.
func (g *Gate) Capacity() int { return g.capacity }

// Stats returns the current counters.
func (g *Gate) Stats() GateStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GateStats{Capacity: g.capacity, InFlight: g.usedLocked(), Queued: g.queued}
}

// usedLocked returns the total weight of requests. It is exact while no request begins or ends.
func (g *Gate) usedLocked() int {
	used := g.inFlight
	g.spare.Each(func(p *Place) { used -= p.limiter.limits.Weight })
	return max(0, used)
}

// settleLocked admits waiters after a change. If some still lack capacity, it collects the spare places for them.
func (g *Gate) settleLocked() {
	g.dispatchLocked()
	if !g.ready.empty() && !g.tight.Load() {
		g.tight.Store(true)
		g.collectLocked(nil)
		g.dispatchLocked()
	}
	if g.ready.empty() && g.tight.Load() {
		g.tight.Store(false)
	}
}

// collectLocked takes back the spare places of a limiter; nil: of all.
func (g *Gate) collectLocked(of *Limiter) {
	g.spare.Sweep(
		func(p *Place) bool { return of == nil || p.limiter == of },
		func(p *Place) { p.limiter.takeBackLocked(p) },
	)
}

// dispatchLocked admits waiters while there is free capacity, one of each service in turn. A request
// that weighs more than the free capacity keeps its turn until it fits; otherwise lighter ones could
// starve it. For the same reason a newcomer is admitted at once only if no limiter is ready.
func (g *Gate) dispatchLocked() {
	for l := g.ready.first(); l != nil && g.fitsLocked(l); l = g.ready.first() {
		g.ready.pop()
		w := l.queue.pop()
		g.queued--
		w.place = l.placeLocked()
		w.granted = true
		if w.ready != nil {
			close(w.ready)
		}
		l.updateLocked() // to the end of the ring, if it still has a waiter that may run
	}
}

// fitsLocked reports whether a request of the limiter fits into the free capacity.
func (g *Gate) fitsLocked(l *Limiter) bool { return g.inFlight+l.limits.Weight <= g.capacity }
