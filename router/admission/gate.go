package admission

import (
	"sync"
	"time"
)

// Gate is the capacity that all services share. It is safe for concurrent use. Make it with NewGate.
type Gate struct {
	start    time.Time // immutable; moments are kept as durations since it
	capacity int       // immutable

	mu       sync.Mutex
	inFlight int   // guarded by mu; the weights of all that is admitted, never more than capacity
	queued   int   // guarded by mu; sum over all limiters
	ready    *ring // guarded by mu; limiters that could run a waiter at once if there were capacity, in turn
}

// GateStats are the numbers of a gate at one moment.
type GateStats struct {
	Capacity int
	InFlight int // capacity that is taken: the sum of the weights admitted and not released
	Queued   int // waiting, in all services
}

// NewGate makes a gate that lets capacity requests run at a time. A capacity below 1 is taken for 1: a gate that
// admits nobody would leave every request waiting until its bound.
func NewGate(capacity int) *Gate {
	return &Gate{start: time.Now(), capacity: max(1, capacity), ready: newRing()}
}

// Capacity is what the gate was made with.
func (g *Gate) Capacity() int { return g.capacity }

// Stats gives the numbers of now.
func (g *Gate) Stats() GateStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GateStats{Capacity: g.capacity, InFlight: g.inFlight, Queued: g.queued}
}

// dispatchLocked hands free capacity to waiters, one for each service in turn. A request that weighs more than what is free keeps its turn
// until it fits: were lighter ones let past, it might never be. So a newcomer is admitted at once only where no limiter is ready.
func (g *Gate) dispatchLocked() {
	for l := g.ready.first(); l != nil && g.fitsLocked(l); l = g.ready.first() {
		g.ready.pop()
		w := l.queue.pop()
		g.queued--
		g.admitLocked(l)
		w.granted = true
		close(w.ready)
		l.updateReadyLocked() // to the end of the turn, if it still has a waiter that may run
	}
}

// fitsLocked tells whether a request of the limiter's fits into what is free.
func (g *Gate) fitsLocked(l *Limiter) bool { return g.inFlight+l.limits.Weight <= g.capacity }

func (g *Gate) admitLocked(l *Limiter) {
	g.inFlight += l.limits.Weight
	l.inFlight++
	l.admitted++
}
