package admission

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// ErrShareFull is returned by Share.Acquire if the client has reached its limits of
// requests in flight and waiting.
var ErrShareFull = errors.New("admission: the client has its share of requests in flight and waiting")

// Share limits the shared capacity that each client may take. A request acquires a place
// of its client before a Limiter admits it. If none is free, it waits among the requests
// of its client, where it blocks no other client. It is safe for concurrent use.
type Share[K comparable] struct {
	inFlight int           // immutable; per client, admitted or in the queue of a service
	waiting  int           // immutable; per client
	wait     time.Duration // immutable; longest wait

	mu      sync.Mutex
	taken   map[K]int    // guarded by mu; only clients with places taken
	waiters map[K]*queue // guarded by mu; only clients with waiters
	shed    uint64       // guarded by mu
}

// ShareStats is a snapshot of a Share.
type ShareStats struct {
	Clients  int    // with places taken
	InFlight int    // places taken
	Waiting  int    // requests that wait for a place
	Shed     uint64 // requests refused with ErrShareFull or ErrWaitTimeout since NewShare
}

// Stats returns the current state. It takes time in proportion to the number of clients.
func (s *Share[K]) Stats() ShareStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := ShareStats{Clients: len(s.taken), Shed: s.shed}
	for _, taken := range s.taken {
		stats.InFlight += taken
	}
	for _, line := range s.waiters {
		stats.Waiting += line.length
	}
	return stats
}

// NewShare returns a Share with the given limits for each client: requests in flight,
// waiting requests, and the longest wait. An inFlight below 1 is raised to 1.
func NewShare[K comparable](inFlight, waiting int, wait time.Duration) *Share[K] {
	return &Share[K]{inFlight: max(1, inFlight), waiting: max(0, waiting), wait: wait, taken: make(map[K]int), waiters: make(map[K]*queue)}
}

// Acquire takes a place of the client, after waiting for one if necessary, and returns
// the time waited. If the error is nil, the caller must call Release once. The error is
// ErrShareFull, ErrWaitTimeout, or that of the context.
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
		s.shed++
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
	if s.leave(client, w, err == ErrWaitTimeout) { // granted at the same moment
		if err == ErrWaitTimeout {
			return time.Since(begin), nil
		}
		s.Release(client)
	}
	return time.Since(begin), err
}

// leave removes a waiter. It reports whether the waiter was granted a place before.
func (s *Share[K]) leave(client K, w *waiter, shed bool) (granted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.granted {
		return true
	}
	if shed {
		s.shed++
	}
	line := s.waiters[client]
	if line.remove(w); line.length == 0 {
		delete(s.waiters, client)
	}
	return false
}

// Release returns a place, to the client's oldest waiter if it has one.
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

// Shares limits the capacity of each connection and each client.
type Shares struct {
	Connections *Share[string]     // by a name unique among open connections
	Clients     *Share[netip.Addr] // by address
}

// NewShares returns shares with the same limits for connections and clients.
func NewShares(inFlight, waiting int, wait time.Duration) *Shares {
	return &Shares{Connections: NewShare[string](inFlight, waiting, wait), Clients: NewShare[netip.Addr](inFlight, waiting, wait)}
}
