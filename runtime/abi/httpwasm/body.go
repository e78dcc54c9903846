package httpwasm

import (
	"bytes"
	"errors"
	"io"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// requestBody is the request's body as the guest sees it and as what is behind the guest will see it.
type requestBody struct {
	body    io.Reader
	limit   int64
	kept    bytes.Buffer // what the guest has read or written, for what is behind it
	keep    bool         // the guest reads with feature_buffer_request
	written bool         // the guest has written a body of its own
	lost    bool         // the guest has read without feature_buffer_request
	ended   bool         // the guest has read all
}

func (b *requestBody) begin(body io.Reader, limit int64) {
	b.body, b.limit, b.keep, b.written, b.lost, b.ended = body, limit, false, false, false, false
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

// errBodyLost is the fault of a guest that passes a request on after it has consumed the body or a part of it. The request fails before
// the next handler is called: an upstream never sees a request whose body breaks off.
var errBodyLost = engine.Unusable{Reason: "the guest read the request's body without feature_buffer_request, and passed the request on: " +
	"the rest of the body is not the request's"}

// passable returns an error if no body is left to pass on.
func (b *requestBody) passable() error {
	if b.lost && !b.written {
		return errBodyLost
	}
	return nil
}

// behind returns the body for the next handler, and its length. The body must be passable.
func (b *requestBody) behind(length int64) (io.Reader, int64) {
	switch {
	case b.written:
		return bytes.NewReader(b.kept.Bytes()), int64(b.kept.Len())
	case b.kept.Len() > 0:
		return io.MultiReader(bytes.NewReader(b.kept.Bytes()), b.body), length
	}
	return b.body, length
}
