package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
)

// Leftover bounds how long a client may take to send the rest of a body that is discarded.
const Leftover = 2 * time.Second

// ErrOver is the error of reading a body after Stop.
var ErrOver = errors.New("the request is over")

// End is how the reading of a body ended.
type End uint8

// The ends of a body.
const (
	Open      End = iota // it has not ended
	Complete             // it was read to its end
	TooLarge             // it is longer than the limit
	Stalled              // the client was too slow
	Truncated            // it is shorter than announced
	Malformed            // its chunked coding is invalid
	Gone                 // the connection failed
	Stopped              // the handler has given it up
)

// Terms bound the reading of a body.
type Terms struct {
	Bytes int64     // limit of the size; 0: none
	Until time.Time // time by which reads must have ended; zero: none
	Pace  Pace      // slowest rate; zero: none
	// Progress, if not nil, is called for each part and at the end, on the reader's goroutine.
	Progress func(n int, ended bool)
}

// Body is the body of a request, read within Terms. It replaces the server's read deadline: none is set while
// the client keeps to the terms, because one that passes later would look as if the client had disconnected.
//
// One goroutine at a time may read; all other methods are safe for concurrent use. A read fails with a
// *problem.Problem if the body is too large, too slow or malformed. The caller must call Stop when the request is over.
type Body struct {
	from     io.Reader               // immutable
	conn     Conn                    // immutable; zero if reads do not wait for the client
	chunked  bool                    // immutable; see Malformed
	request  context.Context         // immutable; of the request
	limit    int64                   // immutable; 0: none
	pace     Pace                    // immutable
	progress func(n int, ended bool) // immutable; may be nil

	mu       sync.Mutex
	until    time.Time // guarded by mu, like all below
	since    time.Time // start of the current read; zero if there is none
	waited   time.Duration
	received int64
	touched  bool        // Read was called
	timer    *time.Timer // ends the current read; nil before the first that has a bound
	armed    bool        // timer runs
	cut      bool        // Interrupt was called
	stopped  bool
	end      End
	err      error // how reading ended; io.EOF for a complete body
}

// NewBody returns the body of r, whose response is written to w.
func NewBody(w http.ResponseWriter, r *http.Request, t Terms) *Body { return newBody(w, r, r.Body, t) }

func newBody(w http.ResponseWriter, r *http.Request, from io.Reader, t Terms) *Body {
	b := &Body{from: from, request: r.Context(), limit: t.Bytes, pace: t.Pace, progress: t.Progress, until: t.Until, chunked: chunked(r)}
	if !arrived(from) {
		b.conn = Conn{w}
		b.conn.readBy(time.Time{})
	}
	return b
}

// arrived reports whether reading a body cannot wait for the client: there is none, or the router or the server has it all.
func arrived(body io.Reader) bool {
	if body == nil || body == http.NoBody {
		return true
	}
	b, ok := body.(interface{ Arrived() bool })
	return ok && b.Arrived()
}

// Waits reports whether reads may wait for the client.
func (b *Body) Waits() bool { return b.conn.w != nil }

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	left, err := b.begin()
	if err != nil {
		return 0, err
	}
	if b.limit > 0 && int64(len(p)) > left+1 {
		p = p[:left+1] // one byte over the limit shows that the body is too large
	}
	n, err := b.from.Read(p)
	long := b.limit > 0 && int64(n) > left
	if long {
		n, err = int(left), TooLong(b.limit)
	}
	if b.progress != nil && (n > 0 || err == io.EOF) {
		b.progress(n, err == io.EOF)
	}
	return n, b.noted(n, err, long)
}

// TooLong returns the error of a body that is longer than limit bytes.
func TooLong(limit int64) error {
	return problem.Newf(problem.BodyTooLarge, "the request's body is larger than %d bytes", limit)
}

// begin returns how many bytes are left, or the error that ended the body. It starts to measure a read.
func (b *Body) begin() (left int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.touched = true
	if b.err != nil {
		return 0, b.err
	}
	if b.boundedLocked() {
		b.since = time.Now()
		b.armLocked()
	}
	return b.limit - b.received, nil
}

