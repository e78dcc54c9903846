package lane

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/frames"
	"github.com/vespo-dev/vespo/internal/halfclose"
)

const (
	// headBytes is the largest head of the lane. A part of a request may stay in memory as long as one of its
	// strings, and an idle connection holds a buffer of this size.
	headBytes = 4 << 10
	// lenientBytes is the number of bytes of line ends that may follow the body of a POST, as in net/http: old clients
	// send them.
	lenientBytes = 4
	// fewBytes is the number of bytes from which on net/http takes those after a request for another one.
	fewBytes = 4
	// gentleTime is how long a client has to read a response while it still sends.
	gentleTime = 500 * time.Millisecond
)

// States of a conn.
const (
	fresh   int32 = iota // before its first request
	idle                 // between requests
	active               // a request is served
	closing              // it was closed while it was fresh or idle
)

// conn is a connection in the lane.
type conn struct {
	net.Conn                 // immutable
	server   *Server         // immutable
	listener net.Addr        // immutable
	local    net.Addr        // immutable
	base     context.Context // immutable; of all its requests
	template *http.Request   // immutable after the handshake; has what all its requests share
	accepted time.Time       // immutable
	state    atomic.Int32    // atomic
	timed    atomic.Bool     // atomic; a handler has set a deadline
	watch    watch

	// Of the connection's goroutine, or of the one that reads for watch. in[start:end] was read and not used.
	in         [headBytes]byte
	start, end int
	lenient    int    // bytes of line ends that may come before the next request
	skipped    int    // skipped ones of these
	failed     bool   // a write has failed
	reason     Reason // for which it leaves the lane
}

func (s *Server) newConn(c net.Conn, listener net.Addr, base context.Context) *conn {
	own := &conn{
		Conn:     c,
		server:   s,
		listener: listener,
		local:    c.LocalAddr(),
		accepted: time.Now(),
		template: &http.Request{
			Proto:      "HTTP/1.1",
			ProtoMajor: 1,
			ProtoMinor: 1,
			Body:       http.NoBody,
		},
	}
	if remote := c.RemoteAddr(); remote != nil {
		own.template.RemoteAddr = remote.String()
	}
	own.base = base
	if s.http.ConnContext != nil {
		own.base = s.http.ConnContext(context.WithValue(base, http.ServerContextKey, s.http), c)
	}
	own.watch.init(own)
	return own
}

// serve serves the connection, until it ends or is handed over.
func (c *conn) serve() {
	if c.secure() != nil {
		c.leave(c.other())
		return
	}
	for {
		x, err := c.next()
		if errors.Is(err, errNotStrict) {
			c.handOver()
			return
		}
		if err != nil || !c.answer(x) {
			if x != nil && x.response.taken() {
				return
			}
			break
		}
	}
	_ = c.Close() // no request is open, or it is given up
	c.server.tell(c.Conn, http.StateClosed)
	c.server.forget(c)
}

// handOver passes the connection to net/http, with the bytes that were read.
func (c *conn) handOver() {
	from := &replayed{Conn: c.Conn, ahead: bytes.Clone(c.in[c.start:c.end])}
	if c.server.unencryptedHTTP2() && frames.Begins(from.ahead) && c.template.TLS == nil {
		c.leave(c.server.frames.Wrap(from))
		return
	}
	if secure, ok := c.Conn.(*tls.Conn); ok {
		c.leave(secured{from, secure})
		return
	}
	c.leave(from)
}

// leave passes the connection to net/http, which reads from a given one.
func (c *conn) leave(from net.Conn) {
	c.server.handOver(c)
	err := c.server.http.Serve(&one{conn: from, addr: c.listener})
	if !errors.Is(err, errAccepted) { // the server is shut down
		_ = c.Close()
		c.server.tell(c.Conn, http.StateClosed)
	}
}

var (
	// errNotStrict is the error of bytes that are not of the strict subset.
	errNotStrict = errors.New("not of the strict subset of HTTP/1.1")
	// errOther is the error of a connection that does not speak HTTP/1.1, or whose handshake has failed.
	errOther = errors.New("not a connection of HTTP/1.1")
)

var endOfHead = []byte("\r\n\r\n")

