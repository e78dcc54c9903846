package router

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/problem"
)

// firstPartBytes bounds what is read of a body before the request is admitted.
const firstPartBytes = 4 << 10

// countingBody counts the bytes that the handler reads of a request body.
type countingBody struct {
	io.ReadCloser              // immutable; nil if the request has no body
	first         *firstPart   // immutable once the request is admitted; nil if nothing was read before
	bytes         atomic.Int64 // atomic, because a stray reader may outlive the handler
	ended         atomic.Bool  // atomic for the same reason; all of it was read from the connection
}

// firstPart is what was read of a body before admission.
type firstPart struct {
	bytes []byte // that the handler has not read yet
	ended bool   // it is the whole body
}

// Read implements io.Reader.
func (b *countingBody) Read(p []byte) (int, error) {
	if f := b.first; f != nil {
		n := copy(p, f.bytes)
		f.bytes = f.bytes[n:]
		b.bytes.Add(int64(n))
		switch {
		case f.ended && len(f.bytes) == 0:
			return n, io.EOF
		case n > 0 || len(f.bytes) > 0:
			return n, nil
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	if err == io.EOF {
		b.ended.Store(true)
	}
	return n, err
}

// Arrived reports whether the whole body was received before admission: reading it does not wait.
func (b *countingBody) Arrived() bool { return b.first != nil && b.first.ended }

// awaitBody waits for a part of the request's body, if the limiter asks for that. A client that asks before it sends, with
// Expect, is not made to send while there is room: it may be refused.
func (x *exchange) awaitBody(l *admission.Limiter) error {
	b := &x.body
	if b.ReadCloser == nil || !l.BodyFirst() || x.request.Header.Get("Expect") != "" && l.Spare() {
		return nil
	}
	size := int64(firstPartBytes)
	if length := x.request.ContentLength; length > 0 {
		size = min(size, length)
	}
	begin := time.Now()
	part := make([]byte, size)
	n, err := b.ReadCloser.Read(part) // the HTTP server's handler has set a deadline
	x.record.BodyWait = time.Since(begin)
	b.first = &firstPart{bytes: part[:n], ended: err == io.EOF}
	switch {
	case err == nil:
		return nil
	case err == io.EOF:
		b.ended.Store(true)
		// The passing of a deadline would look like the client's leaving. An error: the connection has none.
		_ = http.NewResponseController(x.writer.inner).SetReadDeadline(time.Time{})
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem.New(problem.RequestTimeout, "the request's body did not arrive in time").WithCause(err)
	case x.request.Context().Err() != nil:
		return fmt.Errorf("%w: %w", x.request.Context().Err(), err)
	}
	return fmt.Errorf("%w: %w", http.ErrAbortHandler, err)
}