// boundedLocked reports whether reads are bounded in time.
func (b *Body) boundedLocked() bool {
	return b.conn.w != nil && (b.pace.Rate > 0 || !b.until.IsZero())
}

func (b *Body) armLocked() {
	switch {
	case b.armed:
		return
	case b.timer == nil:
		b.timer = time.AfterFunc(b.leftLocked(), b.check)
	default:
		b.timer.Reset(b.leftLocked())
	}
	b.armed = true
}

// leftLocked returns how long the read that began at since may last.
func (b *Body) leftLocked() time.Duration {
	left := time.Duration(1<<63 - 1)
	if b.pace.Rate > 0 {
		left = b.pace.left(b.received, b.waited)
	}
	if !b.until.IsZero() {
		left = min(left, b.until.Sub(b.since))
	}
	return left
}

// check ends the current read if its time is over.
func (b *Body) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.armed = b.err == nil && !b.since.IsZero() && b.boundedLocked(); !b.armed {
		return
	}
	if left := b.leftLocked() - time.Since(b.since); left > 0 {
		b.timer.Reset(left)
		return
	}
	b.armed = false
	b.conn.readBy(past())
}

// noted records the end of a read, and of the body if err is not nil. It returns the error of the read.
func (b *Body) noted(n int, err error, long bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.since.IsZero() {
		b.waited += time.Since(b.since)
		b.since = time.Time{}
	}
	b.received += int64(n)
	if err == nil || b.err != nil { // stopped in the meantime
		return err
	}
	switch {
	case err == io.EOF:
		b.end = Complete
	case long:
		b.end = TooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.end = Stalled
		err = problem.New(problem.RequestTimeout, "the request's body did not arrive in time").WithCause(err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		b.end = Truncated
	case b.chunked && invalidCoding(err):
		b.end = Malformed
		err = badCoding(err)
	default:
		b.end = Gone
	}
	b.err = err
	return err
}

// Close does nothing: the server closes the body of a request. A transport closes a body that it could not send,
// but another attempt may need it.
func (b *Body) Close() error { return nil }

// End returns how reading ended.
func (b *Body) End() End {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.end
}

// Err returns the error that ended reading: io.EOF for a complete body, nil before the end.
func (b *Body) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Failure returns the error for the handler to return because of the client, or nil if the client did not
// fail. It matches http.ErrAbortHandler if no response can reach the client.
func (b *Body) Failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.end {
	case TooLarge, Stalled, Malformed:
		return b.err
	case Truncated, Gone:
		if err := b.request.Err(); err != nil {
			return fmt.Errorf("%w: %w", err, b.err)
		}
		return fmt.Errorf("%w: %w", http.ErrAbortHandler, b.err)
	}
	return nil
}

// Received returns the number of bytes read.
func (b *Body) Received() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.received
}

// Untouched reports whether nothing was read, so that no upstream can have seen a part of the body.
func (b *Body) Untouched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.touched
}

// SetUntil changes the time by which reads must have ended; zero: none.
func (b *Body) SetUntil(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = at
	if b.armed && !b.since.IsZero() {
		b.timer.Reset(b.leftLocked() - time.Since(b.since))
	}
}

// Interrupt ends a read that waits for the client, and all later ones, as if the client had stalled. To the
// server that looks like a disconnect of the client: it ends the context of the request. The caller must first
// cancel a context of its own with the reason.
func (b *Body) Interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end != Complete {
		b.cut = true
		b.conn.readBy(past())
	}
}

// Stop ends reading: further reads fail. The rest of a body that is not complete must arrive within Leftover.
func (b *Body) Stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return
	}
	b.stopped = true
	if b.timer != nil {
		b.timer.Stop()
	}
	if b.err == nil {
		b.end, b.err = Stopped, ErrOver
	}
	if b.end == TooLarge || b.end == Stopped && !b.cut {
		b.conn.readBy(time.Now().Add(Leftover)) // harmless to the context: the server watches the client only after the body
	}
}
