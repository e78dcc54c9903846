package admission

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// requireUnused checks that no place is taken but spare ones, and that these belong to clients that the share knows.
func requireUnused[K comparable](t *testing.T, s *Share[K]) {
	t.Helper()
	stats := s.Stats()
	require.Equal(t, ShareStats{Shed: stats.Shed}, stats)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare.Sweep(func(*client[K]) bool { return true }, func(c *client[K]) {
		require.Same(t, s.clients[c.key], c)
		if c.taken--; c.taken == 0 {
			delete(s.clients, c.key)
		}
	})
	require.Empty(t, s.clients)
}

func TestShareBoundsEachClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShare[string](2, 3, time.Second)
		var places []Held[string]
		for range 2 {
			p, wait, err := s.Acquire(t.Context(), "a")
			require.NoError(t, err)
			require.Zero(t, wait)
			places = append(places, p)
		}
		type result struct {
			place Held[string]
			err   error
		}
		results := make(chan result, 3)
		for range 3 {
			go func() {
				p, _, err := s.Acquire(t.Context(), "a")
				results <- result{p, err}
			}()
		}
		synctest.Wait()
		_, _, err := s.Acquire(t.Context(), "a")
		require.ErrorIs(t, err, ErrShareFull)
		other, _, err := s.Acquire(t.Context(), "b")
		require.NoError(t, err, "another client is not in its way")
		require.Equal(t, ShareStats{Clients: 2, InFlight: 3, Waiting: 3, Shed: 1}, s.Stats())
		places[0].Release()
		granted := <-results
		require.NoError(t, granted.err, "a waiter takes the place")
		time.Sleep(time.Second)
		require.ErrorIs(t, (<-results).err, ErrWaitTimeout)
		require.ErrorIs(t, (<-results).err, ErrWaitTimeout)
		places[1].Release()
		granted.place.Release()
		other.Release()
		require.Equal(t, ShareStats{Shed: 3}, s.Stats())
		requireUnused(t, s)
		require.Panics(t, other.client.end)
	})
}

func TestShareOfAClientThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShare[int](1, 1, time.Hour)
		p, _, err := s.Acquire(t.Context(), 1)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, wait, err := s.Acquire(ctx, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, wait)
		p.Release()
		requireUnused(t, s)
	})
}

// TestShareOfManyClients checks that spare places of clients that do not come back are forgotten.
func TestShareOfManyClients(t *testing.T) {
	s := NewShare[int](1, 0, 0)
	for client := range 1000 {
		p, _, err := s.Acquire(t.Context(), client)
		require.NoError(t, err)
		p.Release()
	}
	require.LessOrEqual(t, len(s.clients), 4*runtime.GOMAXPROCS(0))
	requireUnused(t, s)
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
				if p, _, err := s.Acquire(ctx, client); err == nil {
					if n := held[client].Add(1); n > inFlight {
						t.Errorf("client %d holds %d", client, n)
					}
					held[client].Add(-1)
					p.Release()
				}
				cancel()
			}
		})
	}
	all.Wait()
	requireUnused(t, s)
}
