package admission

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// result is the result of an Acquire in its own goroutine.
type result struct {
	wait time.Duration
	err  error
}

func acquireLater(ctx context.Context, l *testLimiter) <-chan result {
	ch := make(chan result, 1)
	go func() {
		wait, err := l.Acquire(ctx)
		ch <- result{wait, err}
	}()
	return ch
}

func acquireNow(t *testing.T, l *testLimiter) {
	t.Helper()
	wait, err := l.Acquire(context.Background())
	require.NoError(t, err)
	require.Zero(t, wait)
}

func TestAdmitsUpToTheCapacity(t *testing.T) {
	g := newTestGate(3)
	a, b := g.NewLimiter(Limits{}), g.NewLimiter(Limits{})
	acquireNow(t, a)
	acquireNow(t, a)
	acquireNow(t, b)
	for _, l := range []*testLimiter{a, b} {
		_, err := l.Acquire(context.Background())
		require.ErrorIs(t, err, ErrQueueFull)
	}
	require.Equal(t, GateStats{Capacity: 3, InFlight: 3}, g.Stats())
	a.Release()
	acquireNow(t, b)
}

func TestAdmitsUpToTheConcurrencyOfTheService(t *testing.T) {
	g := newTestGate(3)
	a, b := g.NewLimiter(Limits{Concurrency: 1}), g.NewLimiter(Limits{})
	acquireNow(t, a)
	_, err := a.Acquire(context.Background())
	require.ErrorIs(t, err, ErrQueueFull)
	require.Equal(t, uint64(1), a.Stats().Shed)
	require.True(t, a.Spare())
	require.True(t, a.Full())
	require.False(t, b.Full())
	acquireNow(t, b)
	a.Release()
	require.False(t, a.Full(), "its place is spare")
	acquireNow(t, a)
}

func TestLimitsAreMadeUsable(t *testing.T) {
	g := newTestGate(-1)
	require.Equal(t, 1, g.Stats().Capacity)
	require.Equal(t, Limits{Concurrency: 1, Weight: 1}, g.NewLimiter(Limits{Queue: -1}).limits)
	require.Equal(t, Limits{Concurrency: 1, Weight: 1}, g.NewLimiter(Limits{Concurrency: 9, Queue: 5}).limits, "no queue without a wait")
}

func TestWaitsUntilARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTestGate(1).NewLimiter(Limits{Queue: 1, Wait: time.Minute})
		acquireNow(t, l)
		waiting := acquireLater(t.Context(), l)
		synctest.Wait()
		require.Equal(t, 1, l.Stats().Queued)
		_, err := l.Acquire(t.Context())
		require.ErrorIs(t, err, ErrQueueFull)
		time.Sleep(59 * time.Second)
		l.Release()
		require.Equal(t, result{wait: 59 * time.Second}, <-waiting)
		l.Release()
		require.Equal(t, uint64(2), l.Stats().Admitted)
	})
}

func TestWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(1)
		l := g.NewLimiter(Limits{Queue: 2, Wait: 3 * time.Second})
		acquireNow(t, l)
		first := acquireLater(t.Context(), l)
		time.Sleep(time.Second)
		second := acquireLater(t.Context(), l)
		require.Equal(t, result{3 * time.Second, ErrWaitTimeout}, <-first)
		l.Release()
		require.Equal(t, result{wait: 2 * time.Second}, <-second)
		require.Equal(t, GateStats{Capacity: 1, InFlight: 1}, g.Stats())
		require.Equal(t, uint64(1), l.Stats().Shed)
	})
}

func TestClientThatLeavesWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(1)
		l := g.NewLimiter(Limits{Queue: 3, Wait: time.Hour})
		acquireNow(t, l)
		ctx, leave := context.WithCancel(t.Context())
		var waiting []<-chan result
		for _, c := range []context.Context{t.Context(), ctx, t.Context()} {
			waiting = append(waiting, acquireLater(c, l))
			synctest.Wait()
		}
		time.Sleep(time.Second)
		leave()
		require.Equal(t, result{time.Second, context.Canceled}, <-waiting[1])
		require.Equal(t, 2, l.Stats().Queued)
		l.Release()
		require.NoError(t, (<-waiting[0]).err)
		l.Release()
		require.NoError(t, (<-waiting[2]).err)
		l.Release()
		require.Equal(t, GateStats{Capacity: 1}, g.Stats())
		require.Zero(t, l.Stats().Shed, "a client that leaves was not shed")
	})
}

func TestDeadlineOfTheContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTestGate(1).NewLimiter(Limits{Queue: 1, Wait: time.Hour})
		acquireNow(t, l)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wait, err := l.Acquire(ctx)
		require.Equal(t, time.Second, wait)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// TestLeavingAndReleaseAtOnce makes the waiter's timeout and its admission coincide, in either order.
func TestLeavingAndReleaseAtOnce(t *testing.T) {
	for range 500 {
		g := newTestGate(1)
		l := g.NewLimiter(Limits{Queue: 1, Wait: time.Hour})
		acquireNow(t, l)
		ctx, leave := context.WithCancel(t.Context())
		waiting := acquireLater(ctx, l)
		go leave()
		l.Release()
		if r := <-waiting; r.err == nil {
			l.Release()
		} else {
			require.ErrorIs(t, r.err, context.Canceled)
		}
		require.Equal(t, GateStats{Capacity: 1}, g.Stats())
	}
}

func TestAdmittedAtTheMomentOfTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			g := newTestGate(1)
			l := g.NewLimiter(Limits{Queue: 1, Wait: time.Second})
			acquireNow(t, l)
			waiting := acquireLater(t.Context(), l)
			synctest.Wait()
			time.Sleep(time.Second) // ends when the timer of the waiter fires
			l.Release()
			if r := <-waiting; r.err == nil {
				l.Release()
			} else {
				require.ErrorIs(t, r.err, ErrWaitTimeout)
			}
			require.Equal(t, GateStats{Capacity: 1}, g.Stats())
		}
	})
}

func TestFirstInFirstOutWithinAService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTestGate(1).NewLimiter(Limits{Queue: 10, Wait: time.Hour})
		acquireNow(t, l)
		var waiting []<-chan result
		for range 10 {
			waiting = append(waiting, acquireLater(t.Context(), l))
			synctest.Wait()
		}
		for i, w := range waiting {
			l.Release()
			require.NoError(t, (<-w).err)
			require.Equal(t, 9-i, l.Stats().Queued)
		}
	})
}

// TestTurnsBetweenServices checks that with n services that have waiters, one more waits
// for at most n releases, independent of the lengths of the queues.
func TestTurnsBetweenServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const greedy, queue = 5, 50
		g := newTestGate(2)
		modest := g.NewLimiter(Limits{Queue: 1, Wait: time.Hour})
		releases := make(chan *testLimiter, greedy*queue+10)
		for range greedy {
			l := g.NewLimiter(Limits{Queue: queue, Wait: time.Hour})
			for range queue {
				go func() {
					if _, err := l.Acquire(t.Context()); err == nil {
						releases <- l
					}
				}()
			}
			synctest.Wait()
		}
		waiting := acquireLater(t.Context(), modest)
		synctest.Wait()
		for range greedy {
			(<-releases).Release()
			synctest.Wait()
		}
		require.Zero(t, modest.Stats().Queued)
		(<-releases).Release()
		require.NoError(t, (<-waiting).err)
		modest.Release()
		for range greedy*queue - greedy - 1 {
			(<-releases).Release()
		}
		require.Equal(t, GateStats{Capacity: 2}, g.Stats())
	})
}

func TestServiceAtItsOwnLimitDoesNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(2)
		narrow := g.NewLimiter(Limits{Concurrency: 1, Queue: 5, Wait: time.Hour})
		wide := g.NewLimiter(Limits{Queue: 5, Wait: time.Hour})
		acquireNow(t, narrow)
		blocked := acquireLater(t.Context(), narrow)
		synctest.Wait()
		acquireNow(t, wide) // overtakes the waiter, which could not use the capacity
		next := acquireLater(t.Context(), wide)
		synctest.Wait()
		wide.Release()
		require.NoError(t, (<-next).err)
		require.Equal(t, 1, narrow.Stats().Queued)
		narrow.Release()
		require.NoError(t, (<-blocked).err)
		narrow.Release()
		wide.Release()
		require.Equal(t, GateStats{Capacity: 2}, g.Stats())
	})
}

func TestLastUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(1)
		time.Sleep(time.Minute)
		l := g.NewLimiter(Limits{})
		require.Equal(t, time.Now(), l.Stats().LastUsed)
		time.Sleep(time.Minute)
		acquireNow(t, l)
		require.Equal(t, time.Minute, time.Since(l.Stats().LastUsed))
		require.Equal(t, 1, l.Stats().InFlight)
		l.Release()
		require.Zero(t, time.Since(l.Stats().LastUsed))
	})
}

func TestReleaseTwicePanics(t *testing.T) {
	g := NewGate(1)
	l := g.NewLimiter(Limits{})
	p, _, err := l.Acquire(t.Context())
	require.NoError(t, err)
	p.Release()
	require.Panics(t, p.Release)
	p, _, err = l.Acquire(t.Context()) // the gate is unchanged and not locked
	require.NoError(t, err)
	p.Release()
	require.Equal(t, GateStats{Capacity: 1}, g.Stats())
}

func TestRetryAfter(t *testing.T) {
	g := newTestGate(1)
	for wait, want := range map[time.Duration]time.Duration{
		0:                       time.Second,
		time.Millisecond:        time.Second,
		time.Second:             time.Second,
		1001 * time.Millisecond: 2 * time.Second,
	} {
		require.Equal(t, want, g.NewLimiter(Limits{Queue: 1, Wait: wait}).RetryAfter())
	}
}

func TestUncontendedAllocatesNothing(t *testing.T) {
	l := NewGate(1).NewLimiter(Limits{Queue: 1, Wait: time.Second})
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		p, _, _ := l.Acquire(ctx)
		p.Release()
	}))
}

func TestLimitIsLoweredAndRaised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(8)
		l := g.NewLimiter(Limits{Concurrency: 4, Queue: 4, Wait: time.Second})
		for range 4 {
			_, err := l.Acquire(t.Context())
			require.NoError(t, err)
		}
		l.Limit(2)
		require.Equal(t, 4, l.Stats().InFlight, "those in flight go on")
		var admitted atomic.Int32
		for range 2 {
			go func() {
				if _, err := l.Acquire(t.Context()); err == nil {
					admitted.Add(1)
				}
			}()
		}
		for ended, want := range []int32{0, 0, 0, 1, 2} {
			if ended > 0 {
				l.Release()
			}
			synctest.Wait()
			require.Equal(t, want, admitted.Load(), "after %d have ended", ended)
		}
		l.Release()
		l.Release()

		for _, unlimited := range []int{0, -1, 5} {
			l.Limit(1)
			l.Limit(unlimited)
			require.Equal(t, 4, l.most, "at most the limit that it was made with")
		}
		l.Limit(1)
		_, err := l.Acquire(t.Context())
		require.NoError(t, err)
		require.True(t, l.Full())
		l.Limit(0)
		require.False(t, l.Full())
	})
}

// TestLimitTakesSparePlacesBack lowers the limit below the number of places that processors keep.
func TestLimitTakesSparePlacesBack(t *testing.T) {
	g := newTestGate(8)
	l := g.NewLimiter(Limits{Concurrency: 4})
	for range 4 {
		_, err := l.Acquire(t.Context())
		require.NoError(t, err)
	}
	for range 4 {
		l.Release()
	}
	l.Limit(1)
	_, err := l.Acquire(t.Context())
	require.NoError(t, err)
	_, err = l.Acquire(t.Context())
	require.ErrorIs(t, err, ErrQueueFull)
}
