package admission

import (
	"sync"
	"time"
)

// Gate is the capacity shared by all services. It is safe for concurrent use. Create it with NewGate.
type Gate struct {
	start    time.Time // immutable; times are stored as durations since start
	capacity int       // immutable

	mu       sync.Mutex
	inFlight int   // guarded by mu; total weight of admitted requests, never more than capacity
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
	return &Gate{start: time.Now(), capacity: max(1, capacity), ready: newRing()}
}

// Capacity returns the capacity of the gate.
func (g *Gate) Capacity() int { return g.capacity }

// Stats returns the current counters.
func (g *Gate) Stats() GateStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GateStats{Capacity: g.capacity, InFlight: g.inFlight, Queued: g.queued}
}

// dispatchLocked admits waiters while there is free capacity, one of each service in turn. A request
// that weighs more than the free capacity keeps its turn until it fits; otherwise lighter ones could
// starve it. For the same reason a newcomer is admitted at once only if no limiter is ready.
func (g *Gate) dispatchLocked() {
	for l := g.ready.first(); l != nil && g.fitsLocked(l); l = g.ready.first() {
		g.ready.pop()
		w := l.queue.pop()
		g.queued--
		g.admitLocked(l)
		w.granted = true
		close(w.ready)
		l.updateReadyLocked() // to the end of the ring, if it still has a waiter that may run
	}
}

// fitsLocked reports whether a request of the limiter fits into the free capacity.
func (g *Gate) fitsLocked(l *Limiter) bool { return g.inFlight+l.limits.Weight <= g.capacity }

func (g *Gate) admitLocked(l *Limiter) {
	g.inFlight += l.limits.Weight
	l.inFlight++
	l.admitted++
}
