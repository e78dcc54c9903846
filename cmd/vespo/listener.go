package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// boundedListener has at most a fixed number of connections open; those beyond wait in the kernel's queue until one is
// closed. It deals in TCP connections, not in the net.Conn interface, because the HTTP server asks its connections for more
// than that has: closing the writing side alone, and sending from files.
type boundedListener struct {
	*net.TCPListener                    // immutable
	places           chan struct{}      // one sent for each open connection
	closing          context.Context    // immutable
	beginClosing     context.CancelFunc // immutable
}

// listen opens the listener; its address has the real port.
func listen(ctx context.Context, address string, maxConnections int) (*boundedListener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use, perhaps by another server: stop that, or choose another address with --listen (port 0 takes a free one)", address)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	b := &boundedListener{TCPListener: l.(*net.TCPListener), places: make(chan struct{}, maxConnections)}
	b.closing, b.beginClosing = context.WithCancel(context.Background())
	return b, nil
}

// Accept waits for a free place, then for a connection.
func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closing.Done():
		return nil, net.ErrClosed
	}
	conn, err := l.AcceptTCP()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &boundedConn{TCPConn: conn, release: sync.OnceFunc(func() { <-l.places })}, nil
}

// Close makes Accept return, also where it waits for a place. Open connections stay open.
func (l *boundedListener) Close() error {
	l.beginClosing()
	return l.TCPListener.Close()
}

// boundedConn gives its place back with the first Close.
type boundedConn struct {
	*net.TCPConn
	release func() // immutable
}

// Close closes the connection.
func (c *boundedConn) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}
