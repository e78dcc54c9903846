package conns

import (
	"errors"
	"net"
	"sync"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/proxyproto"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// relay reads and holds the PROXY header of a connection.
type relay struct {
	listener *Listener // immutable
	once     sync.Once // guards all below
	told     forwarded.Relay
	err      error
}

// read reads the header on the first call. Config.First
// covers it together with the header of the first request.
func (r *relay) read(c *conn) error {
	r.once.Do(func() {
		header, err := proxyproto.Read(c.Conn)
		if err != nil {
			// The HTTP server closes the connection for a net.OpError.
			// For another error it would send a response.
			r.err = &net.OpError{Op: "read", Net: "tcp", Addr: c.RemoteAddr(), Err: err}
			if errors.Is(err, proxyproto.ErrHeader) {
				r.listener.noteMalformed(c, err)
			}
			return
		}
		r.told = forwarded.Relay{Relayed: true, Local: header.Local, Source: header.Source, Destination: header.Destination}
	})
	return r.err
}

// Read reads from the connection after its PROXY header.
func (c *conn) Read(p []byte) (int, error) {
	if c.relay != nil {
		if err := c.relay.read(c); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

// Relay implements forwarded.Conn. When a request is served,
// the header has been read, so Relay does not block.
func (c *conn) Relay() forwarded.Relay {
	if c.relay == nil || c.relay.read(c) != nil {
		return forwarded.Relay{}
	}
	return c.relay.told
}

// noteMalformed records an invalid header from a trusted proxy for the next report.
func (l *Listener) noteMalformed(c *conn, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acts.malformed++
	l.malformedLast = c.RemoteAddr().String() + ": " + err.Error()
}

// reportMalformedLocked logs connections that were closed
// because of their PROXY header, at most every reportTicks.
func (l *Listener) reportMalformedLocked(now int64) {
	malformed := l.acts.malformed - l.told.malformed
	if malformed == 0 || now-l.reportedMalformed < reportTicks || l.cfg.Log == nil {
		return
	}
	l.cfg.Log.Warn("connections of trusted proxies were closed, as they did not begin with a valid PROXY header (--proxy-protocol)",
		"connections", malformed, "last", l.malformedLast)
	l.told.malformed, l.reportedMalformed = l.acts.malformed, now
}
