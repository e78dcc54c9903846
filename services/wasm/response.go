package wasm

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// bufferedBytes is what the HTTP server certainly holds back before it writes to the connection: up to here a write cannot wait for
// the client.
const bufferedBytes = 2 << 10

// response is where a guest's answer goes. It implements abi.Response.
type response struct {
	w        http.ResponseWriter
	context  context.Context
	deadline time.Time
	written  int64
	started  bool
	failed   bool // the client does not take any more
	bounded  bool // a write deadline is set
	passing  bool // another handler answers, and sets its own write deadlines
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

// Write implements abi.Response. Bytes that the status or the method forbids are dropped, as net/http does for HEAD.
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

// SetTrailer implements abi.Response. A short answer that was not flushed would be sent with its length, and then there is
// no place for a trailer.
func (r *response) SetTrailer(name string, values []string) {
	if !r.flushed {
		_ = r.Flush()
	}
	r.w.Header()[http.TrailerPrefix+name] = values
}

// bound makes writes fail that wait for the client at the deadline: a client that reads slowly cannot hold the slot for longer.
func (r *response) bound() {
	if !r.bounded && !r.passing {
		r.bounded = true
		_ = http.NewResponseController(r.w).SetWriteDeadline(r.deadline)
	}
}

// late reports whether the client has not taken the answer by the deadline.
func (r *response) late() bool { return r.failed && !time.Now().Before(r.deadline) }

// pass lets another handler set write deadlines, until resume.
func (r *response) pass() {
	r.finish()
	r.passing = true
}

// resume takes the answer back from another handler, which has taken so long.
func (r *response) resume(took time.Duration) {
	r.passing, r.bounded = false, false
	r.deadline = r.deadline.Add(took)
}

// finish hands the connection back: what is left in the server's buffers, and in the kernel's, is under the server's own write timeout.
// Neither the instance nor the slot waits for that.
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
