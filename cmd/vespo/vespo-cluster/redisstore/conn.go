package redisstore

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
)

// notSentError is an error from before a command of a caller was sent.
type notSentError struct{ error }

func (e notSentError) Unwrap() error { return e.error }

// notSent marks an error, twice: the client unwraps errors of the handshake once.
func notSent(err error) error { return notSentError{notSentError{err}} }

// dial opens a connection.
func (c Config) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: c.Timeout}
	var opened net.Conn
	var err error
	if c.TLS == nil {
		opened, err = dialer.DialContext(ctx, network, address)
	} else {
		opened, err = (&tls.Dialer{NetDialer: dialer, Config: c.TLS}).DialContext(ctx, network, address)
	}
	if err != nil {
		return nil, notSent(err)
	}
	if raw, ok := opened.(syscall.Conn); ok {
		return checkedConn{&conn{Conn: opened}, raw}, nil
	}
	return &conn{Conn: opened}, nil
}

// checkedConn is a conn by whose socket the client sees that the engine has closed it.
type checkedConn struct {
	*conn
	syscall.Conn
}

// conn marks the errors of its handshake, which sends nothing of a caller.
type conn struct {
	net.Conn
	used atomic.Bool // something else than the handshake was written
}

func (c *conn) Write(p []byte) (int, error) {
	if !c.used.Load() && !isHandshake(p) {
		c.used.Store(true)
	}
	n, err := c.Conn.Write(p)
	return n, c.marked(err)
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.marked(err)
}

func (c *conn) marked(err error) error {
	if err == nil || c.used.Load() {
		return err
	}
	return notSent(err)
}

// isHandshake reports whether p begins with a command by which a client begins a connection.
func isHandshake(p []byte) bool {
	parts := bytes.SplitN(p, []byte("\r\n"), 4) // the number of arguments, the length of the command, and the command
	return len(parts) == 4 && slices.Contains([]string{"hello", "auth", "select", "client", "config", "readonly"}, strings.ToLower(string(parts[2])))
}
