package lane

import (
	"errors"
	"io"
	"net"

	"github.com/vespo-dev/vespo/internal/halfclose"
)

// replayed is a connection whose first bytes were read already. net/http serves it.
type replayed struct {
	net.Conn
	ahead []byte // read by the server's goroutine alone
}

// Read implements io.Reader.
func (c *replayed) Read(p []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.ahead)
	if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
		c.ahead = nil
	}
	return n, nil
}

// ReadFrom lets net/http send files by the kernel.
func (c *replayed) ReadFrom(src io.Reader) (int64, error) { return io.Copy(c.Conn, src) }

// CloseWrite closes the writing side.
func (c *replayed) CloseWrite() error { return halfclose.CloseWrite(c.Conn) }

// NetConn returns the connection of the listener.
func (c *replayed) NetConn() net.Conn { return c.Conn }

// one is a listener for one connection, by which an http.Server gets it.
type one struct {
	conn net.Conn // nil once accepted
	addr net.Addr
}

// errAccepted ends the Serve of an http.Server. The connection is served in a goroutine of its own.
var errAccepted = errors.New("the connection was accepted")

// Accept returns the connection once.
func (l *one) Accept() (net.Conn, error) {
	if l.conn == nil {
		return nil, errAccepted
	}
	c := l.conn
	l.conn = nil
	return c, nil
}

// Close does nothing.
func (l *one) Close() error { return nil }

// Addr returns the address of the listener.
func (l *one) Addr() net.Addr { return l.addr }
