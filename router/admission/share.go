package admission

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/spare"
)

// ErrShareFull is returned by Share.Acquire if the client has reached its limits of
// requests in flight and waiting.
var ErrShareFull = errors.New("admission: the client has its share of requests in flight and waiting")

// Share limits the shared capacity that each client may take. A request acquires a place
// of its client before a Limiter admits it. If none is free, it waits among the requests
// of its client, where it blocks no other client. It is safe for concurrent use.
type Share[K comparable] struct {
	inFlight int                       // immutable; per client, admitted or in the queue of a service
	waiting  int                       // immutable; per client
	wait     time.Duration             // immutable; longest wait
	spare    *spare.Shelves[client[K]] // places without a request, which count as taken

	_       [64]byte // all processors read the fields above
	mu      sync.Mutex
	clients map[K]*client[K] // guarded by mu; only those with places taken
	shed    uint64           // guarded by mu
}

// client is one client of a share. Its places are all alike: that one is spare means that the client is on a shelf.
type client[K comparable] struct {
	share *Share[K]   // immutable
	key   K           // immutable
	tight atomic.Bool // set while requests wait: no place may stay spare. Written with share.mu held

	taken int   // guarded by share.mu; places, including spare ones
	queue queue // guarded by share.mu
}

// Held is a place of a client. The zero Held is none.
type Held[K comparable] struct {
	client *client[K]
	shelf  *spare.Shelf[client[K]]
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
	spare := make(map[*client[K]]int)
	s.spare.Each(func(c *client[K]) { spare[c]++ })
	stats := ShareStats{Shed: s.shed}
	for _, c := range s.clients {
		if taken := c.taken - spare[c]; taken > 0 {
			stats.Clients++
			stats.InFlight += taken
		}
		stats.Waiting += c.queue.length
	}
	return stats
}

// NewShare returns a Share with the given limits for each client: requests in flight,
// waiting requests, and the longest wait. An inFlight below 1 is raised to 1.
func NewShare[K comparable](inFlight, waiting int, wait time.Duration) *Share[K] {
	s := &Share[K]{inFlight: max(1, inFlight), waiting: max(0, waiting), wait: wait}
	s.clients, s.spare = make(map[K]*client[K]), spare.New[client[K]]()
	return s
}

// Acquire takes a place of the client, after waiting for one if necessary, and returns it and
// the time waited. If the error is nil, the caller must release the place once. The error is
// ErrShareFull, ErrWaitTimeout, or that of the context.
func (s *Share[K]) Acquire(ctx context.Context, key K) (Held[K], time.Duration, error) {
	shelf := s.spare.Near()
	c := shelf.Take(func(c *client[K]) bool { return c.key == key })
	if c != nil && !c.tight.Load() {
		return Held[K]{c, shelf}, 0, nil
	}
	if c != nil { // it belongs to a waiter
		c.end()
	}
	s.mu.Lock()
	c = s.clients[key]
	if c == nil {
		c = &client[K]{share: s, key: key}
		s.clients[key] = c
	}
	w, err := c.enterLocked()
	s.mu.Unlock()
	switch {
	case err != nil:
		return Held[K]{}, 0, err
	case w == nil:
		return Held[K]{c, shelf}, 0, nil
	}
	wait, err := c.await(ctx, w)
	if err != nil {
		return Held[K]{}, wait, err
	}
	return Held[K]{c, shelf}, wait, nil
}

// enterLocked takes a place, or returns a waiter for one.
func (c *client[K]) enterLocked() (*waiter, error) {
	s := c.share
	if c.taken >= s.inFlight && !c.tight.Load() {
		c.tight.Store(true)
		s.spare.Sweep(func(o *client[K]) bool { return o == c }, func(*client[K]) { c.taken-- })
	}
	var err error
	switch {
	case c.taken < s.inFlight:
		c.taken++
	case s.wait <= 0 || c.queue.length >= s.waiting:
		s.shed++
		err = ErrShareFull
	default:
		w := &waiter{ready: make(chan struct{})}
		c.queue.push(w)
		return w, nil
	}
	c.tight.Store(c.queue.length > 0)
	return nil, err
}

// await waits for a place.
func (c *client[K]) await(ctx context.Context, w *waiter) (time.Duration, error) {
	begin := time.Now()
	timer := time.NewTimer(c.share.wait)
	defer timer.Stop()
	err := ErrWaitTimeout
	select {
	case <-w.ready:
		return time.Since(begin), nil
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if c.leave(w, err == ErrWaitTimeout) { // granted at the same moment
		if err == ErrWaitTimeout {
			return time.Since(begin), nil
		}
		c.end()
	}
	return time.Since(begin), err
}

// leave removes a waiter. It reports whether the waiter was granted a place before.
func (c *client[K]) leave(w *waiter, shed bool) (granted bool) {
	s := c.share
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.granted {
		return true
	}
	if shed {
		s.shed++
	}
	c.queue.remove(w)
	c.tight.Store(c.queue.length > 0)
	return false
}

// Release returns the place, to the client's oldest waiter if it has one. The caller must not use h afterwards.
func (h Held[K]) Release() {
	if h.client == nil {
		return
	}
	if h.client.tight.Load() {
		h.client.end()
		return
	}
	if displaced := h.shelf.Put(h.client); displaced != nil {
		displaced.end()
	}
	if h.client.tight.Load() && h.shelf.Retract(h.client) { // others began to wait before they could find it
		h.client.end()
	}
}

// end returns a place without a request, to the oldest waiter if there is one.
func (c *client[K]) end() {
	s := c.share
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := c.queue.pop(); w != nil {
		w.granted = true
		close(w.ready)
		c.tight.Store(c.queue.length > 0)
		return
	}
	if c.taken == 0 {
		panic("admission: Release without Acquire")
	}
	if c.taken--; c.taken == 0 {
		delete(s.clients, c.key)
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
