// Package turns shares the processors between long-running guests, so that short requests find one free.
//
// Go's scheduler polls the network only when a processor is idle, or every 10 ms. A few
// spinning guests would therefore delay every other request by 10 ms and more. Guests
// that have run for longer than LongAfter take turns here, in FIFO order:
//
//   - While there are short calls, one processor is reserved for them: there is one turn less than processors.
//   - If there was no short call for reserveFor, all processors are used, so that a load of long calls alone loses
//     nothing. One of the holders then pauses briefly in every Period, so that the scheduler polls the network and
//     finds the next short call.
//
// A holder that writes to its client may be blocked for as long as the client likes. It then loses its turn to a waiter.
package turns

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// LongAfter is the guest time after which a call needs a turn. Shorter calls never wait here.
	LongAfter = time.Millisecond
	// Period is the duration of a turn before it is offered to waiting guests.
	Period = time.Millisecond
	// reserveFor is how long after a short call one processor is reserved for the next one.
	reserveFor = 10 * time.Millisecond
	// pause is the sleep of one holder in every Period while all processors are taken. Timer
	// slack makes it 50-100 us on Linux. It only has to leave the processor idle for a moment.
	pause = 10 * time.Microsecond
	// stealPeriod is how often a waiter looks for holders whose writes block.
	stealPeriod = 5 * time.Millisecond
)

// Turns grants turns. Create it with New. It is safe for concurrent use.
type Turns struct {
	base      time.Time    // immutable
	most      int          // immutable; turns when no processor is reserved
	lastShort atomic.Int64 // atomic; nanoseconds since base, 0 before the first short call

	mu        sync.Mutex
	held      int             // guarded by mu
	sends     []*Send         // guarded by mu; in progress, of holders that have not lost their turn
	queue     []chan struct{} // guarded by mu; FIFO; nil entries have left
	lastPause time.Duration   // guarded by mu; since base
}

// New returns Turns with n turns; 0 means GOMAXPROCS.
func New(n int) *Turns {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return &Turns{base: time.Now(), most: n}
}

// Stats is a snapshot of the turns.
type Stats struct {
	Turns   int // turns at this time; one less than processors while short calls arrive
	Held    int // turns in use
	Waiting int // calls that wait for a turn
}

// Stats returns the current state.
func (t *Turns) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Stats{Turns: t.limit(), Held: t.held}
	for _, ready := range t.queue {
		if ready != nil {
			s.Waiting++
		}
	}
	return s
}

// NoteShort records the end of a call that needed no turn. It is cheap, and usually only an atomic load.
func (t *Turns) NoteShort(now time.Time) {
	at := int64(now.Sub(t.base))
	if at-t.lastShort.Load() > int64(reserveFor)/8 {
		t.lastShort.Store(at)
	}
}

// limit returns the current number of turns.
func (t *Turns) limit() int {
	last := t.lastShort.Load()
	if t.most > 1 && last != 0 && int64(time.Since(t.base))-last < int64(reserveFor) {
		return t.most - 1
	}
	return t.most
}

// Acquire waits for a turn until ctx is done or the deadline has passed.
func (t *Turns) Acquire(ctx context.Context, deadline time.Time) error {
	t.mu.Lock()
	if t.held < t.limit() && len(t.queue) == 0 {
		t.held++
		t.mu.Unlock()
		return nil
	}
	ready := make(chan struct{})
	t.queue = append(t.queue, ready)
	t.grantLocked()
	t.mu.Unlock()
	return t.await(ctx, deadline, ready)
}

func (t *Turns) await(ctx context.Context, deadline time.Time, ready chan struct{}) error {
	timer := time.NewTimer(min(time.Until(deadline), stealPeriod))
	defer timer.Stop()
	for {
		select {
		case <-ready:
			return nil
		case <-ctx.Done():
			t.leave(ready)
			return ctx.Err()
		case <-timer.C:
		}
		left := time.Until(deadline)
		if left <= 0 {
			t.leave(ready)
			return context.DeadlineExceeded
		}
		t.steal()
		timer.Reset(min(left, stealPeriod))
	}
}

// Send is the state of a write to the client by the holder of a turn.
type Send struct {
	began time.Duration // immutable while it is in Turns.sends; since base
	lost  bool          // guarded by Turns.mu; the turn was given to a waiter
}

// BeginSend must be called by the holder of a turn before it writes to its client. The
// write may block for as long as the client does not read, and others may wait for a turn.
func (t *Turns) BeginSend(s *Send) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.began, s.lost = time.Since(t.base), false
	t.sends = append(t.sends, s)
}

// EndSend must be called after the write. It reports whether the caller still has its turn.
func (t *Turns) EndSend(s *Send) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.sends, s); i >= 0 {
		t.sends = slices.Delete(t.sends, i, i+1)
	}
	return !s.lost
}

// steal gives the turns of holders whose writes have lasted for Period to waiters.
func (t *Turns) steal() {
	t.mu.Lock()
	defer t.mu.Unlock()
	until := time.Since(t.base) - Period
	t.sends = slices.DeleteFunc(t.sends, func(s *Send) bool {
		if s.lost = s.began <= until; s.lost {
			t.held--
		}
		return s.lost
	})
	t.grantLocked()
}

// leave removes a waiter from the queue, or releases its turn if it was granted in the meantime.
func (t *Turns) leave(ready chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-ready:
		t.held--
	default:
		for i, r := range t.queue {
			if r == ready {
				t.queue[i] = nil
			}
		}
	}
	t.grantLocked()
}

// grantLocked grants free turns to the head of the queue.
func (t *Turns) grantLocked() {
	limit := t.limit()
	for len(t.queue) > 0 && (t.held < limit || t.queue[0] == nil) {
		if ready := t.queue[0]; ready != nil {
			t.held++
			close(ready)
		}
		t.queue[0] = nil
		t.queue = t.queue[1:]
	}
}

// Release returns a turn.
func (t *Turns) Release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held--
	t.grantLocked()
}

// Pass ends a turn that has lasted for Period and waits for the next one. After an
// error the caller holds no turn.
func (t *Turns) Pass(ctx context.Context, deadline time.Time) error {
	t.mu.Lock()
	now := time.Since(t.base)
	if t.held == t.most && now-t.lastPause >= Period {
		t.lastPause = now
		t.mu.Unlock()
		time.Sleep(pause)
		t.mu.Lock()
	}
	if len(t.queue) == 0 && t.held <= t.limit() {
		t.mu.Unlock()
		return nil
	}
	t.held--
	ready := make(chan struct{})
	t.queue = append(t.queue, ready)
	t.grantLocked()
	t.mu.Unlock()
	return t.await(ctx, deadline, ready)
}
