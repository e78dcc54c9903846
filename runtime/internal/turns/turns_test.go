package turns

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHammer lets many calls take, pass and abandon turns while others end early.
func TestHammer(t *testing.T) {
	turns := New(3)
	var holders, most atomic.Int32
	var wg sync.WaitGroup
	deadline := time.Now().Add(time.Minute)
	for i := range 12 {
		wg.Go(func() {
			for range 100 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%4 == 0 {
					cancel() // may still get a turn, if one is free
				}
				if turns.Acquire(ctx, deadline) == nil {
					n := holders.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					turns.NoteShort(time.Now())
					holders.Add(-1)
					if turns.Pass(ctx, deadline) == nil {
						turns.Release()
					}
				}
				cancel()
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, most.Load(), int32(3))
	require.Zero(t, turns.held, "every turn came back")
	require.Empty(t, turns.queue)
}

func TestWaitersAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := New(1)
		deadline := time.Now().Add(time.Hour)
		require.NoError(t, turns.Acquire(t.Context(), deadline))
		var order []int
		var mu sync.Mutex
		for i := range 5 {
			go func() {
				if err := turns.Acquire(t.Context(), deadline); err != nil {
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				turns.Release()
			}()
			synctest.Wait() // the waiter is blocked before the next one starts
		}
		require.Equal(t, Stats{Turns: 1, Held: 1, Waiting: 5}, turns.Stats())
		turns.Release()
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2, 3, 4}, order)
		require.Equal(t, Stats{Turns: 1}, turns.Stats())
	})
}

func TestAcquireEndsAtTheDeadlineAndOnCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := New(1)
		start := time.Now()
		require.NoError(t, turns.Acquire(t.Context(), start.Add(time.Hour)))
		require.ErrorIs(t, turns.Acquire(t.Context(), start.Add(time.Second)), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))

		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		require.ErrorIs(t, turns.Acquire(ctx, start.Add(time.Hour)), context.Canceled)

		turns.Release()
		require.NoError(t, turns.Acquire(t.Context(), start.Add(time.Hour)), "an abandoned wait takes no turn")
	})
}

func TestOneProcessorIsLeftToShortCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := New(2)
		deadline := time.Now().Add(time.Hour)
		time.Sleep(time.Second)
		for range 2 {
			require.NoError(t, turns.Acquire(t.Context(), deadline), "all processors, as long as no call is short")
		}
		turns.NoteShort(time.Now())
		passed := make(chan error, 2)
		go func() { passed <- turns.Pass(t.Context(), deadline) }()
		synctest.Wait()
		require.Empty(t, passed, "one of the two has to wait now")
		time.Sleep(reserveFor)
		require.NoError(t, turns.Pass(t.Context(), deadline))
		synctest.Wait()
		require.NoError(t, <-passed, "and goes on when no short call has come for a while")
		turns.Release()
		turns.Release()
	})
}

func TestPassPausesOncePerPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := New(1)
		deadline := time.Now().Add(time.Hour)
		require.NoError(t, turns.Acquire(t.Context(), deadline))
		time.Sleep(Period)
		before := time.Now()
		require.NoError(t, turns.Pass(t.Context(), deadline))
		require.Equal(t, pause, time.Since(before), "all processors are taken: the holder pauses")
		before = time.Now()
		require.NoError(t, turns.Pass(t.Context(), deadline))
		require.Zero(t, time.Since(before), "not again within the period")
	})
}

func TestBlockedSendLosesItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := New(2)
		deadline := time.Now().Add(time.Hour)
		var blocked, quick Send
		for range 2 {
			require.NoError(t, turns.Acquire(t.Context(), deadline))
		}
		turns.BeginSend(&quick)
		require.True(t, turns.EndSend(&quick))
		turns.BeginSend(&blocked)
		time.Sleep(time.Minute)
		require.NoError(t, turns.Acquire(t.Context(), deadline))
		require.False(t, turns.EndSend(&blocked))
		turns.Release()
		turns.Release()
		require.Zero(t, turns.held)
		require.Empty(t, turns.sends)

		require.NoError(t, turns.Acquire(t.Context(), deadline))
		turns.BeginSend(&blocked)
		time.Sleep(time.Minute)
		require.True(t, turns.EndSend(&blocked), "no call waits for a turn")
		turns.Release()
	})
}
