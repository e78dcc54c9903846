package conns

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// reportFailedTicks is the number of ticks between two reports of failed handshakes. Scanners cause some all the time.
const reportFailedTicks = 60

// secured returns c with TLS, if the listener has it. The handshake begins with the first Read, in the goroutine
// that serves the connection. Until it is done and a request was received, the connection counts as idle.
func (l *Listener) secured(c *conn) net.Conn {
	if l.cfg.TLS == nil {
		return c
	}
	return tls.Server(c, l.cfg.TLS)
}

// inner returns the connection of a Listener that c is or wraps; nil if there is none.
func inner(c net.Conn) *conn {
	own, plain := c.(*conn)
	if !plain {
		own, _ = Unwrap(c).(*conn)
	}
	return own
}

// Unwrap returns the connection that c wraps, such as that below TLS; c itself if it wraps none.
func Unwrap(c net.Conn) net.Conn {
	for {
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = outer.NetConn()
	}
}

// noteHandshake records the handshake of a closed connection for the next report if it failed.
// A client that closes the connection without a word, such as a health check, does not count.
func (l *Listener) noteHandshake(c net.Conn) {
	secure, ok := c.(*tls.Conn)
	if !ok || secure.ConnectionState().HandshakeComplete {
		return
	}
	err := secure.Handshake() // returns the error of the failed handshake again
	if err == nil || errors.Is(err, io.EOF) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acts.failed++
	l.failedLast = c.RemoteAddr().String() + ": " + err.Error()
}

// reportFailedLocked logs failed handshakes, at most every reportFailedTicks.
func (l *Listener) reportFailedLocked(now int64) {
	failed := l.acts.failed - l.told.failed
	if failed == 0 || l.reportedFailed > 0 && now-l.reportedFailed < reportFailedTicks || l.cfg.Log == nil {
		return
	}
	l.cfg.Log.Info("TLS handshakes failed", "listener", l.Addr().String(), "connections", failed, "last", l.failedLast)
	l.told.failed, l.reportedFailed = l.acts.failed, now
}
