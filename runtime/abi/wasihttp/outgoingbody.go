package wasihttp

import (
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/abi/wasip2"
)

// pendingBytes is the most bytes of a body that are kept until its request or response is sent.
const pendingBytes = 64 << 10

// maxPendingBytes bounds the pending bytes of all bodies of a guest.
const maxPendingBytes = 16 * pendingBytes

// destination is where the body of a request or response goes.
type destination interface {
	write(p []byte) *wasip2.Error
	// writable returns a channel that is closed as soon as write does not wait, or nil.
	writable() <-chan struct{}
	// finish ends the body. trailers may be nil.
	finish(b *outgoingBody, trailers *fieldList) *errorCode
	// abandon ends a body that is not complete.
	abandon()
}

// outgoingBody is a body that the guest writes. It implements wasip2.Sink for its stream.
type outgoingBody struct {
	call     *call
	length   string // the Content-Length of the message, or ""
	to       destination
	pending  []byte // written before the message was sent
	written  uint64
	streamed bool // the guest has had the stream
	closed   bool // finished or dropped
	whole    bool // finished before the message was sent
	trailers *fieldList
	dropped  bool          // dropped before the message was sent
	orphaned bool          // the message was dropped before it was sent
	sent     chan struct{} // closed when the message is sent; nil until the guest waits for that
}

func newBody(c *call, list *fieldList) *outgoingBody {
	b := &outgoingBody{call: c}
	for _, f := range list.all {
		if strings.EqualFold(f.Name, "content-length") {
			b.length = f.Value
		}
	}
	return b
}

// declared returns the Content-Length of the message.
func (b *outgoingBody) declared() (uint64, bool) {
	if b.length == "" { // most: spare the error
		return 0, false
	}
	n, err := strconv.ParseUint(b.length, 10, 63)
	return n, err == nil
}

// connect sends the bytes written so far, and from now on everything to the destination.
func (b *outgoingBody) connect(to destination) {
	b.to = to
	if b.sent != nil {
		close(b.sent)
	}
	if len(b.pending) > 0 {
		to.write(b.pending)
		b.forget()
	}
	switch {
	case b.whole:
		to.finish(b, b.trailers)
		b.releaseTrailers()
	case b.dropped:
		to.abandon()
	}
}

// forget drops the bytes written before the message was sent.
func (b *outgoingBody) forget() {
	b.call.pendingBytes -= len(b.pending)
	b.pending = nil
}

// orphan drops what was written to a body whose message will not be sent, and what will be. b may be nil.
func (b *outgoingBody) orphan() {
	if b != nil {
		b.orphaned = true
		b.forget()
		b.releaseTrailers()
	}
}

func (b *outgoingBody) releaseTrailers() {
	if b.trailers != nil {
		b.trailers.release()
		b.trailers = nil
	}
}

// Drop implements canonical.Resource.
func (b *outgoingBody) Drop() {
	b.closed = true
	if b.to != nil {
		b.to.abandon()
		return
	}
	b.dropped = true
	b.forget()
}

// Writable implements wasip2.Sink.
func (b *outgoingBody) Writable() <-chan struct{} {
	switch {
	case b.to != nil:
		return b.to.writable()
	case len(b.pending) > 0:
		if b.sent == nil {
			b.sent = make(chan struct{})
		}
		return b.sent
	}
	return nil
}

// Write implements wasip2.Sink.
func (b *outgoingBody) Write(p []byte) *wasip2.Error {
	b.written += uint64(len(p))
	if length, ok := b.declared(); ok && b.written > length {
		return &wasip2.Error{Text: "the body is longer than its content-length", Code: &errorCode{kind: httptypes.RequestBodySize, bytes: &b.written}}
	}
	if b.to != nil {
		return b.to.write(p)
	}
	if b.orphaned {
		return nil
	}
	if b.call.pendingBytes+len(p) > maxPendingBytes {
		canonical.Trap("the guest holds more than %d bytes of bodies whose messages it has not sent", maxPendingBytes)
	}
	b.call.pendingBytes += len(p)
	b.pending = append(b.pending, p...)
	return nil
}

// Flush implements wasip2.Sink.
func (*outgoingBody) Flush() *wasip2.Error { return nil }

// Closed implements wasip2.Sink.
func (b *outgoingBody) Closed() bool { return b.closed }

// bodyStream returns the stream of a body, once.
func bodyStream(c *call, p []uint64) {
	b, m := lookUp[*outgoingBody](c, p[0]), c.state.Area(p[1], 8, 4)
	first := !b.streamed
	b.streamed = true
	c.putOwn(m, func() canonical.Resource { return wasip2.NewOutput(b, nil) }, p[0], first)
}

// finishBody: body, option<trailers> -> result<_, error-code>.
func finishBody(c *call, p []uint64) {
	m := c.state.Area(p[3], codeResultSize, codeAlign)
	withTrailers := canonical.Case(p[1], 2) == 1
	b := take[*outgoingBody](c, p[0])
	if withTrailers {
		b.trailers = take[*fields](c, p[2]).list
	}
	b.closed = true
	if b.to == nil {
		b.whole = true
		if length, ok := b.declared(); ok && length != b.written {
			b.whole, b.dropped = false, true
			b.releaseTrailers()
			c.putDone(m, &errorCode{kind: httptypes.RequestBodySize, bytes: &b.written})
			return
		}
		if b.orphaned {
			b.releaseTrailers()
		}
		c.putDone(m, nil)
		return
	}
	e := b.to.finish(b, b.trailers)
	b.releaseTrailers()
	c.putDone(m, e)
}
