package conns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Config bounds the connections of a listener. None of the values may be 0, but for the times of a listener that nobody watches.
type Config struct {
	Flag           string        // chooses the address, for messages
	MaxConnections int           // open at a time; those beyond wait in the kernel's queue
	First          time.Duration // until the header of the first request is there
	Idle           time.Duration // until the header of a later request is there
	Write          time.Duration // for the client to take one piece of what is written
}

// tick is how exact the times of a Config are kept.
const tick = time.Second

// Listener deals in TCP connections, not in the net.Conn interface, because the HTTP server asks its connections for more than that
// has: closing the writing side alone, and sending from files.
type Listener struct {
	*net.TCPListener                    // immutable
	cfg              Config             // immutable
	places           chan struct{}      // one sent for each open connection
	closing          context.Context    // immutable
	beginClosing     context.CancelFunc // immutable
	ticks            atomic.Int64       // atomic; begins at 1

	mu   sync.Mutex
	open map[*conn]struct{} // guarded by mu
}

// Listen opens the listener; its address has the real port. Nothing is bounded in time before Watch runs.
func Listen(ctx context.Context, address string, cfg Config) (*Listener, error) {
	inner, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use, perhaps by another server: stop that, or choose another address with %s (port 0 takes a free one)", address, cfg.Flag)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	l := &Listener{TCPListener: inner.(*net.TCPListener), cfg: cfg, places: make(chan struct{}, cfg.MaxConnections),
		open: make(map[*conn]struct{})}
	l.closing, l.beginClosing = context.WithCancel(context.Background())
	l.ticks.Store(1)
	return l, nil
}

// Accept waits for a free place, then for a connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closing.Done():
		return nil, net.ErrClosed
	}
	accepted, err := l.AcceptTCP()
	if err != nil {
		<-l.places
		return nil, err
	}
	c := &conn{TCPConn: accepted, ticks: &l.ticks}
	c.idleSince.Store(l.ticks.Load())
	c.release = sync.OnceFunc(func() { l.forget(c) })
	l.mu.Lock()
	l.open[c] = struct{}{}
	l.mu.Unlock()
	return c, nil
}

// forget gives the place of a connection back.
func (l *Listener) forget(c *conn) {
	l.mu.Lock()
	delete(l.open, c)
	l.mu.Unlock()
	<-l.places
}

// Close makes Accept return, also where it waits for a place. Open connections stay open.
func (l *Listener) Close() error {
	l.beginClosing()
	return l.TCPListener.Close()
}

// ConnState is for the HTTP server, which tells by it what its connections are at.
func (l *Listener) ConnState(c net.Conn, state http.ConnState) {
	own, ok := c.(*conn)
	if !ok {
		return
	}
	switch state {
	case http.StateIdle: // and as long as no header is complete
		own.served.Store(true)
		own.idleSince.Store(l.ticks.Load())
	case http.StateActive:
		own.idleSince.Store(0)
	case http.StateHijacked: // whoever has it decides how long its peer may be silent
		own.given.Store(true)
	}
}

// Watch ends connections that have been idle for too long, and writes that have waited for too long, until ctx ends.
func (l *Listener) Watch(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.look()
		case <-ctx.Done():
			return
		}
	}
}

// look lets the clock tick and looks at all connections. A deadline that is over, rather than closing the connection, lets its owner see
// an error where it waits, and nothing where it does not.
func (l *Listener) look() {
	now := l.ticks.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		patience := l.cfg.First
		if c.served.Load() {
			patience = l.cfg.Idle
		}
		if over(c.idleSince.Load(), now, patience) {
			_ = c.SetReadDeadline(time.Unix(1, 0)) // an error: it is closed
		}
		if over(c.writingSince.Load(), now, l.cfg.Write) && !c.given.Load() {
			_ = c.SetWriteDeadline(time.Unix(1, 0))
		}
	}
}

// over tells whether what has begun at a tick, if at all, has lasted for longer than the limit.
func over(since, now int64, limit time.Duration) bool {
	return since != 0 && time.Duration(now-since)*tick > limit
}
