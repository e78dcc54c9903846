// Package turns shares the processors between guests that run for long, so that short requests find one free.
//
// Go's scheduler looks for network events only when a processor has nothing else to run, or every 10 ms. A few guests
// that spin would therefore delay every other request by 10 ms and more. Guests that have run for longer than
// LongAfter take turns here instead: at most as many of them as there are processors are runnable at any time, first
// in first out, and when they hold all processors one of them pauses briefly in every Period, so that the scheduler
// polls the network.
package turns

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// LongAfter is the guest time after which a call needs a turn. Shorter calls never touch this package.
	LongAfter = time.Millisecond
	// Period is how long a turn lasts before it is offered to those that wait.
	Period = time.Millisecond
	// pause is how long one holder sleeps in every Period when all turns are taken. The timer's own slack
	// makes it 50-100 us on Linux; what counts is that the processor has nothing to run for a moment.
	pause = 10 * time.Microsecond
)

// Turns hands out turns. The zero value is not usable; see New.
type Turns struct {
	tokens    chan struct{} // immutable; a token in the channel is a turn taken
	lastPause atomic.Int64  // atomic; nanoseconds since base
	base      time.Time     // immutable
}

// New returns a Turns with n turns; 0 stands for one for each processor Go uses.
func New(n int) *Turns {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return &Turns{tokens: make(chan struct{}, n), base: time.Now()}
}

// Acquire waits for a turn, until ctx is done or the deadline is past. Those that wait are served first in first out.
func (t *Turns) Acquire(ctx context.Context, deadline time.Time) error {
	select {
	case t.tokens <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case t.tokens <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return context.DeadlineExceeded
	}
}

// Release gives a turn back.
func (t *Turns) Release() { <-t.tokens }

// Pass ends a turn that has lasted for Period and waits for the next one. When all turns are taken it first pauses,
// unless another holder did so within the last Period.
func (t *Turns) Pass(ctx context.Context, deadline time.Time) error {
	if len(t.tokens) == cap(t.tokens) {
		now, last := int64(time.Since(t.base)), t.lastPause.Load()
		if now-last >= int64(Period) && t.lastPause.CompareAndSwap(last, now) {
			time.Sleep(pause)
		}
	}
	t.Release()
	return t.Acquire(ctx, deadline)
}
