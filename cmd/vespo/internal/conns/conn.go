package conns

import (
	"io"
	"net/netip"
	"sync/atomic"

	"github.com/vespo-dev/vespo/internal/sockio"
)

// pieceBytes is the most that one write to the kernel takes. With
// Config.Write of 30 s, the slowest client gets about 8 KB/s.
const pieceBytes = 256 << 10

// conn is a connection that records whether it is idle or writing, and releases
// its place on the first Close. The HTTP server writes from one goroutine at a
// time. If a hijacker writes from several, writingSince may be wrong.
type conn struct {
	*sockio.Conn
	peer         netip.Addr    // immutable; in the form of forwarded.Site
	local        bool          // immutable; the peer is on this machine
	trusted      bool          // immutable; the peer is a trusted proxy
	relay        *relay        // immutable; nil if no PROXY header is expected
	serial       uint64        // immutable once it has a place; order of arrival
	release      func()        // immutable
	ticks        *atomic.Int64 // immutable; the listener's clock
	idleSince    atomic.Int64  // atomic; tick; 0 while a request is served, evicted after closing it to make room
	served       atomic.Bool   // atomic; a request was answered
	writingSince atomic.Int64  // atomic; tick; 0 if no write is in progress
	given        atomic.Bool   // atomic; hijacked
}

// Close closes the connection and releases its place.
func (c *conn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// Write writes p in pieces, so that writingSince measures one piece and not the whole.
func (c *conn) Write(p []byte) (written int, err error) {
	defer c.writingSince.Store(0)
	for {
		c.writingSince.Store(c.ticks.Load())
		piece := p[written:min(len(p), written+pieceBytes)]
		n, err := c.Conn.Write(piece)
		if written += n; err != nil || written == len(p) {
			return written, err
		}
	}
}

// ReadFrom copies src in pieces, by kernel means such as sendfile where possible.
func (c *conn) ReadFrom(src io.Reader) (sent int64, err error) {
	defer c.writingSince.Store(0)
	whole, limited := src.(*io.LimitedReader)
	if !limited {
		whole = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	for whole.N > 0 {
		c.writingSince.Store(c.ticks.Load())
		// The kernel path finds a file through one LimitedReader, but not through two.
		piece := &io.LimitedReader{R: whole.R, N: min(whole.N, pieceBytes)}
		want := piece.N
		n, err := c.Conn.ReadFrom(piece)
		sent += n
		whole.N -= want - piece.N
		if err != nil || n < want {
			return sent, err
		}
	}
	return sent, nil
}
