package abi

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// HoldBytes is the most body bytes that are held back until the guest waits or ends.
const HoldBytes = 4 << 10

// Hold is a Response that holds back the beginning of another one. If the guest fails soon after it began to
// respond, the host can still send an error response. A Hold is reused across requests to keep its buffer.
type Hold struct {
	to       Response
	status   int // 0 until it is set
	released bool
	body     []byte
	trailer  Header
}

// Begin starts a response.
func (h *Hold) Begin(to Response) {
	h.to, h.status, h.released, h.body, h.trailer = to, 0, false, h.body[:0], nil
}

// End drops the held part and returns the underlying Response.
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
	if h.Holds(len(p)) {
		h.body = append(h.body, p...)
		return len(p), nil
	}
	if err := h.Release(); err != nil {
		return 0, err
	}
	return h.to.Write(p)
}

// Holds reports whether size more bytes of the body are held back: Write does not wait for the client then.
func (h *Hold) Holds(size int) bool { return !h.released && len(h.body)+size <= HoldBytes }

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

// Release sends the held part and stops holding. The error is an
// engine.Unusable if the header cannot be sent; nothing was sent then.
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

// isLength reports whether the values of a Content-Length are unambiguous: one value
// of digits only. Others allow request and response smuggling (RFC 9112, section 6.3).
func isLength(values []string) bool {
	if len(values) != 1 || values[0] == "" || strings.Trim(values[0], "0123456789") != "" {
		return false
	}
	_, err := strconv.ParseInt(values[0], 10, 64)
	return err == nil
}

// Finish sends the held part as the end of the response to a request with this method. The error is an
// engine.Unusable if the length of a response that is still held does not match its Content-Length.
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

// Sent returns the outcome for an error from sending a response.
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
