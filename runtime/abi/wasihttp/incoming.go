package wasihttp

import (
	"errors"
	"io"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/abi/wasip2"
)

// putScheme writes an option<scheme>.
func (c *call) putScheme(m []byte, scheme string) {
	if m[0] = 1; scheme == "" {
		m[0] = 0
		return
	}
	httptypes.PutScheme(c.state, m, 4, scheme)
}

// incomingRequest is the request that the guest serves.
type incomingRequest struct {
	list     *fieldList // nil until the guest asks for it
	consumed bool
}

// Drop implements canonical.Resource.
func (r *incomingRequest) Drop() {
	if r.list != nil {
		r.list.release()
	}
}

func (c *call) request(v uint64) *incomingRequest { return lookUp[*incomingRequest](c, v) }

func requestMethod(c *call, p []uint64) {
	c.request(p[0])
	httptypes.PutMethod(c.state, c.state.Area(p[1], 12, 4), 0, c.exchange().Method)
}

func requestPath(c *call, p []uint64) {
	c.request(p[0])
	c.putOption(c.state.Area(p[1], 12, 4), utf8Text(c.exchange().URI))
}

func requestScheme(c *call, p []uint64) {
	c.request(p[0])
	c.putScheme(c.state.Area(p[1], 16, 4), c.exchange().Scheme)
}

func requestAuthority(c *call, p []uint64) {
	c.request(p[0])
	c.putOption(c.state.Area(p[1], 12, 4), utf8Text(c.exchange().Host))
}

func requestHeaders(c *call, p []uint64) {
	r := c.request(p[0])
	if r.list == nil {
		r.list = c.received(c.exchange().Header)
	}
	p[0] = c.add(r.list.view(), p[0])
}

func requestConsume(c *call, p []uint64) {
	r, m, x := c.request(p[0]), c.state.Area(p[1], 8, 4), c.exchange()
	first := !r.consumed
	r.consumed = true
	c.putOwn(m, func() canonical.Resource {
		b := &incomingBody{call: c, ended: x.ContentLength == 0}
		if !b.ended {
			b.source, b.trailers = x.Body, x.Trailer
		}
		return b
	}, 0, first)
}

// incomingBody is the body of a request, or of the response to a request of the guest.
type incomingBody struct {
	call     *call
	fetch    *fetch            // nil: it is the body of the guest's own request
	source   abi.Source        // nil: there is none; the fetch itself for a response
	trailers func() abi.Header // nil: there can be none
	streamed bool              // the guest has had the stream
	ended    bool              // read to its end
	failed   *errorCode        // of reading it
}

// Drop implements canonical.Resource.
func (b *incomingBody) Drop() {
	if b.fetch != nil {
		b.fetch.release()
	}
}

// bodyContents returns the stream of a body, once.
func bodyContents(c *call, p []uint64) {
	b, m := lookUp[*incomingBody](c, p[0]), c.state.Area(p[1], 8, 4)
	first := !b.streamed
	b.streamed = true
	c.putOwn(m, func() canonical.Resource { return b.stream() }, p[0], first)
}

func (b *incomingBody) stream() *wasip2.InputStream {
	s := &wasip2.InputStream{Ended: func() { b.ended = true }}
	if b.source == nil {
		return s
	}
	s.From, s.Ready, s.Failed = b.source, b.source.Ready, b.fail
	if b.fetch != nil {
		b.fetch.progress = time.Now()
		s.Until = b.fetch.idleUntil
	}
	return s
}

// drain drops the arrived part of the rest of the body. It returns a channel that is closed when there is more, or nil if
// the body is over.
func (b *incomingBody) drain() <-chan struct{} {
	piece := make([]byte, drainBytes)
	for b.source != nil && !b.ended && b.failed == nil && (b.fetch != nil || !b.call.answer.completed) {
		if ready := b.source.Ready(); ready != nil && !isClosed(ready) {
			return ready
		}
		switch _, err := b.source.Read(piece); {
		case errors.Is(err, io.EOF):
			b.ended = true
		case err != nil:
			b.fail(err)
		}
		b.call.in.Check()
	}
	return nil
}

// drainBytes is the most that one step of drain reads.
const drainBytes = 4 << 10

// fail returns the guest's view of an error of reading. If the client has failed, the guest ends.
func (b *incomingBody) fail(err error) *wasip2.Error {
	switch {
	case b.fetch != nil:
	case b.call.answer.completed:
		b.failed = &errorCode{kind: httptypes.ConnectionTerminated}
		return &wasip2.Error{Text: "the response is complete, and the body of the request is gone", Code: b.failed}
	default:
		b.call.in.GiveUp(err)
	}
	b.failed = b.fetch.code(err)
	return &wasip2.Error{Text: "the body cannot be read: " + b.failed.kind.String(), Code: b.failed}
}

// futureTrailers are the trailers of a body that the guest has finished.
type futureTrailers struct {
	body *incomingBody
	got  bool
}

// Drop implements canonical.Resource.
func (t *futureTrailers) Drop() { t.body.Drop() }

func finishIncoming(c *call, p []uint64) {
	p[0] = c.add(&futureTrailers{body: take[*incomingBody](c, p[0])}, 0)
}

// pending returns what the trailers wait for, or nil if they are known.
func (t *futureTrailers) pending() <-chan struct{} {
	if t.got || t.body.ended {
		return nil
	}
	return t.body.drain()
}

func subscribeTrailers(c *call, p []uint64) {
	t := lookUp[*futureTrailers](c, p[0])
	var until func() time.Time
	if t.body.fetch != nil {
		until = t.body.fetch.idleUntil
	}
	p[0] = wasip2.Subscribe(c.state, wasip2.NewPollable(t.pending, until), p[0])
}

// The layout of option<result<result<T, error-code>>>, for T of 8 bytes at most.
const (
	futureBytes = 56
	futureOuter = 8
	futureInner = 16
	futureValue = 24
)

// future returns the area of such a result, for a future that is ready. again reports that the guest has had its value.
func (c *call) future(at uint64, again bool) []byte {
	m := c.state.Area(at, futureBytes, codeAlign)
	clear(m)
	if m[0] = 1; again {
		m[futureOuter] = 1
	}
	return m
}

// getTrailers returns the trailers once the body is over. The rest of the body is dropped.
func getTrailers(c *call, p []uint64) {
	t := lookUp[*futureTrailers](c, p[0])
	if t.pending() != nil {
		c.state.Area(p[1], futureBytes, codeAlign)[0] = 0
		return
	}
	m := c.future(p[1], t.got)
	if t.got {
		return
	}
	t.got = true
	if t.body.failed != nil {
		m[futureInner] = 1
		c.putCode(m[futureValue:], t.body.failed)
		return
	}
	if !t.body.ended || t.body.trailers == nil || t.body.fetch == nil && c.answer.completed {
		return
	}
	if h := t.body.trailers(); len(h) > 0 {
		m[futureValue] = 1
		canonical.PutUint32(m, futureValue+4, uint32(c.add(&fields{list: c.received(h)}, 0)))
	}
}

// httpErrorCode: io-error -> option<error-code>.
func httpErrorCode(c *call, p []uint64) {
	e, m := lookUp[*wasip2.Error](c, p[0]), c.state.Area(p[1], codeResultSize, codeAlign)
	code, ok := e.Code.(*errorCode)
	if m[0] = 0; ok {
		c.putCode(m[codeAt:], code)
		m[0] = 1
	}
}
