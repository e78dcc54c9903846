package admission

import (
	"context"
	"errors"
	"math"
	"time"
)

// Errors of Acquire. Both mean that the server is too busy. A later request may be admitted.
var (
	ErrQueueFull   = errors.New("admission: the queue of the service is full")
	ErrWaitTimeout = errors.New("admission: no capacity became free within the wait bound of the service")
)

// Limits configures the Limiter of a service.
type Limits struct {
	Concurrency int           // requests in flight; 0 or less: as many as the gate admits
	Weight      int           // capacity units taken by one request, all at once; 0 or less: 1
	Queue       int           // waiting requests; 0 or less: no queue
	Wait        time.Duration // longest wait; 0 or less: no queue
	Shares      *Shares       // shares of connections and clients, to be acquired first by the caller; nil: none
	BodyFirst   bool          // the caller must have a part of the body before it calls Acquire
}

// Limiter admits the requests of one service. All versions of the service share it. It
// is safe for concurrent use. An unused limiter needs no Close.
type Limiter struct {
	gate   *Gate  // immutable
	limits Limits // immutable, normalised

	// Guarded by gate.mu.
	inFlight   int
	queue      queue
	next, prev *Limiter // links of gate.ready; nil if not in it
	admitted   uint64
	shed       uint64
	lastUsed   time.Duration // since gate.start
}

// Stats is a snapshot of a limiter's counters.
type Stats struct {
	InFlight int       // admitted and not released
	Queued   int       // waiting
	Admitted uint64    // since the limiter was made
	Shed     uint64    // refused with ErrQueueFull or ErrWaitTimeout since the limiter was made
	LastUsed time.Time // last Release, or creation of the limiter; with a monotonic reading
}

// NewLimiter returns the limiter of a service.
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

// Acquire admits one request, after waiting its turn if necessary, and returns the time waited. If the
// error is nil, the caller must call Release once. The error is ErrQueueFull, ErrWaitTimeout, or that of
// the context if it ended during the wait. An ended context does not prevent admission without a wait.
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
			l.Release() // admitted at the same moment: pass the capacity on
		}
		return time.Since(begin), ctx.Err()
	}
}

// leave removes a waiter from the queue. It reports whether the waiter was admitted before.
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
	g.dispatchLocked() // w may have been a heavy request that blocked the others
	return false
}

// Release returns the capacity of one Acquire. It panics if there was none.
func (l *Limiter) Release() { l.ReleaseAt(time.Now()) }

// ReleaseAt is Release for callers that know the current time.
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
	l.lastUsed = max(l.lastUsed, used) // now was read before the lock was taken, so calls can be out of order
	if g.queued > 0 {
		l.updateReadyLocked()
		g.dispatchLocked()
	}
	g.mu.Unlock()
}

// updateReadyLocked appends l to the gate's ring or removes it, after its queue or its
// count has changed. A limiter that stays ready keeps its place.
func (l *Limiter) updateReadyLocked() {
	ready := l.queue.length > 0 && l.inFlight < l.limits.Concurrency
	switch {
	case ready && l.next == nil:
		l.gate.ready.push(l)
	case !ready && l.next != nil:
		l.gate.ready.remove(l)
	}
}

// BodyFirst returns Limits.BodyFirst.
func (l *Limiter) BodyFirst() bool { return l.limits.BodyFirst }

// Shares returns Limits.Shares, which may be nil.
func (l *Limiter) Shares() *Shares { return l.limits.Shares }

// Spare reports whether less than half of the gate's capacity is in use.
func (l *Limiter) Spare() bool {
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	return 2*l.gate.inFlight < l.gate.capacity
}

// RetryAfter returns the delay after which a shed request may be retried: the wait
// bound in whole seconds, at least one.
func (l *Limiter) RetryAfter() time.Duration {
	seconds := math.Ceil(l.limits.Wait.Seconds())
	return time.Duration(max(1, seconds)) * time.Second
}

// Stats returns the current counters.
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
