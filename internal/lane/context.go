package lane

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// requestContext is the context of a request. It ends when the client disconnects or the request is over. It is cheap
// until it is used: the first Done asks to watch the client, and an Err that comes watchAfter after the first one.
type requestContext struct {
	conn *conn           // immutable
	base context.Context // immutable; that of the connection

	mu     sync.Mutex
	ended  bool               // guarded by mu, as all below
	polled time.Time          // first Err
	inner  context.Context    // has the channel of Done; nil before the first Done
	cancel context.CancelFunc // of inner
}

// Deadline implements context.Context.
func (c *requestContext) Deadline() (time.Time, bool) { return c.base.Deadline() }

// Done implements context.Context.
func (c *requestContext) Done() <-chan struct{} {
	c.mu.Lock()
	if c.inner == nil {
		c.inner, c.cancel = context.WithCancel(c.base)
		if c.ended {
			c.cancel()
		}
	}
	done, ended := c.inner.Done(), c.ended
	c.mu.Unlock()
	if !ended {
		c.conn.watch.ask(c)
	}
	return done
}

// Err implements context.Context.
func (c *requestContext) Err() error {
	c.mu.Lock()
	ended, now := c.ended, time.Now()
	if c.polled.IsZero() {
		c.polled = now
	}
	again := now.Sub(c.polled) >= watchAfter
	c.mu.Unlock()
	if ended {
		return context.Canceled
	}
	if again {
		c.conn.watch.ask(c)
	}
	return c.base.Err()
}

// Value implements context.Context. Package context finds its own context by it: contexts that are derived from
// this one end with it, without a goroutine each.
func (c *requestContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		return c.conn.server.http
	case http.LocalAddrContextKey:
		return c.conn.local
	}
	c.mu.Lock()
	inner := c.inner
	c.mu.Unlock()
	if inner != nil {
		return inner.Value(key)
	}
	return c.base.Value(key)
}

// used reports whether a context was derived from this one, or its end is awaited.
func (c *requestContext) used() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inner != nil
}

// end ends the context.
func (c *requestContext) end() {
	c.mu.Lock()
	c.ended = true
	cancel := c.cancel
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}
