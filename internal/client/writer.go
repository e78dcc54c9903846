package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// Patience is how long a client may take to read one part of a response, at most
	// chunkBytes, before the connection is cut.
	Patience = 30 * time.Second
	// chunkBytes is the size of one part. With Patience, it sets a minimum client rate of
	// about 8 KB per second.
	chunkBytes = 256 << 10
	// refreshAfter is the minimum time between two deadline changes, so that most writes set none.
	refreshAfter = time.Second
	// bufferedBytes is the number of bytes that the HTTP server buffers before it writes
	// to the connection. Up to this size, a write cannot block on the client.
	bufferedBytes = 2 << 10
)

// Writer is an http.ResponseWriter that bounds how long the client may take to read. It replaces the server's
// single deadline for the whole response: NewWriter extends the deadline while the client keeps reading, and
// Begin cuts the client off at one time. It serves one request and, like any http.ResponseWriter, is not safe
// for concurrent use. The zero Writer must not be used before Begin.
type Writer struct {
	http.ResponseWriter                 // immutable
	request             context.Context // immutable; of the request
	closing             context.Context // immutable; ends with the deployment; nil after Begin
	unwatch             func() bool     // immutable; stops watching closing
	watched             chan struct{}   // immutable; closed when the watch has run

	mu      sync.Mutex
	bounded time.Time // guarded by mu; when the deadline was last set; zero before the response
	cut     bool      // guarded by mu; the deployment is closed

	deadline time.Time     // of all writes; zero: Patience for each part
	within   time.Duration // sets the deadline at the start of the response; 0: it is set already
	lent     bool          // another handler sets the deadlines
	started  bool          // the header of the response is out
	sent     int64         // bytes of the body; counted only with a deadline
	err      error         // the first write error
	hijacked bool
	wrap     func(net.Conn) net.Conn // of OnHijack; may be nil
}

// NewWriter returns the writer of a request. When closing ends, a client whose response has begun is cut off, and
// the cause of closing becomes the Failure. The caller must call Finish at the end.
func NewWriter(w http.ResponseWriter, r *http.Request, closing context.Context) *Writer {
	c := &Writer{ResponseWriter: w, request: r.Context(), closing: closing, watched: make(chan struct{})}
	c.unwatch = context.AfterFunc(closing, func() {
		defer close(c.watched)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.cut = true; !c.bounded.IsZero() {
			c.conn().writeBy(time.Now())
		}
	})
	return c
}

// Begin makes c the writer of a request whose client is cut off at the deadline. The caller must call Finish at the end.
func (c *Writer) Begin(w http.ResponseWriter, request context.Context, deadline time.Time) {
	c.ResponseWriter, c.request, c.deadline = w, request, deadline
}

// BeginWithin is Begin with a deadline that is set when the response starts: then the client has this long to read it.
func (c *Writer) BeginWithin(w http.ResponseWriter, request context.Context, within time.Duration) {
	c.ResponseWriter, c.request, c.within = w, request, within
}

// start notes that the header of the response goes out.
func (c *Writer) start() {
	if c.started = true; c.within > 0 {
		c.deadline, c.within = time.Now().Add(c.within), 0
		c.bound()
	}
}

func (c *Writer) conn() Conn { return Conn{c.ResponseWriter} }

// Paced bounds each part of the response by Patience, in place of the whole. It must be called before the response.
func (c *Writer) Paced() { c.deadline, c.within = time.Time{}, 0 }

// Err returns the first write error, or nil.
func (c *Writer) Err() error { return c.err }

// Failure returns the error for the handler to return if the response could not be sent,
// else nil. The deployment was closed, the client left, or the connection must be aborted.
func (c *Writer) Failure() error {
	switch {
	case c.err == nil:
		return nil
	case c.closing != nil && c.closing.Err() != nil && c.request.Err() == nil:
		return context.Cause(c.closing)
	case c.request.Err() != nil:
		return fmt.Errorf("%w: %w", c.request.Err(), c.err)
	}
	return fmt.Errorf("%w: %w", http.ErrAbortHandler, c.err)
}

