package admission

import (
	"context"
	"errors"
	"math"
	"time"
)

// Errors of Acquire. Both mean that the server is too busy for this request and that a later one may be admitted.
var (
	ErrQueueFull   = errors.New("admission: the queue of the service is full")
	ErrWaitTimeout = errors.New("admission: no capacity became free within the wait bound of the service")
)

// Limits bound one service.
type Limits struct {
	Concurrency int           // requests in flight; 0 or less: as many as the gate admits
	Weight      int           // of the gate's capacity that one request takes, all at once; 0 or less: 1
	Queue       int           // requests waiting; 0 or less: none waits
	Wait        time.Duration // longest wait; 0 or less: none waits
	Shares      *Shares       // of connections and clients, to be taken before; nil: there are none; the caller sees to that
	BodyFirst   bool          // a request is to be admitted when a part of its body is there; the caller sees to that
}

// Limiter admits the requests of one service. It belongs to the service and not to a version of it: all versions that are
// in flight together share it. It is safe for concurrent use. A limiter that is not used any more needs no Close.
type Limiter struct {
	gate   *Gate  // immutable
	limits Limits // immutable, normalised

	// Guarded by gate.mu.
	inFlight   int
	queue      queue
	next, prev *Limiter // place in gate.ready; nil if not there
	admitted   uint64
	shed       uint64
	lastUsed   time.Duration // since gate.start
}

// Stats are the numbers of a limiter at one moment.
type Stats struct {
	InFlight int       // admitted and not released
	Queued   int       // waiting
	Admitted uint64    // since the limiter was made
	Shed     uint64    // refused with ErrQueueFull or ErrWaitTimeout since the limiter was made
	LastUsed time.Time // last Release, or when the limiter was made; with a monotonic reading
}

// NewLimiter makes the limiter of a service.
func (g *Gate) NewLimiter(limits Limits) *Limiter {
	limits.Weight = min(max(1, limits.Weight), g.capacity)
	if most := g.capacity / limits.Weight; limits.Concurrency <= 0 || limits.Concurrency > most {
		limits.Concurrency = most
	}
	if limits.Wait <= 0 {
		limits.Queue = 0
	}
	limits.Queue = max(0, limits.Queue)
	return &Limiter{gate: g, limits: limits, lastUsed: time.Since(g.start)}
}

// Acquire admits one request, after waiting its turn if it must, and says how long it waited. On nil the caller owes one
// Release. The error is ErrQueueFull, ErrWaitTimeout, or the context's when that ended during the wait; a context
// that is over already does not keep a request from being admitted where there is no need to wait.
func (l *Limiter) Acquire(ctx context.Context) (wait time.Duration, err error) {
	g := l.gate
	g.mu.Lock()
	if l.inFlight < l.limits.Concurrency && g.fitsLocked(l) && g.ready.empty() {
		g.admitLocked(l)
		g.mu.Unlock()
		return 0, nil
	}
	if l.queue.length >= l.limits.Queue {
		l.shed++
		g.mu.Unlock()
		return 0, ErrQueueFull
	}
	w := &waiter{ready: make(chan struct{})}
	l.queue.push(w)
	g.queued++
	l.updateReadyLocked()
	g.mu.Unlock()
	return l.await(ctx, w)
}

func (l *Limiter) await(ctx context.Context, w *waiter) (time.Duration, error) {
	begin := time.Now()
	timer := time.NewTimer(l.limits.Wait)
	defer timer.Stop()
	select {
	case <-w.ready:
		return time.Since(begin), nil
	case <-timer.C:
		if l.leave(w, true) {
			return time.Since(begin), nil
		}
		return time.Since(begin), ErrWaitTimeout
	case <-ctx.Done():
		if l.leave(w, false) {
			l.Release() // admitted in the same moment: pass it on, nobody is there to use it
		}
		return time.Since(begin), ctx.Err()
	}
}

// leave takes a waiter out of the queue. It reports true if the waiter was admitted before it could leave.
func (l *Limiter) leave(w *waiter, shed bool) (admitted bool) {
	g := l.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.granted {
		return true
	}
	l.queue.remove(w)
	g.queued--
	if shed {
		l.shed++
	}
	l.updateReadyLocked()
	g.dispatchLocked() // who left may have been the heavy one that the others waited behind
	return false
}

// Release gives back what one Acquire admitted. A Release too many is a bug and panics.
func (l *Limiter) Release() { l.ReleaseAt(time.Now()) }

// ReleaseAt is Release for those who have just looked at the clock.
func (l *Limiter) ReleaseAt(now time.Time) {
	g := l.gate
	used := now.Sub(g.start)
	g.mu.Lock()
	if l.inFlight == 0 {
		g.mu.Unlock()
		panic("admission: Release without Acquire")
	}
	l.inFlight--
	g.inFlight -= l.limits.Weight
	l.lastUsed = max(l.lastUsed, used) // read outside the lock, so not in order
	if g.queued > 0 {
		l.updateReadyLocked()
		g.dispatchLocked()
	}
	g.mu.Unlock()
}

// updateReadyLocked puts l at the end of the gate's turn or takes it out, after its queue or its count has changed. A
// limiter that stays ready keeps its place.
func (l *Limiter) updateReadyLocked() {
	ready := l.queue.length > 0 && l.inFlight < l.limits.Concurrency
	switch {
	case ready && l.next == nil:
		l.gate.ready.push(l)
	case !ready && l.next != nil:
		l.gate.ready.remove(l)
	}
}

// BodyFirst returns what the Limits say of it.
func (l *Limiter) BodyFirst() bool { return l.limits.BodyFirst }

// Shares returns those of the Limits; nil if there are none.
func (l *Limiter) Shares() *Shares { return l.limits.Shares }

// Spare reports whether less than half of the gate's capacity is taken.
func (l *Limiter) Spare() bool {
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	return 2*l.gate.inFlight < l.gate.capacity
}

// RetryAfter is when a request that was shed may try again: the wait bound in whole seconds, at least one.
func (l *Limiter) RetryAfter() time.Duration {
	seconds := math.Ceil(l.limits.Wait.Seconds())
	return time.Duration(max(1, seconds)) * time.Second
}

// Stats gives the numbers of now.
func (l *Limiter) Stats() Stats {
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	return Stats{
		InFlight: l.inFlight,
		Queued:   l.queue.length,
		Admitted: l.admitted,
		Shed:     l.shed,
		LastUsed: l.gate.start.Add(l.lastUsed),
	}
}
