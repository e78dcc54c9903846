package redisstore

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
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
	opened, err := (&net.Dialer{Timeout: c.Timeout}).DialContext(ctx, network, address)
	if err == nil && c.TLS != nil {
		opened, err = c.secure(ctx, opened, address)
	}
	if err != nil {
		return nil, notSent(err)
	}
	if raw, ok := opened.(syscall.Conn); ok {
		return checkedConn{&conn{Conn: opened}, raw}, nil
	}
	return &conn{Conn: opened}, nil
}

// errNoTLS is matched if an engine does not answer the handshake. Redis waits for the end of a line.
var errNoTLS = errors.New("the engine does not answer in TLS: if it has none at this port, write " + scheme + ":// in place of " + secureScheme + "://")

// secure makes the handshake of TLS. It takes half of the time of an operation at most, so that the operation ends with its error.
func (c Config) secure(ctx context.Context, opened net.Conn, address string) (net.Conn, error) {
	config := c.TLS.Clone()
	config.ServerName, _, _ = net.SplitHostPort(address)
	within, cancel := context.WithTimeout(ctx, c.Timeout/2)
	defer cancel()
	conn := tls.Client(opened, config)
	err := conn.HandshakeContext(within)
	if err == nil {
		return conn, nil
	}
	_ = opened.Close() // nothing was sent
	var other tls.RecordHeaderError
	if within.Err() != nil && ctx.Err() == nil || errors.As(err, &other) {
		err = errors.Join(errNoTLS, err)
	}
	return nil, err
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
