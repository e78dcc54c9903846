package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/halfclose"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/admission"
)

const (
	defaultTunnels    = 1024
	defaultTunnelIdle = 5 * time.Minute
)

var errTunnelIdle = errors.New("nothing was sent over the tunnel for too long")

// tunnels bounds the connections that have switched protocols.
// They may last for days, so they do not take places of requests.
type tunnels struct {
	places chan struct{}                // holds one value per tunnel
	shares *admission.Share[netip.Addr] // immutable; limits each client
	idle   time.Duration                // immutable
	shed   atomic.Uint64                // requests that found no place
}

// acquire reserves a place of the client, or returns a problem for it if there is none.
// The client is invalid if it has no limit of its own. The caller calls release once, unless there is an error.
func (t *tunnels) acquire(ctx context.Context, client netip.Addr) (release func(), err error) {
	var share admission.Held[netip.Addr]
	if client.IsValid() {
		if share, _, err = t.shares.Acquire(ctx, client); err != nil { // does not wait
			return nil, tunnelsTaken("too many connections of this client have switched protocols, such as to WebSocket; try again later")
		}
	}
	select {
	case t.places <- struct{}{}:
		return func() { <-t.places; share.Release() }, nil
	default:
		t.shed.Add(1)
		share.Release()
		return nil, tunnelsTaken("too many connections have switched protocols, such as to WebSocket; try again later")
	}
}

func tunnelsTaken(detail string) error {
	p := problem.New(problem.NoCapacity, detail)
	p.RetryAfter = time.Second
	return p
}

// asksUpgrade reports whether a request may become a tunnel.
func asksUpgrade(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.Header.Get("Upgrade") != "" && !asksH2C(r.Header)
}

// open starts to watch the client's connection after the switch of protocols.
func (x *exchange) open(conn net.Conn) net.Conn {
	c := &clientConn{Conn: conn}
	x.tunnel = c
	c.watch = time.AfterFunc(time.Hour, func() { c.check(x) }) // set before Reset, because the function uses c.watch
	c.watch.Reset(x.d.tunnels.idle)
	return c
}

// clientConn is the client's connection after the switch of protocols. One goroutine reads, another writes.
type clientConn struct {
	net.Conn
	moved atomic.Int64 // bytes in both directions
	watch *time.Timer  // ends an idle tunnel; only the timer's function uses seen
	seen  int64        // moved at the previous check
}

// check ends the tunnel if nothing was sent in either direction since the previous check.
func (c *clientConn) check(x *exchange) {
	moved := c.moved.Load()
	if moved == c.seen {
		x.cancel(errTunnelIdle)
		_ = c.Close() // also ends a write that waits for the client; the access record has the cause
		return
	}
	c.seen = moved
	c.watch.Reset(x.d.tunnels.idle)
}

// Read implements io.Reader.
func (c *clientConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.moved.Add(int64(n))
	return n, err
}

// Write implements io.Writer.
func (c *clientConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.moved.Add(int64(n))
	return n, err
}

// CloseWrite signals to the client that the upstream will send no more.
func (c *clientConn) CloseWrite() error {
	return halfclose.CloseWrite(c.Conn)
}

var _ io.ReadWriteCloser = (*clientConn)(nil)
