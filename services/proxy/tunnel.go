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
	"github.com/vespo-dev/vespo/services/internal/client"
)

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
