package httpwasm

import (
	"bytes"
	"errors"
	"io"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// requestBody is the request body as the guest reads it, and as it is passed on to the next handler.
type requestBody struct {
	body    abi.Source
	limit   int64
	kept    bytes.Buffer // bytes that the guest has read or written, for the next handler
	keep    bool         // the guest reads with feature_buffer_request
	written bool         // the guest has written its own body
	lost    bool         // the guest has read without feature_buffer_request
	ended   bool         // the guest has read to the end
}

func (b *requestBody) begin(body abi.Source, limit int64) {
	b.body, b.limit, b.keep, b.written, b.lost, b.ended = body, limit, false, false, false, false
}

// keepBytes is the largest buffer that an idle instance keeps.
const keepBytes = 64 << 10

func (b *requestBody) end() {
	b.body = nil
	if b.kept.Cap() > keepBytes {
		b.kept = bytes.Buffer{}
	}
	b.kept.Reset()
}

// HeldBytes implements engine.Holder: buffers of bodies stay with an idle instance.
func (c *call) HeldBytes() int { return c.request.kept.Cap() }

// Waits reports whether reads may wait.
func (b *requestBody) Waits() bool { return abi.MayWait(b.body) }

// Read implements io.Reader for the guest.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.ended = errors.Is(err, io.EOF)
	switch {
	case n == 0 || b.written:
	case !b.keep:
		b.lost = true
	case int64(b.kept.Len()+n) > b.limit:
		return 0, errors.New("the buffered request body is larger than the host holds")
	default:
		b.kept.Write(p[:n])
	}
	return n, err
}

// write replaces the body that is passed on. It returns false if that grows over the limit.
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

// errBodyLost is the fault of a guest that passes a request on after it has consumed any of its body.
// The request fails before the next handler is called, so an upstream never receives a truncated body.
var errBodyLost = engine.Unusable{Reason: "the guest read the request's body without feature_buffer_request, and passed the request on: " +
	"the rest of the body is not the request's"}

// passable returns an error if the body cannot be passed on.
func (b *requestBody) passable() error {
	if b.lost && !b.written {
		return errBodyLost
	}
	return nil
}

// behind returns the body for the next handler, and its length. The body must be passable.
func (b *requestBody) behind(length int64) (abi.Source, int64) {
	kept := bytes.NewReader(b.kept.Bytes())
	switch {
	case b.written:
		return abi.Arrived(kept), kept.Size()
	case kept.Len() > 0:
		return &whole{kept, b.body}, length
	}
	return b.body, length
}

// whole is a body of which the guest has read the beginning.
type whole struct {
	kept *bytes.Reader
	rest abi.Source
}

// Read implements abi.Source.
func (w *whole) Read(p []byte) (int, error) {
	if w.kept.Len() > 0 {
		return w.kept.Read(p)
	}
	return w.rest.Read(p)
}

// Ready implements abi.Source.
func (w *whole) Ready() <-chan struct{} {
	if w.kept.Len() > 0 {
		return abi.Arrived(w.kept).Ready()
	}
	return w.rest.Ready()
}
