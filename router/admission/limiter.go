package admission

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
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
	gate   *Gate       // immutable
	limits Limits      // immutable, normalised
	tight  atomic.Bool // set while requests of the service wait or are too many: none of its places may stay spare. Written with gate.mu held

	// Guarded by gate.mu.
	most       int // requests in flight
	inFlight   int // places given out, including spare ones. More than most only after Limit
	queue      queue
	next, prev *Limiter // links of gate.ready; nil if not in it
	places     []*Place // all ever made; never more than Limits.Concurrency
	free       *Place   // not given out
	shed       uint64
	made       time.Duration // since gate.start
}

// Stats is a snapshot of a limiter's counters.
type Stats struct {
	Most     int       // requests in flight that the service may have
	InFlight int       // admitted and not released
	Queued   int       // waiting
	Admitted uint64    // since the limiter was made
	Shed     uint64    // refused with ErrQueueFull or ErrWaitTimeout since the limiter was made
	LastUsed time.Time // last Release, up to a millisecond earlier, or creation of the limiter; with a monotonic reading
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
	return &Limiter{gate: g, limits: limits, most: limits.Concurrency, made: time.Since(g.start)}
}

// Limit sets the number of requests in flight, at most Limits.Concurrency; 0 or less: Limits.Concurrency. Requests beyond a lower limit
// are not stopped: no others are admitted until they have ended.
func (l *Limiter) Limit(concurrency int) {
	if concurrency <= 0 || concurrency > l.limits.Concurrency {
		concurrency = l.limits.Concurrency
	}
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	if l.most == concurrency {
		return
	}
	l.most = concurrency
	if l.inFlight > l.most {
		l.tightenLocked()
	}
	l.updateLocked()
	l.gate.settleLocked()
}

// Acquire admits one request, after waiting its turn if necessary, and returns its place and the time waited. If the
// error is nil, the caller must release the place once. The error is ErrQueueFull, ErrWaitTimeout, or that of
// the context if it ended during the wait. An ended context does not prevent admission without a wait.
func (l *Limiter) Acquire(ctx context.Context) (p *Place, wait time.Duration, err error) {
	shelf := l.gate.spare.Near()
	p = shelf.Take(func(p *Place) bool { return p.limiter == l })
	if p != nil && l.short() { // it belongs to a waiter
		p.end()
		p = nil
	}
	if p == nil {
		p, wait, err = l.acquire(ctx)
	}
	if p != nil {
		p.shelf, p.held = shelf, true
		p.admitted.Add(1)
	}
	return p, wait, err
}

// short reports whether a place that is released must go to a waiter.
func (l *Limiter) short() bool { return l.tight.Load() || l.gate.tight.Load() }

// acquire is Acquire without a look for a spare place nearby.
func (l *Limiter) acquire(ctx context.Context) (*Place, time.Duration, error) {
	g := l.gate
	g.mu.Lock()
	if l.inFlight < l.most && g.fitsLocked(l) && g.ready.empty() {
		p := l.placeLocked()
		g.mu.Unlock()
		return p, 0, nil
	}
	if l.queue.length > 0 && l.queue.length >= l.limits.Queue {
		l.shed++
		g.mu.Unlock()
		return nil, 0, ErrQueueFull
	}
	w := &waiter{}
	l.queue.push(w)
	g.queued++
	l.tightenLocked()
	l.updateLocked()
	g.settleLocked() // it may find spare places of other services
	if w.granted {
		g.mu.Unlock()
		return w.place, 0, nil
	}
	if l.queue.length > l.limits.Queue {
		l.withdrawLocked(w)
		l.shed++
		g.mu.Unlock()
		return nil, 0, ErrQueueFull
	}
	w.ready = make(chan struct{})
	g.mu.Unlock()
	return l.await(ctx, w)
}

func (l *Limiter) await(ctx context.Context, w *waiter) (*Place, time.Duration, error) {
	begin := time.Now()
	timer := time.NewTimer(l.limits.Wait)
	defer timer.Stop()
	select {
	case <-w.ready:
		return w.place, time.Since(begin), nil
	case <-timer.C:
		if l.leave(w, true) {
			return w.place, time.Since(begin), nil
		}
		return nil, time.Since(begin), ErrWaitTimeout
	case <-ctx.Done():
		if l.leave(w, false) {
			w.place.end() // admitted at the same moment: pass the capacity on
		}
		return nil, time.Since(begin), ctx.Err()
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
	if shed {
		l.shed++
	}
	l.withdrawLocked(w)
	return false
}

// withdrawLocked removes a waiter from the queue. It may have been a heavy request that blocked the others.
func (l *Limiter) withdrawLocked(w *waiter) {
	l.queue.remove(w)
	l.gate.queued--
	l.updateLocked()
	l.gate.settleLocked()
}

// placeLocked takes a place out of the free capacity.
func (l *Limiter) placeLocked() *Place {
	l.inFlight++
	l.gate.inFlight += l.limits.Weight
	p := l.free
	if p == nil {
		p = &Place{limiter: l}
		l.places = append(l.places, p)
		return p
	}
	l.free, p.next = p.next, nil
	return p
}

// takeBackLocked is the reverse of placeLocked.
func (l *Limiter) takeBackLocked(p *Place) {
	l.inFlight--
	l.gate.inFlight -= l.limits.Weight
	l.free, p.next = p, l.free
	l.updateLocked()
}

// tightenLocked takes the spare places of the service back. Until tight is unset, it gets no others.
func (l *Limiter) tightenLocked() {
	if !l.tight.Load() {
		l.tight.Store(true)
		l.gate.collectLocked(l)
	}
}

// updateLocked appends l to the gate's ring or removes it, after its queue or its
// count has changed. A limiter that stays ready keeps its place.
func (l *Limiter) updateLocked() {
	if l.queue.length == 0 && l.inFlight <= l.most && l.tight.Load() {
		l.tight.Store(false)
	}
	ready := l.queue.length > 0 && l.inFlight < l.most
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
	return 2*l.gate.usedLocked() < l.gate.capacity
}

// Relaxed reports whether at most half of the requests that the service may have would be in flight with n more, and none waits.
func (l *Limiter) Relaxed(n int) bool {
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	return l.queue.length == 0 && 2*(l.usedLocked()+n) <= l.most
}

// Full reports whether the service itself has as many requests as it may have, or some that wait.
func (l *Limiter) Full() bool {
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	return l.queue.length > 0 || l.usedLocked() >= l.most
}

// usedLocked returns the number of requests with a place. It is exact while no request begins or ends.
func (l *Limiter) usedLocked() int {
	used := l.inFlight
	l.gate.spare.Each(func(p *Place) {
		if p.limiter == l {
			used--
		}
	})
	return max(0, used)
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
	admitted, used := uint64(0), l.made
	for _, p := range l.places {
		admitted += p.admitted.Load()
		used = max(used, time.Duration(p.used.Load()))
	}
	return Stats{
		Most:     l.most,
		InFlight: l.usedLocked(),
		Queued:   l.queue.length,
		Admitted: admitted,
		Shed:     l.shed,
		LastUsed: l.gate.start.Add(used),
	}
}
