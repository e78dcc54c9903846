package httpwasm

import (
	"bytes"
	"errors"
	"io"

	"github.com/vespo-dev/vespo/runtime/abi"
)

// requestBody is the request's body as the guest sees it and as what is behind the guest will see it.
type requestBody struct {
	body    io.Reader
	limit   int64
	kept    bytes.Buffer // what the guest has read or written, for what is behind it
	keep    bool         // the guest reads with feature_buffer_request
	written bool         // the guest has written a body of its own
}

func (b *requestBody) begin(body io.Reader, limit int64) {
	b.body, b.limit, b.keep, b.written = body, limit, false, false
}

// keepBytes is how large a buffer may stay with an idle instance.
const keepBytes = 64 << 10

func (b *requestBody) end() {
	b.body = nil
	if b.kept.Cap() > keepBytes {
		b.kept = bytes.Buffer{}
	}
	b.kept.Reset()
}

// Read implements io.Reader for the guest.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if b.keep && n > 0 {
		if int64(b.kept.Len()+n) > b.limit {
			return 0, errors.New("the buffered request body is larger than the host holds")
		}
		b.kept.Write(p[:n])
	}
	return n, err
}

// write replaces the body for what is behind the guest; false if it grows over the limit.
func (b *requestBody) write(p []byte) bool {
	if !b.written {
		b.kept.Reset()
		b.written = true
	}
	if int64(b.kept.Len()+len(p)) > b.limit {
		return false
	}
	b.kept.Write(p)
	return true
}

// behind gives the body for what is behind the guest.
func (b *requestBody) behind(buffered bool, length int64) (io.Reader, int64) {
	switch {
	case b.written:
		return bytes.NewReader(b.kept.Bytes()), int64(b.kept.Len())
	case buffered:
		return io.MultiReader(bytes.NewReader(b.kept.Bytes()), b.body), length
	}
	return b.body, length
}

// heldResponse takes the response of what is behind the guest, so that the guest can read and change it before it is
// sent. It implements abi.Response.
type heldResponse struct {
	to          abi.Response
	limit       int64
	status      int
	body        bytes.Buffer
	readOffset  int
	overwritten bool
	trailer     abi.Header
}

func newHeldResponse(to abi.Response, limit int64) *heldResponse {
	return &heldResponse{to: to, limit: limit}
}

func (h *heldResponse) Header() abi.Header { return h.to.Header() }
func (h *heldResponse) Started() bool      { return h.status != 0 }
func (h *heldResponse) Flush() error       { return nil }

func (h *heldResponse) WriteHeader(code int) {
	if h.status == 0 && code >= 200 {
		h.status = code
	}
}

func (h *heldResponse) SetTrailer(name string, values []string) {
	if h.trailer == nil {
		h.trailer = abi.Header{}
	}
	h.trailer[name] = values
}

// errHeldTooLarge ends the exchange of what is behind the guest.
var errHeldTooLarge = errors.New("the response is larger than the host holds for a guest that buffers it")

func (h *heldResponse) Write(p []byte) (int, error) {
	h.WriteHeader(200)
	if int64(h.body.Len()+len(p)) > h.limit {
		return 0, errHeldTooLarge
	}
	return h.body.Write(p)
}

// Read implements io.Reader for the guest; it does not consume.
func (h *heldResponse) Read(p []byte) (int, error) {
	n := copy(p, h.body.Bytes()[h.readOffset:])
	h.readOffset += n
	if h.readOffset == h.body.Len() {
		return n, io.EOF
	}
	return n, nil
}

// overwrite puts the guest's body in place of the held one; false if it grows over the limit.
func (h *heldResponse) overwrite(p []byte) bool {
	if !h.overwritten {
		h.body.Reset()
		h.overwritten = true
		delete(h.to.Header(), "Content-Length")
	}
	if int64(h.body.Len()+len(p)) > h.limit {
		return false
	}
	h.body.Write(p)
	return true
}

// send sends the response, with the guest's status if it set one.
func (h *heldResponse) send(status int) error {
	if status == 0 {
		status = max(h.status, 200)
	}
	h.to.WriteHeader(status)
	_, err := h.to.Write(h.body.Bytes())
	for name, values := range h.trailer {
		h.to.SetTrailer(name, values)
	}
	return err
}
