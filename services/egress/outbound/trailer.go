package outbound

import (
	"errors"
	"io"
	"maps"
	"net/http"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/runtime/abi"
)

// SetTrailer implements abi.OutboundCall. Trailers that are set before the request begins are announced in its header.
func (c *call) SetTrailer(name string, values []string) error {
	switch {
	case c.finished:
		return fail(abi.OutboundBadState, "the request's body has ended")
	case !httpfield.Trailer(name):
		return fail(abi.OutboundInvalid, "the field %s cannot be a trailer", name)
	case c.length >= 0:
		return fail(abi.OutboundInvalid, "the trailer %s is not sent: the request has a content-length", name)
	}
	for _, value := range values {
		if c.headerBytes += len(name) + len(value) + abi.FieldOverheadBytes; c.headerBytes > c.limits.HeaderBytes {
			return fail(abi.OutboundTooLarge, "the request's header and trailers are larger than %d bytes", c.limits.HeaderBytes)
		}
	}
	if c.trailer == nil {
		c.trailer = http.Header{}
	}
	c.trailer[name] = values
	return nil
}

// announce prepares the request for trailers. Later its body alone changes its map of trailers.
func (c *call) announce(body io.ReadCloser) io.ReadCloser {
	if c.length >= 0 {
		return body
	}
	into := make(http.Header, len(c.trailer))
	for name := range c.trailer {
		into[name] = nil
	}
	c.request.Trailer = into
	if len(into) > 0 {
		c.request.TransferEncoding = []string{"chunked"} // also for an empty body
	}
	return &trailingBody{ReadCloser: body, call: c}
}

// trailingBody fills in the trailers of a request at the end of its body, as net/http asks for.
type trailingBody struct {
	io.ReadCloser
	call *call
}

// Read implements io.Reader.
func (b *trailingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) { // the guest has ended the body, and its trailers
		maps.Copy(b.call.request.Trailer, b.call.trailer)
	}
	return n, err
}
