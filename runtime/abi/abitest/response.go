package abitest

import (
	"bytes"
	"maps"

	"github.com/vespo-dev/vespo/runtime/abi"
)

// Response records a response for tests. It implements abi.Response. The zero value is ready.
type Response struct {
	Status        int        // 0 until the header was sent
	Sent          abi.Header // copy of the header when it was sent
	Body          bytes.Buffer
	Trailer       abi.Header
	Informational []int // statuses of 100 to 199
	Flushed       []int // length of the body at each Flush

	Failure error // if set, the error of all writes

	header abi.Header
}

// Header implements abi.Response.
func (r *Response) Header() abi.Header {
	if r.header == nil {
		r.header = abi.Header{}
	}
	return r.header
}

// WriteHeader implements abi.Response.
func (r *Response) WriteHeader(code int) {
	switch {
	case r.Status != 0:
	case code < 200:
		r.Informational = append(r.Informational, code)
	default:
		r.Status, r.Sent = code, maps.Clone(r.Header())
	}
}

// Write implements abi.Response.
func (r *Response) Write(p []byte) (int, error) {
	if r.Failure != nil {
		return 0, r.Failure
	}
	r.WriteHeader(200)
	return r.Body.Write(p)
}

// Flush implements abi.Response.
func (r *Response) Flush() error {
	r.WriteHeader(200)
	r.Flushed = append(r.Flushed, r.Body.Len())
	return nil
}

// SetTrailer implements abi.Response.
func (r *Response) SetTrailer(name string, values []string) {
	if r.Trailer == nil {
		r.Trailer = abi.Header{}
	}
	r.Trailer[name] = values
}

// Started implements abi.Response.
func (r *Response) Started() bool { return r.Status != 0 }
