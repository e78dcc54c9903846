package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vespo-dev/vespo/internal/halfclose"
	"github.com/vespo-dev/vespo/internal/sockio"
)

// Limits of connections to upstreams.
const (
	connectTimeout = 3 * time.Second
	// idleTimeout is shorter than the keep-alive timeout of common servers (Node.js:
	// 5 s), so that a request rarely meets a connection that is being closed.
	idleTimeout          = 4 * time.Second
	maxIdleConnections   = 128
	continueTimeout      = time.Second // wait for "100 Continue" before sending the body
	maxAnswerHeaderBytes = 256 << 10
)

// upstream is one server behind a prefix, with its connections.
type upstream struct {
	health // guarded by balancer.mu

	origin    origin          // immutable
	transport *http.Transport // immutable
	upgrades  *http.Transport // immutable; for upgrades, which HTTP/2 does not support; may be the same as transport
}

func newUpstream(o origin, trust *tls.Config) *upstream {
	var protocols http.Protocols
	switch o.scheme {
	case schemeH2C:
		protocols.SetUnencryptedHTTP2(true)
	case "https":
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
	default:
		protocols.SetHTTP1(true)
	}
	u := &upstream{origin: o, transport: newTransport(&protocols, trust)}
	u.upgrades = u.transport
	if o.scheme == "https" {
		var http1 http.Protocols
		http1.SetHTTP1(true)
		u.upgrades = newTransport(&http1, trust)
	}
	return u
}

// via returns the transport for a request.
func (u *upstream) via(upgrade bool) *http.Transport {
	if upgrade {
		return u.upgrades
	}
	return u.transport
}

// closeIdle closes the connections that carry no request.
func (u *upstream) closeIdle() {
	u.transport.CloseIdleConnections()
	u.upgrades.CloseIdleConnections()
}

func newTransport(protocols *http.Protocols, trust *tls.Config) *http.Transport {
	dialer := &net.Dialer{Timeout: connectTimeout}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &upstreamConn{Conn: sockio.Of(conn)}, nil
		},
		TLSClientConfig:        trust.Clone(),
		TLSHandshakeTimeout:    connectTimeout,
		DisableCompression:     true, // bodies pass unchanged
		MaxIdleConnsPerHost:    maxIdleConnections,
		IdleConnTimeout:        idleTimeout,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: maxAnswerHeaderBytes,
		Protocols:              protocols,
	}
}

// upstreamConn is a connection to an upstream. An upstream that refuses a body early sends its response
// and closes. Further writes then fail, and the transport would give up before it has read that
// response. So upstreamConn drops the rest of the body, and reading yields the response or an error.
type upstreamConn struct {
	net.Conn
	sendsBody atomic.Bool // the header of a request with a body was written
	refused   atomic.Bool // a write failed; the rest of the body is dropped
}

// Write implements net.Conn.
func (c *upstreamConn) Write(p []byte) (int, error) {
	if c.refused.Load() {
		return len(p), nil
	}
	n, err := c.Conn.Write(p)
	if err != nil && c.sendsBody.Load() && (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) {
		c.refused.Store(true)
		return len(p), nil
	}
	return n, err
}

// CloseWrite signals to the upstream that no more is sent.
func (c *upstreamConn) CloseWrite() error {
	return halfclose.CloseWrite(c.Conn)
}

// noteBody records on the connection whether a request body is being sent over it.
func noteBody(conn net.Conn, sends bool) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if own, ok := conn.(*upstreamConn); ok {
		own.sendsBody.Store(sends)
	}
}
