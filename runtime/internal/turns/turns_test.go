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

func TestNeverMoreTurnsThanProcessors(t *testing.T) {
	turns := New(2)
	var holders, most atomic.Int32
	var wg sync.WaitGroup
	deadline := time.Now().Add(time.Minute)
	for range 8 {
		wg.Go(func() {
			if turns.Acquire(t.Context(), deadline) != nil {
				return
			}
			for range 200 {
				n := holders.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				holders.Add(-1)
				if turns.Pass(t.Context(), deadline) != nil {
					return
				}
			}
			turns.Release()
		})
	}
	wg.Wait()
	require.LessOrEqual(t, most.Load(), int32(2))
	require.Empty(t, turns.tokens, "every turn came back")
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
			synctest.Wait() // the waiter is parked before the next one comes
		}
		turns.Release()
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2, 3, 4}, order)
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

func TestPassPausesOncePerPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := New(1)
		deadline := time.Now().Add(time.Hour)
		require.NoError(t, turns.Acquire(t.Context(), deadline))
		time.Sleep(Period)
		before := time.Now()
		require.NoError(t, turns.Pass(t.Context(), deadline))
		require.Equal(t, pause, time.Since(before), "all turns taken: the holder pauses")
		before = time.Now()
		require.NoError(t, turns.Pass(t.Context(), deadline))
		require.Zero(t, time.Since(before), "not again within the period")
	})
}
