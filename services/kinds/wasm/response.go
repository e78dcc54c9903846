package wasm

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// bufferedBytes is the number of bytes that the HTTP server buffers before it writes
// to the connection. Up to this size, a write cannot block on the client.
const bufferedBytes = 2 << 10

// response writes a guest's response to the client. It implements abi.Response.
type response struct {
	w        http.ResponseWriter
	context  context.Context
	deadline time.Time
	written  int64
	started  bool
	failed   bool // a write failed: the client reads no more
	bounded  bool // a write deadline is set
	passing  bool // another handler writes, and sets its own write deadlines
	flushed  bool
}

// Header implements abi.Response.
func (r *response) Header() abi.Header { return r.w.Header() }

// Started implements abi.Response.
func (r *response) Started() bool { return r.started }

// WriteHeader implements abi.Response.
func (r *response) WriteHeader(code int) {
	if r.started {
		return
	}
	r.started = code >= 200
	r.w.WriteHeader(code)
}

// Write implements abi.Response. It drops bytes that the status or the method forbids,
// as net/http does for HEAD.
func (r *response) Write(p []byte) (int, error) {
	r.started = true
	if r.written += int64(len(p)); r.written > bufferedBytes {
		r.bound()
	}
	n, err := r.w.Write(p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, http.ErrBodyNotAllowed):
		return len(p), nil
	case errors.Is(err, http.ErrContentLength):
		return n, engine.Unusable{Reason: "the body is longer than the Content-Length that the guest set"}
	}
	r.failed = true
	return n, err
}

// Flush implements abi.Response.
func (r *response) Flush() error {
	r.bound()
	r.flushed = true
	err := http.NewResponseController(r.w).Flush()
	r.failed = r.failed || err != nil
	return err
}

// SetTrailer implements abi.Response. It flushes first: a short unflushed response
// would be sent with a Content-Length, and could not have trailers.
func (r *response) SetTrailer(name string, values []string) {
	if !r.flushed {
		_ = r.Flush()
	}
	r.w.Header()[http.TrailerPrefix+name] = values
}

// bound sets the deadline for writes that wait for the client, so that a slow reader
// cannot hold the slot beyond it.
func (r *response) bound() {
	if !r.bounded && !r.passing {
		r.bounded = true
		_ = http.NewResponseController(r.w).SetWriteDeadline(r.deadline)
	}
}

// late reports whether the client failed to read the response by the deadline.
func (r *response) late() bool { return r.failed && !time.Now().Before(r.deadline) }

// pass lets another handler set the write deadlines until resume.
func (r *response) pass() {
	r.finish()
	r.passing = true
}

// resume ends pass. It extends the deadline by took, the time that the other handler used.
func (r *response) resume(took time.Duration) {
	r.passing, r.bounded = false, false
	r.deadline = r.deadline.Add(took)
}

// finish returns the connection to the server. The server's own write timeout applies to data that
// is still buffered there or in the kernel. Neither the instance nor the slot waits for that data.
func (r *response) finish() {
	if !r.bounded {
		return
	}
	r.bounded = false
	until := time.Time{}
	if s, ok := r.context.Value(http.ServerContextKey).(*http.Server); ok && s.WriteTimeout > 0 {
		until = time.Now().Add(s.WriteTimeout)
	}
	_ = http.NewResponseController(r.w).SetWriteDeadline(until)
}
