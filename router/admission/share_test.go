package admission

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestShareBoundsEachClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShare[string](2, 3, time.Second)
		for range 2 {
			wait, err := s.Acquire(t.Context(), "a")
			require.NoError(t, err)
			require.Zero(t, wait)
		}
		results := make(chan error, 3)
		for range 3 {
			go func() {
				_, err := s.Acquire(t.Context(), "a")
				results <- err
			}()
		}
		synctest.Wait()
		_, err := s.Acquire(t.Context(), "a")
		require.ErrorIs(t, err, ErrShareFull)
		_, err = s.Acquire(t.Context(), "b")
		require.NoError(t, err, "another client is not in its way")
		require.Equal(t, ShareStats{Clients: 2, InFlight: 3, Waiting: 3, Shed: 1}, s.Stats())
		s.Release("a")
		require.NoError(t, <-results, "a waiter takes the place")
		time.Sleep(time.Second)
		require.ErrorIs(t, <-results, ErrWaitTimeout)
		require.ErrorIs(t, <-results, ErrWaitTimeout)
		s.Release("a")
		s.Release("a")
		s.Release("b")
		require.Equal(t, ShareStats{Shed: 3}, s.Stats())
		require.Empty(t, s.taken)
		require.Empty(t, s.waiters)
		require.Panics(t, func() { s.Release("a") })
	})
}

func TestShareOfAClientThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShare[int](1, 1, time.Hour)
		_, err := s.Acquire(t.Context(), 1)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wait, err := s.Acquire(ctx, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, wait)
		s.Release(1)
		require.Empty(t, s.taken)
		require.Empty(t, s.waiters)
	})
}

// In any order of acquiring, leaving and releasing, no place is lost and no client exceeds its share.
func TestShareHammer(t *testing.T) {
	const inFlight, clients, goroutines, rounds = 3, 4, 32, 200
	s := NewShare[int](inFlight, 8, time.Millisecond)
	var held [clients]atomic.Int32
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range rounds {
				client := rand.IntN(clients)
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(int(2*time.Millisecond))))
				if _, err := s.Acquire(ctx, client); err == nil {
					if n := held[client].Add(1); n > inFlight {
						t.Errorf("client %d holds %d", client, n)
					}
					held[client].Add(-1)
					s.Release(client)
				}
				cancel()
			}
		})
	}
	all.Wait()
	require.Empty(t, s.taken)
	require.Empty(t, s.waiters)
}
