package abi

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// HoldBytes is how much of an answer is held back until the guest waits or ends.
const HoldBytes = 4 << 10

// Hold holds the beginning of an answer back, so that a guest that fails soon after it has begun to answer can still be answered
// for. It implements Response in front of another one, and is kept for the next request: its buffer is what that saves.
type Hold struct {
	to       Response
	status   int // 0 until it is given
	released bool
	body     []byte
	trailer  Header
}

// Begin starts an answer.
func (h *Hold) Begin(to Response) {
	h.to, h.status, h.released, h.body, h.trailer = to, 0, false, h.body[:0], nil
}

// End forgets what was not released, and gives back what it was in front of.
func (h *Hold) End() (to Response) {
	to = h.to
	h.Begin(nil)
	return to
}

// Header implements Response.
func (h *Hold) Header() Header { return h.to.Header() }

// Started implements Response.
func (h *Hold) Started() bool { return h.status != 0 }

// WriteHeader implements Response.
func (h *Hold) WriteHeader(code int) {
	switch {
	case h.status != 0:
	case code < 200:
		h.to.WriteHeader(code)
	default:
		h.status = code
	}
}

// Write implements Response.
func (h *Hold) Write(p []byte) (int, error) {
	h.WriteHeader(200)
	if !h.released && len(h.body)+len(p) <= HoldBytes {
		h.body = append(h.body, p...)
		return len(p), nil
	}
	if err := h.Release(); err != nil {
		return 0, err
	}
	return h.to.Write(p)
}

// Flush implements Response.
func (h *Hold) Flush() error {
	h.WriteHeader(200)
	if err := h.Release(); err != nil {
		return err
	}
	return h.to.Flush()
}

// SetTrailer implements Response. Trailers are held until the end.
func (h *Hold) SetTrailer(name string, values []string) {
	if h.trailer == nil {
		h.trailer = Header{}
	}
	h.trailer[name] = values
}

// Release sends what is held. From now on nothing is held any more. The error is an engine.Unusable, and nothing was sent, if the header
// cannot be.
func (h *Hold) Release() error {
	if h.released || h.status == 0 {
		return nil
	}
	if length := h.Header()["Content-Length"]; len(length) > 0 && !isLength(length) {
		return engine.Unusable{Reason: fmt.Sprintf("the Content-Length is %.100q: it must be one number", length)}
	}
	h.released = true
	h.to.WriteHeader(h.status)
	if len(h.body) == 0 {
		return nil
	}
	_, err := h.to.Write(h.body)
	return err
}

// isLength tells whether the values of a Content-Length are what a recipient cannot misunderstand: one, and digits alone. Others are how
// requests and answers are smuggled (RFC 9112, section 6.3).
func isLength(values []string) bool {
	if len(values) != 1 || values[0] == "" || strings.Trim(values[0], "0123456789") != "" {
		return false
	}
	_, err := strconv.ParseInt(values[0], 10, 64)
	return err == nil
}

// Finish sends what is still held as the whole of the answer to a request with this method. The error is an engine.Unusable if
// its length is not what its header says.
func (h *Hold) Finish(method string) error {
	if length := h.Header()["Content-Length"]; !h.released && isLength(length) && method != "HEAD" && h.status != 204 && h.status != 304 {
		if n, err := strconv.ParseUint(length[0], 10, 63); err != nil || n != uint64(len(h.body)) {
			return engine.Unusable{Reason: fmt.Sprintf("the body has %d bytes, its Content-Length is %.100q", len(h.body), length)}
		}
	}
	if err := h.Release(); err != nil {
		return err
	}
	for name, values := range h.trailer {
		h.to.SetTrailer(name, values)
	}
	return nil
}

// Sent is the outcome of sending an answer that gave this error.
func Sent(err error) engine.Outcome {
	if err == nil {
		return engine.Outcome{}
	}
	var unusable engine.Unusable
	if errors.As(err, &unusable) {
		return engine.Outcome{Kind: engine.BadAnswer, Err: err}
	}
	return engine.Outcome{Kind: engine.Canceled, Err: err}
}
