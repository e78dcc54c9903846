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
	inFlight int   // guarded by mu; never more than capacity
	queued   int   // guarded by mu; sum over all limiters
	ready    *ring // guarded by mu; limiters that could run a waiter at once if there were capacity, in turn
}

// GateStats are the numbers of a gate at one moment.
type GateStats struct {
	Capacity int
	InFlight int // admitted and not released
	Queued   int // waiting, in all services
}

// NewGate makes a gate that lets capacity requests run at a time. A capacity below 1 is taken for 1: a gate that
// admits nobody would leave every request waiting until its bound.
func NewGate(capacity int) *Gate {
	return &Gate{start: time.Now(), capacity: max(1, capacity), ready: newRing()}
}

// Stats gives the numbers of now.
func (g *Gate) Stats() GateStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GateStats{Capacity: g.capacity, InFlight: g.inFlight, Queued: g.queued}
}

// dispatchLocked hands free capacity to waiters, one for each service in turn. Between calls of the gate's methods no
// limiter is ready while capacity is free; so a newcomer that finds capacity passes nobody.
func (g *Gate) dispatchLocked() {
	for g.inFlight < g.capacity {
		l := g.ready.pop()
		if l == nil {
			return
		}
		w := l.queue.pop()
		g.queued--
		g.admitLocked(l)
		w.granted = true
		close(w.ready)
		l.updateReadyLocked() // to the end of the turn, if it still has a waiter that may run
	}
}

func (g *Gate) admitLocked(l *Limiter) {
	g.inFlight++
	l.inFlight++
	l.admitted++
}
