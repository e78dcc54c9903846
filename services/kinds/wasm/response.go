package wasm

import (
	"errors"
	"net/http"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// response writes a guest's response to the client. It implements abi.Response.
type response struct {
	out     client.Writer // cuts the client off at the deadline, so that a slow reader cannot hold the slot beyond it
	failed  bool          // a write failed: the client reads no more
	flushed bool
}

// Header implements abi.Response.
func (r *response) Header() abi.Header { return r.out.Header() }

// Started implements abi.Response.
func (r *response) Started() bool { return r.out.Started() }

// WriteHeader implements abi.Response.
func (r *response) WriteHeader(code int) { r.out.WriteHeader(code) }

// Write implements abi.Response. It drops bytes that the status or the method forbids,
// as net/http does for HEAD.
func (r *response) Write(p []byte) (int, error) {
	n, err := r.out.Write(p)
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
	r.flushed = true
	err := r.out.FlushError()
	r.failed = r.failed || err != nil
	return err
}

// SetTrailer implements abi.Response. It flushes first: a short unflushed response
// would be sent with a Content-Length, and could not have trailers.
func (r *response) SetTrailer(name string, values []string) {
	if !r.flushed {
		_ = r.Flush()
	}
	r.out.Header()[http.TrailerPrefix+name] = values
}

// late reports whether the client failed to read the response by the deadline.
func (r *response) late() bool { return r.failed && r.out.Expired() }
