// Package client has the connection to the client of a request that is answered by the host itself: an answer may take as
// long as the client takes it, and no longer than the service is there.
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

	"github.com/vespo-dev/vespo/services/internal/inflight"
)

const (
	// Patience is how long a client may take for one part of an answer, of at most chunkBytes, before the connection is cut.
	Patience = 30 * time.Second
	// chunkBytes is what is handed over at a time: with Patience, the slowest client gets about 8 KB a second.
	chunkBytes = 256 << 10
	// refreshAfter spares most writes the setting of a deadline.
	refreshAfter = time.Second
)

// Writer is an http.ResponseWriter that moves the write deadline along while the client takes the answer, in place of the server's
// one for the whole of it. It is for one request, and not safe for concurrent use, as any http.ResponseWriter.
type Writer struct {
	http.ResponseWriter                          // immutable
	control             *http.ResponseController // immutable
	request             *http.Request            // immutable
	closing             context.Context          // immutable; ends with the deployment
	unwatch             func() bool              // immutable; ends the watch of closing
	watched             chan struct{}            // immutable; closed when the watch has cut the client off

	mu      sync.Mutex
	bounded time.Time // guarded by mu; when the deadline was set last; zero if the answer has not begun
	cut     bool      // guarded by mu; the deployment is closed

	err      error // why the client takes no more
	hijacked bool
}

// NewWriter makes the writer of a request. When closing ends, a client whose answer has begun is cut off. Finish must be called at
// the end.
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

// setDeadlineLocked sets the deadline for writing. A connection without deadlines is none of a server, and needs none.
func (c *Writer) setDeadlineLocked(at time.Time) { _ = c.control.SetWriteDeadline(at) }

// Err tells why the client takes no more of the answer; nil if it did not fail.
func (c *Writer) Err() error { return c.err }

// Failure returns what a handler returns if the answer could not be sent, nil if it could: that the version of the service was closed
// meanwhile, that the client has gone, or that the connection is to be cut.
func (c *Writer) Failure() error {
	switch {
	case c.err == nil:
		return nil
	case c.closing.Err() != nil && c.request.Context().Err() == nil:
		return inflight.Stopped()
	case c.request.Context().Err() != nil:
		return fmt.Errorf("%w: %w", c.request.Context().Err(), c.err)
	}
	return fmt.Errorf("%w: %w", http.ErrAbortHandler, c.err)
}

// Hijacked tells whether the connection was given away.
func (c *Writer) Hijacked() bool { return c.hijacked }

// Write sends a part of the body, in pieces: a deadline for all of a long one would be a rate that clients have to reach.
func (c *Writer) Write(p []byte) (written int, err error) {
	for {
		c.bound()
		n, err := c.ResponseWriter.Write(p[written:min(len(p), written+chunkBytes)])
		if written += n; err != nil || written == len(p) {
			return written, c.noted(err)
		}
	}
}

// ReadFrom sends what is in src, by what the server has for it, such as sendfile.
func (c *Writer) ReadFrom(src io.Reader) (total int64, err error) {
	whole, limited := src.(*io.LimitedReader)
	if !limited {
		whole = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	for whole.N > 0 {
		c.bound()
		// One limit around src, and not two, is what the server looks through to find a file.
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

// noted keeps the first error.
func (c *Writer) noted(err error) error {
	if c.err == nil {
		c.err = err
	}
	return err
}

// Flush sends what is buffered, for those who do not want to know if that fails.
func (c *Writer) Flush() { _ = c.FlushError() }

// FlushError sends what is buffered.
func (c *Writer) FlushError() error {
	c.bound()
	err := c.control.Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return c.noted(err)
}

// Hijack gives the connection away, with what the client has sent of it already. The server then sets no deadlines any more.
func (c *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := c.control.Hijack()
	c.hijacked = err == nil
	return conn, buffered, err
}

// Unwrap is for http.ResponseController.
func (c *Writer) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// bound moves the deadline.
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

// Finish hands the connection back to the server, whose own deadline holds for the rest of it and for the next request.
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
