package admission

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// ErrShareFull is returned by Share.Acquire: the client has as many requests in flight, and waiting, as one client may.
var ErrShareFull = errors.New("admission: the client has its share of requests in flight and waiting")

// Share bounds what each client may take of the capacity that all services share. A request takes a place of its client before it is
// admitted by a Limiter, or waits for one among its client's, where it is in nobody else's way. It is safe for concurrent use.
type Share[K comparable] struct {
	inFlight int           // immutable; of one client, admitted or in the queue of a service
	waiting  int           // immutable; of one client
	wait     time.Duration // immutable; longest wait

	mu      sync.Mutex
	taken   map[K]int    // guarded by mu; clients with none are not there
	waiters map[K]*queue // guarded by mu; clients without waiters are not there
}

// NewShare returns a share of inFlight requests in flight and as many as waiting that wait, at most for wait. An inFlight below 1 is taken for 1.
func NewShare[K comparable](inFlight, waiting int, wait time.Duration) *Share[K] {
	return &Share[K]{inFlight: max(1, inFlight), waiting: max(0, waiting), wait: wait, taken: make(map[K]int), waiters: make(map[K]*queue)}
}

// Acquire takes a place of the client, after waiting for one if it must, and returns how long it waited. On nil the caller owes one
// Release. The error is ErrShareFull, ErrWaitTimeout, or the context's.
func (s *Share[K]) Acquire(ctx context.Context, client K) (time.Duration, error) {
	s.mu.Lock()
	taken := s.taken[client]
	if taken < s.inFlight {
		s.taken[client] = taken + 1
		s.mu.Unlock()
		return 0, nil
	}
	line := s.waiters[client]
	if s.wait <= 0 || s.waiting == 0 || line != nil && line.length >= s.waiting {
		s.mu.Unlock()
		return 0, ErrShareFull
	}
	if line == nil {
		line = &queue{}
		s.waiters[client] = line
	}
	w := &waiter{ready: make(chan struct{})}
	line.push(w)
	s.mu.Unlock()
	begin := time.Now()
	timer := time.NewTimer(s.wait)
	defer timer.Stop()
	err := ErrWaitTimeout
	select {
	case <-w.ready:
		return time.Since(begin), nil
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if s.leave(client, w) { // granted in the same moment
		if err == ErrWaitTimeout {
			return time.Since(begin), nil
		}
		s.Release(client)
	}
	return time.Since(begin), err
}

// leave takes a waiter out, and reports whether it was granted a place before.
func (s *Share[K]) leave(client K, w *waiter) (granted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.granted {
		return true
	}
	line := s.waiters[client]
	if line.remove(w); line.length == 0 {
		delete(s.waiters, client)
	}
	return false
}

// Release gives a place back, to the client's oldest waiter if it has one.
func (s *Share[K]) Release(client K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if line := s.waiters[client]; line != nil {
		w := line.pop()
		w.granted = true
		close(w.ready)
		if line.length == 0 {
			delete(s.waiters, client)
		}
		return
	}
	taken := s.taken[client]
	switch {
	case taken == 0:
		panic("admission: Release without Acquire")
	case taken == 1:
		delete(s.taken, client)
	default:
		s.taken[client] = taken - 1
	}
}

// Shares bound what each connection and each client may take.
type Shares struct {
	Connections *Share[string]     // by a name that no other open connection has
	Clients     *Share[netip.Addr] // by address
}

// NewShares returns shares of the same size for connections and clients.
func NewShares(inFlight, waiting int, wait time.Duration) *Shares {
	return &Shares{Connections: NewShare[string](inFlight, waiting, wait), Clients: NewShare[netip.Addr](inFlight, waiting, wait)}
}
