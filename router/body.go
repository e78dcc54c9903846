package router

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/admission"
)

// firstPartBytes is the largest part of a body that is read before the request is admitted.
const firstPartBytes = 4 << 10

// countingBody counts the bytes that the handler reads of a request body.
type countingBody struct {
	io.ReadCloser              // immutable; nil if the request has no body
	first         *firstPart   // immutable once the request is admitted; nil if nothing was read before admission
	tee           *Copy        // set before the handler is called; nil unless the request is mirrored
	bytes         atomic.Int64 // atomic, because a stray reader may outlive the handler
	ended         atomic.Bool  // the body was read to its end; atomic for the same reason
}

// firstPart is the part of a body that was read before admission.
type firstPart struct {
	bytes []byte // not yet read by the handler
	ended bool   // the part is the whole body
}

// Read implements io.Reader.
func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.read(p)
	if b.tee != nil {
		b.tee.addBody(p[:n])
	}
	return n, err
}

func (b *countingBody) read(p []byte) (int, error) {
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

// Arrived reports whether the whole body was received, so that reading it does not block.
func (b *countingBody) Arrived() bool {
	if b.first != nil {
		return b.first.ended
	}
	from, ok := b.ReadCloser.(interface{ Arrived() bool })
	return ok && from.Arrived()
}

// awaitBody waits for the first part of the request's body if the limiter requires it. A client that sent
// Expect is not asked for its body while there is spare capacity, because the request may still be refused. A request whose route
// was retired has its first part.
func (x *exchange) awaitBody(l *admission.Limiter) error {
	b := &x.body
	if b.ReadCloser == nil || b.first != nil || !l.BodyFirst() || x.request.Header.Get("Expect") != "" && l.Spare() && l.Relaxed(1) {
		return nil
	}
	size := int64(firstPartBytes)
	if length := x.request.ContentLength; length > 0 {
		size = min(size, length)
	}
	begin := time.Now()
	part := make([]byte, size)
	n, err := b.ReadCloser.Read(part) // the HTTP server's handler has set a read deadline
	x.record.BodyWait = time.Since(begin)
	b.first = &firstPart{bytes: part[:n], ended: err == io.EOF}
	switch {
	case err == nil:
		return nil
	case err == io.EOF:
		b.ended.Store(true)
		client.ConnOf(x.writer.inner).Received()
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem.New(problem.RequestTimeout, "the request's body did not arrive in time").WithCause(err)
	case x.request.Context().Err() != nil:
		return fmt.Errorf("%w: %w", x.request.Context().Err(), err)
	}
	if malformed := client.MalformedBody(x.request.Request, err); malformed != nil {
		return malformed
	}
	return fmt.Errorf("%w: %w", http.ErrAbortHandler, err)
}