// Expired reports whether the deadline of Begin is over.
func (c *Writer) Expired() bool { return !c.deadline.IsZero() && !time.Now().Before(c.deadline) }

// OnHijack sets a function that wraps the connection when the handler takes it over.
func (c *Writer) OnHijack(wrap func(net.Conn) net.Conn) { c.wrap = wrap }

// Started reports whether the header of the response is out.
func (c *Writer) Started() bool { return c.started }

// WriteHeader implements http.ResponseWriter. Of several final statuses, the first one wins.
func (c *Writer) WriteHeader(status int) {
	if c.started {
		return
	}
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		c.start()
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write sends p. With Patience it sends chunks: a single deadline for a long write would require a minimum rate
// of the client.
func (c *Writer) Write(p []byte) (written int, err error) {
	c.start()
	if !c.deadline.IsZero() {
		if c.sent += int64(len(p)); c.sent > bufferedBytes {
			c.bound()
		}
		n, err := c.ResponseWriter.Write(p)
		return n, c.noted(err)
	}
	for {
		c.bound()
		n, err := c.ResponseWriter.Write(p[written:min(len(p), written+chunkBytes)])
		if written += n; err != nil || written == len(p) {
			return written, c.noted(err)
		}
	}
}

// ReadFrom sends the content of src by the fastest means of the server, such as sendfile.
func (c *Writer) ReadFrom(src io.Reader) (total int64, err error) {
	c.start()
	whole, limited := src.(*io.LimitedReader)
	if !limited {
		whole = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	for whole.N > 0 {
		c.bound()
		// The server finds a file only behind a single LimitedReader, not behind two.
		part := &io.LimitedReader{R: whole.R, N: min(whole.N, chunkBytes)}
		want := part.N
		n, err := io.Copy(c.ResponseWriter, part)
		total += n
		whole.N -= want - part.N
		if err != nil || n < want {
			return total, c.noted(err)
		}
	}
	return total, nil
}

// noted records the first error.
func (c *Writer) noted(err error) error {
	if c.err == nil {
		c.err = err
	}
	return err
}

// Flush sends the buffered data and ignores errors.
func (c *Writer) Flush() { _ = c.FlushError() }

// FlushError sends the buffered data.
func (c *Writer) FlushError() error {
	c.bound()
	err := c.conn().Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return err
	}
	c.start()
	return c.noted(err)
}

// Hijack takes over the connection, with the data already read from it. The server
// sets no more deadlines after that.
func (c *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := c.conn().Hijack()
	if c.hijacked = err == nil; c.hijacked && c.wrap != nil {
		conn = c.wrap(conn)
	}
	return conn, buffered, err
}

// Unwrap is for http.ResponseController.
func (c *Writer) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// bound sets or extends the deadline.
func (c *Writer) bound() {
	if c.lent {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.deadline.IsZero() {
		if c.bounded.IsZero() {
			c.bounded = c.deadline
			c.conn().writeBy(c.deadline)
		}
		return
	}
	now := time.Now()
	if now.Sub(c.bounded) < refreshAfter {
		return
	}
	if c.bounded = now; !c.cut {
		now = now.Add(Patience)
	}
	c.conn().writeBy(now)
}

// Lend lets another handler, which writes through c, set the deadlines until Reclaim.
func (c *Writer) Lend() {
	c.release()
	c.lent = true
}

// Reclaim ends Lend. It extends the deadline by took, the time that the other handler used.
func (c *Writer) Reclaim(took time.Duration) {
	c.lent, c.deadline = false, c.deadline.Add(took)
}

// Finish returns the connection to the server. The server's own write timeout applies to data that is still
// buffered there or in the kernel, and to the next request.
func (c *Writer) Finish() {
	if c.unwatch != nil && !c.unwatch() {
		<-c.watched
	}
	c.release()
}

func (c *Writer) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bounded.IsZero() || c.hijacked || c.cut {
		return
	}
	c.bounded = time.Time{}
	c.conn().release(c.request)
}