// next reads the head of the next request.
func (c *conn) next() (*exchange, error) {
	for searched := 0; ; {
		c.skipLineEnds()
		data := c.in[c.start:c.end]
		if i := bytes.Index(data[searched:], endOfHead); i >= 0 {
			x := c.server.takeExchange()
			size := searched + i + len(endOfHead)
			if !x.head.parse(string(data[:size])) {
				return nil, c.refuse(x.head.reason)
			}
			c.start += size
			return x, nil
		}
		if !c.few(len(data)) {
			if reason, ok := plausible(data, searched); !ok {
				return nil, c.refuse(reason)
			}
			searched = max(0, len(data)-len(endOfHead)+1)
		}
		if err := c.more(); err != nil {
			return nil, err
		}
	}
}

// skipLineEnds drops line ends in front of a request, as far as they are allowed.
func (c *conn) skipLineEnds() {
	for c.lenient > 0 && c.start < c.end {
		if b := c.in[c.start]; b != '\r' && b != '\n' {
			c.lenient = 0
			return
		}
		c.start++
		c.skipped++
		c.lenient--
	}
}

// plausible reports whether a part of a head can become one of the strict subset. net/http answers a malformed line at
// once, without the rest of the head. Bytes before searched were found plausible before.
func plausible(part []byte, searched int) (reason Reason, ok bool) {
	if bytes.IndexByte(part[searched:], '\n') < 0 {
		return Other, true
	}
	var h head
	ok = h.parse(string(part[:bytes.LastIndexByte(part, '\n')+1]))
	return h.reason, ok
}

// refuse returns the error of a head for net/http.
func (c *conn) refuse(reason Reason) error {
	c.reason = reason
	return errNotStrict
}

// more reads more of a head. A head that ends early or comes too late, or is too large, is left to net/http.
func (c *conn) more() error {
	if c.end-c.start == len(c.in) {
		return c.refuse(Large)
	}
	err := c.fill()
	if err != nil && c.end > 0 && !c.few(c.end) && !errors.Is(err, net.ErrClosed) {
		return c.refuse(Other) // the next read fails, too
	}
	return err
}

// few reports whether net/http would wait for more than these bytes after a request, and drop them otherwise.
func (c *conn) few(size int) bool {
	return c.state.Load() != fresh && c.skipped+size < fewBytes
}

// fill reads into the free space of the buffer.
func (c *conn) fill() error {
	if c.start > 0 {
		c.end = copy(c.in[:], c.in[c.start:c.end])
		c.start = 0
	}
	n, err := c.Conn.Read(c.in[c.end:])
	if c.end += n; n > 0 {
		return nil
	}
	return err
}

// readBody reads a part of a body. Small parts pass through the buffer, with the bytes that follow: unread ones would
// reset the connection when it is closed.
func (c *conn) readBody(p []byte) (int, error) {
	if c.start == c.end {
		if len(p) >= len(c.in) {
			return c.Conn.Read(p)
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.in[c.start:c.end])
	c.start += n
	return n, nil
}

// begin makes the connection active, unless it was closed.
func (c *conn) begin() bool {
	if !c.state.CompareAndSwap(idle, active) && !c.state.CompareAndSwap(fresh, active) {
		return false
	}
	_ = c.SetDeadline(noDeadline) // the listener may have set some while the connection was idle, or at the end of a write
	c.server.tell(c.Conn, http.StateActive)
	return true
}

// answer serves a request, and reports whether the connection can have another one.
func (c *conn) answer(x *exchange) (again bool) {
	if !c.begin() {
		return false
	}
	r := x.open(c)
	defer func() {
		if again {
			return
		}
		if v := recover(); v != nil {
			x.abandon(v)
		}
	}()
	c.server.handler.ServeHTTP(&x.response, r)
	if again = x.close(); !again {
		if x.response.gentle {
			c.closeGently()
		}
		return false
	}
	c.lenient, c.skipped = 0, 0
	if r.Method == http.MethodPost {
		c.lenient = lenientBytes
	}
	c.server.giveExchange(x)
	c.state.Store(idle)
	c.server.tell(c.Conn, http.StateIdle)
	return !c.server.leaving.Load()
}

// untimed removes the deadlines that a handler has set, and reports whether the connection is open.
func (c *conn) untimed() bool {
	return !c.timed.Load() || c.timed.Swap(false) && c.SetDeadline(noDeadline) == nil
}

// closeGently lets the client read the response before its connection is reset.
func (c *conn) closeGently() {
	if halfclose.CloseWrite(c.Conn) == nil {
		<-time.After(gentleTime)
	}
}

// Write notes an error: then the client is gone, and no further response can reach it.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.failed = c.failed || err != nil
	return n, err
}

// readFrom sends the rest of src.
func (c *conn) readFrom(src io.Reader) (int64, error) {
	n, err := io.Copy(c.Conn, src)
	c.failed = c.failed || err != nil
	return n, err
}
