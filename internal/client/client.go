// Package client wraps the ResponseWriter of requests that the host answers itself. A response
// may take as long as the client keeps reading, but not beyond the close of the deployment.
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
)

// Writer is an http.ResponseWriter that extends the write deadline while the client
// keeps reading. This replaces the server's single deadline for the whole response. It
// serves one request and, like any http.ResponseWriter, is not safe for concurrent use.
type Writer struct {
	http.ResponseWriter                          // immutable
	control             *http.ResponseController // immutable
	request             *http.Request            // immutable
	closing             context.Context          // immutable; ends with the deployment
	unwatch             func() bool              // immutable; stops watching closing
	watched             chan struct{}            // immutable; closed when the watch has run

	mu      sync.Mutex
	bounded time.Time // guarded by mu; when the deadline was last set; zero before the response
	cut     bool      // guarded by mu; the deployment is closed

	err      error // the first write error
	hijacked bool
}

// NewWriter returns the writer of a request. When closing ends, a client whose response has begun is cut off, and
// the cause of closing becomes the Failure. The caller must call Finish at the end.
func NewWriter(w http.ResponseWriter, r *http.Request, closing context.Context) *Writer {
	c := &Writer{ResponseWriter: w, control: http.NewResponseController(w), request: r, closing: closing, watched: make(chan struct{})}
	c.unwatch = context.AfterFunc(closing, func() {
		defer close(c.watched)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.cut = true; !c.bounded.IsZero() {
			c.setDeadlineLocked(time.Now())
		}
	})
	return c
}

// setDeadlineLocked sets the write deadline. Errors are ignored: a connection without
// deadlines is not from a server and needs none.
func (c *Writer) setDeadlineLocked(at time.Time) { _ = c.control.SetWriteDeadline(at) }

// Err returns the first write error, or nil.
func (c *Writer) Err() error { return c.err }

// Failure returns the error for the handler to return if the response could not be sent,
// else nil. The deployment was closed, the client left, or the connection must be aborted.
func (c *Writer) Failure() error {
	switch {
	case c.err == nil:
		return nil
	case c.closing.Err() != nil && c.request.Context().Err() == nil:
		return context.Cause(c.closing)
	case c.request.Context().Err() != nil:
		return fmt.Errorf("%w: %w", c.request.Context().Err(), c.err)
	}
	return fmt.Errorf("%w: %w", http.ErrAbortHandler, c.err)
}

// Hijacked reports whether the connection was hijacked.
func (c *Writer) Hijacked() bool { return c.hijacked }

// Write sends p in chunks. A single deadline for a long write would require a minimum rate of the client.
func (c *Writer) Write(p []byte) (written int, err error) {
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
	err := c.control.Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return c.noted(err)
}

// Hijack takes over the connection, with the data already read from it. The server
// sets no more deadlines after that.
func (c *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := c.control.Hijack()
	c.hijacked = err == nil
	return conn, buffered, err
}

// Unwrap is for http.ResponseController.
func (c *Writer) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// bound extends the deadline.
func (c *Writer) bound() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.bounded) < refreshAfter {
		return
	}
	if c.bounded = now; !c.cut {
		now = now.Add(Patience)
	}
	c.setDeadlineLocked(now)
}

// Finish returns the connection to the server. The server's own write timeout applies
// to the rest of the response and to the next request.
func (c *Writer) Finish() {
	if !c.unwatch() {
		<-c.watched
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bounded.IsZero() || c.hijacked || c.cut {
		return
	}
	until := time.Time{}
	if s, ok := c.request.Context().Value(http.ServerContextKey).(*http.Server); ok && s.WriteTimeout > 0 {
		until = time.Now().Add(s.WriteTimeout)
	}
	c.setDeadlineLocked(until)
}
