package conns

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
)

// pieceBytes is what is written at a time: with Config.Write of 30 s, the slowest client gets about 8 KB a second.
const pieceBytes = 256 << 10

// conn is a connection that notes what it waits for, and gives its place back with the first Close. One goroutine at a time writes to
// it, as far as the HTTP server goes; where a hijacker has several, what is noted may be off.
type conn struct {
	*net.TCPConn
	peer         netip.Addr    // immutable; as forwarded.Site returns it
	local        bool          // immutable; the peer is on this machine
	trusted      bool          // immutable; the peer is a trusted proxy
	relay        *relay        // immutable; nil if there is no PROXY header
	serial       uint64        // immutable since it has a place; order of arrival
	release      func()        // immutable
	ticks        *atomic.Int64 // immutable; the listener's clock
	idleSince    atomic.Int64  // atomic; 0 while a request is served, evicted when it was closed to make room
	served       atomic.Bool   // atomic; a request was answered
	writingSince atomic.Int64  // atomic; 0 if nobody writes
	given        atomic.Bool   // atomic; hijacked
}

// Close closes the connection.
func (c *conn) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}

// Write writes p in pieces.
func (c *conn) Write(p []byte) (written int, err error) {
	defer c.writingSince.Store(0)
	for {
		c.writingSince.Store(c.ticks.Load())
		piece := p[written:min(len(p), written+pieceBytes)]
		n, err := c.TCPConn.Write(piece)
		if written += n; err != nil || written == len(p) {
			return written, err
		}
	}
}

// ReadFrom sends what is in src in pieces, by what the kernel has for it, such as sendfile.
func (c *conn) ReadFrom(src io.Reader) (sent int64, err error) {
	defer c.writingSince.Store(0)
	whole, limited := src.(*io.LimitedReader)
	if !limited {
		whole = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	for whole.N > 0 {
		c.writingSince.Store(c.ticks.Load())
		// One limit around src, and not two, is what the kernel's way looks through to find a file.
		piece := &io.LimitedReader{R: whole.R, N: min(whole.N, pieceBytes)}
		want := piece.N
		n, err := c.TCPConn.ReadFrom(piece)
		sent += n
		whole.N -= want - piece.N
		if err != nil || n < want {
			return sent, err
		}
	}
	return sent, nil
}
