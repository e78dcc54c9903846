package httpwasm

import (
	"bytes"
	"errors"
	"io"
	"maps"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// heldResponse buffers a response (feature_buffer_response), so that the guest can read and change
// the next handler's response before it is sent. It is the abi.Response of the next handler.
type heldResponse struct {
	limit  int64
	before abi.Header // header at the time the request was passed on

	header  abi.Header
	status  int // 0 until it is set
	body    bytes.Buffer
	trailer abi.Header

	tooLarge bool // the response exceeded limit

	own         bytes.Buffer // the guest's body, which replaces the other
	overwritten bool
	joined      bool // body begins with the guest's own bytes
	readOffset  int
}

func newHeldResponse(set abi.Header, limit int64) *heldResponse {
	return &heldResponse{limit: limit, header: maps.Clone(set)}
}

// Header implements abi.Response.
func (h *heldResponse) Header() abi.Header {
	if h.header == nil {
		h.header = abi.Header{}
	}
	return h.header
}

// Started implements abi.Response.
func (h *heldResponse) Started() bool { return h.status != 0 || h.overwritten }

// Flush implements abi.Response.
func (h *heldResponse) Flush() error { return nil }

// WriteHeader implements abi.Response. Informational responses are dropped.
func (h *heldResponse) WriteHeader(code int) {
	if h.status == 0 && code >= 200 {
		h.status = code
	}
}

// SetTrailer implements abi.Response.
func (h *heldResponse) SetTrailer(name string, values []string) {
	if h.trailer == nil {
		h.trailer = abi.Header{}
	}
	h.trailer[name] = values
}

// errHeldTooLarge ends the exchange of the next handler.
var errHeldTooLarge = engine.Unusable{Reason: "the response is larger than the host holds for a guest that enables feature_buffer_response"}

// Write implements abi.Response.
func (h *heldResponse) Write(p []byte) (int, error) {
	h.WriteHeader(200)
	if int64(h.body.Len()+len(p)) > h.limit {
		h.tooLarge = true
		return 0, errHeldTooLarge
	}
	return h.body.Write(p)
}

// Read reads the held body for the guest. Writes of the guest do not
// change it, so the guest can alternate between reads and writes.
func (h *heldResponse) Read(p []byte) (int, error) {
	n := copy(p, h.body.Bytes()[h.readOffset:])
	h.readOffset += n
	if h.readOffset == h.body.Len() {
		return n, io.EOF
	}
	return n, nil
}

// overwrite appends to the guest's body, which replaces the
// held one. It returns false if that grows over the limit.
func (h *heldResponse) overwrite(p []byte) bool {
	if !h.overwritten {
		h.overwritten = true
		delete(h.Header(), "Content-Length")
	}
	if int64(h.own.Len()+len(p)) > h.limit {
		return false
	}
	h.own.Write(p)
	return true
}

// passOn prepares for the next handler's response. A body that the guest has written so far comes before it.
func (h *heldResponse) passOn() {
	h.before = maps.Clone(h.header)
	if h.overwritten {
		h.body, h.own, h.overwritten, h.joined = h.own, bytes.Buffer{}, false, true
	}
}

// forget drops the next handler's response.
func (h *heldResponse) forget() {
	h.header, h.status, h.trailer = h.before, 0, nil
	h.body.Reset()
}

// send sends the response with this status.
func (h *heldResponse) send(to abi.Response, status int) error {
	header := to.Header()
	clear(header)
	maps.Copy(header, h.header)
	if h.joined {
		delete(header, "Content-Length")
	}
	to.WriteHeader(status)
	body := &h.body
	if h.overwritten {
		body = &h.own
	}
	if body.Len() == 0 {
		return nil
	}
	_, err := to.Write(body.Bytes())
	return err
}

// notedResponse records the status of the next handler's response. It also
// records an engine.Unusable error, caused by a header that the guest set.
// The next handler treats that error as a client that has disconnected.
type notedResponse struct {
	abi.Response
	status   int // 0 until it is set
	unusable error
}

// WriteHeader implements abi.Response.
func (r *notedResponse) WriteHeader(code int) {
	if r.status == 0 && code >= 200 {
		r.status = code
	}
	r.Response.WriteHeader(code)
}

// Write implements abi.Response.
func (r *notedResponse) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = 200
	}
	n, err := r.Response.Write(p)
	var unusable engine.Unusable
	if errors.As(err, &unusable) {
		r.unusable = unusable
	}
	return n, err
}
