package frames

import (
	"cmp"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/vespo-dev/vespo/internal/halfclose"
)

const (
	// readBytes is the size of a read, unless net/http asks for more: the head and the payload of most frames with a header.
	readBytes = 1 << 10
	// heldBytes is the most that waits. It is less than the buffer of net/http, whose writes are that long if more is to come.
	heldBytes = 4<<10 - 1
	// joinedBytes is the most that is copied for one write. net/http writes 4 KiB at a time, and large bodies apart.
	joinedBytes = 8 << 10
)

// preface is what a client of HTTP/2 begins with.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Begins reports whether a client that has sent p may have begun with HTTP/2.
func Begins(p []byte) bool {
	n := min(len(p), len(preface))
	return n >= len("PRI ") && string(p[:n]) == preface[:n]
}

// Conn is a connection of HTTP/2. It reads ahead, so that the connection may be read by it alone.
type Conn struct {
	net.Conn                      // immutable
	gatherer *Gatherer            // immutable
	tls      *tls.ConnectionState // immutable; nil without TLS

	// Of the goroutine that reads. in[start:end] was read and not used.
	in         [readBytes]byte
	start, end int
	begins     bool // the client must send the preface first

	ending  atomic.Int32 // atomic; handlers that have returned, without the streams that have ended since
	watched atomic.Bool  // atomic; the gatherer looks at the connection
	waits   atomic.Bool  // atomic; held is not empty

	mu    sync.Mutex
	out   follower // guarded by mu, like all below; of all that was written
	held  []byte   // a header that waits for its body, and the frames before it
	seen  bool     // the gatherer has seen this header
	spare []byte   // the memory of held, while nothing waits
}

// Wrap returns a Conn for a connection.
func (g *Gatherer) Wrap(c net.Conn) *Conn { return &Conn{Conn: c, gatherer: g} }

// WrapTLS is Wrap for a connection with TLS 1.3 whose client has chosen HTTP/2. If it speaks another protocol, the connection seems to
// have ended. net/http must not see the state of the TLS, as it recognises HTTP/2 only without: Handler adds it to the requests. Older
// versions of TLS have ciphers that net/http would have to refuse.
func (g *Gatherer) WrapTLS(c net.Conn, state *tls.ConnectionState) *Conn {
	own := g.Wrap(c)
	own.tls, own.begins = state, true
	return own
}

// NetConn returns the wrapped connection.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// CloseWrite closes the writing side.
func (c *Conn) CloseWrite() error { return halfclose.CloseWrite(c.Conn) }

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if c.begins {
		if err := c.begin(); err != nil {
			return 0, err
		}
	}
	if c.start == c.end {
		if len(p) >= readBytes {
			return c.Conn.Read(p)
		}
		n, err := c.Conn.Read(c.in[:])
		if n == 0 {
			return 0, err
		}
		c.start, c.end = 0, n // an error comes again with the next read
	}
	n := copy(p, c.in[c.start:c.end])
	c.start += n
	return n, nil
}

// begin reads the preface. Before it is complete, net/http gets none of it: it takes the first half for a request of HTTP/1, and
// reads on after an end.
func (c *Conn) begin() error {
	for {
		known := min(c.end, len(preface))
		if string(c.in[:known]) != preface[:known] {
			return io.EOF
		}
		if known == len(preface) {
			c.begins = false
			return nil
		}
		n, err := c.Conn.Read(c.in[c.end:])
		if c.end += n; n == 0 {
			return cmp.Or(err, io.ErrNoProgress)
		}
	}
}

// returned notes that a handler has returned: the rest of its response follows at once.
func (c *Conn) returned() { c.ending.Add(1) }

// ended notes that streams have ended. Those of handlers that have not returned are not counted.
func (c *Conn) ended(streams int) {
	for n := c.ending.Load(); n > 0 && streams > 0; n = c.ending.Load() {
		if c.ending.CompareAndSwap(n, n-1) {
			streams--
		}
	}
}

// Write implements net.Conn. It keeps p if a part is to follow at once.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended(c.out.follow(p))
	before := len(c.held)
	if c.out.awaitsBody() && before+len(p) <= heldBytes && c.ending.Load() > 0 {
		c.holdLocked(p)
		return len(p), nil
	}
	if before == 0 {
		return c.Conn.Write(p)
	}
	if before+len(p) > joinedBytes {
		if err := c.releaseLocked(); err != nil {
			return 0, err
		}
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	n, err := c.sendLocked()
	return max(0, n-before), err
}

// holdLocked keeps p.
func (c *Conn) holdLocked(p []byte) {
	if c.held == nil {
		c.held, c.spare = c.spare[:0], nil
	}
	c.held, c.seen = append(c.held, p...), false
	c.waits.Store(true)
	if !c.watched.Swap(true) {
		c.gatherer.watch(c)
	}
}

// sendLocked writes all that waits.
func (c *Conn) sendLocked() (int, error) {
	held := c.held
	c.waits.Store(false)
	if c.held = nil; cap(held) <= heldBytes {
		c.spare = held[:0]
	}
	return c.Conn.Write(held)
}

// releaseLocked is sendLocked if something waits.
func (c *Conn) releaseLocked() error {
	if len(c.held) == 0 {
		return nil
	}
	_, err := c.sendLocked()
	return err
}

// look sends a header that has waited since the last look. It reports whether to look again.
func (c *Conn) look() bool {
	if !c.mu.TryLock() {
		return c.lookAgain()
	}
	defer c.mu.Unlock()
	switch {
	case len(c.held) == 0:
		c.watched.Store(false)
		return false
	case !c.seen:
		c.seen = true
		return true
	}
	c.watched.Store(false)
	go c.release() // writing may block; the server bounds that, as for all its writes
	return false
}

// lookAgain is look for a connection that is written to. A write may last as long as the server permits, and then nothing waits.
func (c *Conn) lookAgain() bool {
	if c.waits.Load() {
		return true
	}
	c.watched.Store(false)
	return c.waits.Load() && !c.watched.Swap(true) // a header that has begun to wait in between may not have called watch
}

// release sends a header whose body has not come.
func (c *Conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) > 0 && c.seen {
		c.ending.Store(0)     // streams that were reset may have been counted
		_ = c.releaseLocked() // the next write fails, too
	}
}
