package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services/internal/client"
)

const (
	defaultTunnels    = 1024
	defaultTunnelIdle = 5 * time.Minute
)

var errTunnelIdle = errors.New("nothing was sent over the tunnel for too long")

// tunnels bounds the connections that have switched protocols. They may last for days, and take none of the places of requests.
type tunnels struct {
	places chan struct{} // one sent for each tunnel
	idle   time.Duration // immutable
}

// acquire takes a place, or returns the answer for a client that gets none.
func (t *tunnels) acquire() error {
	select {
	case t.places <- struct{}{}:
		return nil
	default:
		p := problem.New(problem.NoCapacity, "too many connections have switched protocols, such as to WebSocket; try again later")
		p.RetryAfter = time.Second
		return p
	}
}

func (t *tunnels) release() { <-t.places }

// asksUpgrade reports whether a request may become a tunnel.
func asksUpgrade(r *http.Request) bool { return r.ProtoMajor == 1 && r.Header.Get("Upgrade") != "" }

// hijackable gives the proxy the client's connection in a form that is accounted for.
type hijackable struct {
	*client.Writer
	exchange *exchange
}

// Hijack implements http.Hijacker.
func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := h.Writer.Hijack()
	if err != nil {
		return nil, nil, err
	}
	c := &clientConn{Conn: conn, ahead: buffered.Reader, began: time.Since(h.exchange.rec.Time)}
	h.exchange.tunnel = c
	c.watch = time.AfterFunc(time.Hour, func() { c.check(h.exchange) }) // which uses c.watch
	c.watch.Reset(h.exchange.d.tunnels.idle)
	return c, buffered, nil
}

// Unwrap is for http.ResponseController, which must not see the Hijack of what is below.
func (h hijackable) Unwrap() http.ResponseWriter { return h.Writer.Unwrap() }

// clientConn is the client's connection after the protocols were switched. One goroutine reads, another writes.
type clientConn struct {
	net.Conn
	ahead    *bufio.Reader // what the server had read of the connection already comes first
	began    time.Duration // from the request to the answer
	received atomic.Int64
	sent     atomic.Int64
	watch    *time.Timer // ends the tunnel when it is idle; the timer's function alone uses what follows
	seen     int64       // bytes both ways at the last look
}

// check ends the tunnel if nothing was sent either way since it looked last.
func (c *clientConn) check(x *exchange) {
	moved := c.received.Load() + c.sent.Load()
	if moved == c.seen {
		x.cancel(errTunnelIdle)
		_ = c.Close() // also ends a write that waits for the client; the record says why
		return
	}
	c.seen = moved
	c.watch.Reset(x.d.tunnels.idle)
}

// Read implements io.Reader.
func (c *clientConn) Read(p []byte) (int, error) {
	var n int
	var err error
	if waiting := c.ahead.Buffered(); waiting > 0 {
		n, err = c.ahead.Read(p[:min(len(p), waiting)])
	} else {
		n, err = c.Conn.Read(p)
	}
	c.received.Add(int64(n))
	return n, err
}

// Write implements io.Writer.
func (c *clientConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// CloseWrite tells the client that the upstream will send no more.
func (c *clientConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// record notes what went over the connection, which the router cannot see.
func (c *clientConn) record(rec *accesslog.Record) {
	rec.Status = http.StatusSwitchingProtocols
	rec.TTFB = c.began
	rec.BytesIn, rec.BytesOut = c.received.Load(), c.sent.Load()
}

var _ io.ReadWriteCloser = (*clientConn)(nil)
