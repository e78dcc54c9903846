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

// fetch is a request of the guest that was sent. It ends when the guest holds neither the body that it sends nor
// anything of the response. It implements destination for the body of the request, and abi.Source for that of the response.
type fetch struct {
	call     *call
	out      abi.OutboundCall
	users    int
	until    time.Time     // when the response must have begun; zero: no limit
	between  time.Duration // limit of each read; 0: none
	progress time.Time     // of the last read
	failed   *errorCode    // of the request
	closed   bool
}

// errTimeout is the error of a read that took longer than the guest allows.
var errTimeout = errors.New("between-bytes-timeout")

func (f *fetch) release() {
	if f.users--; f.users == 0 {
		f.close()
	}
}

func (f *fetch) close() {
	if !f.closed {
		f.closed = true
		_ = f.out.Close() // the guest discards the rest, so an error does not matter
	}
}

// fail ends the request with an error-code for the guest.
func (f *fetch) fail(e *errorCode) {
	if f.failed == nil {
		f.failed = e
	}
	f.close()
}

// write implements destination.
func (f *fetch) write(p []byte) *wasip2.Error {
	if f.failed == nil && !f.closed {
		f.call.in.PauseFor(nil)
		err := f.out.Write(p)
		f.call.in.Resume()
		if err == nil {
			return nil
		}
		f.fail(outboundCode(err))
	}
	return f.streamError()
}

func (f *fetch) streamError() *wasip2.Error {
	if f.failed == nil {
		f.failed = &errorCode{kind: httptypes.ConnectionTerminated}
	}
	return &wasip2.Error{Text: "the request failed: " + f.failed.kind.String(), Code: f.failed}
}

// writable implements destination.
func (f *fetch) writable() <-chan struct{} {
	if f.closed {
		return nil
	}
	return f.out.Writable()
}

// finish implements destination.
func (f *fetch) finish(b *outgoingBody, trailers *fieldList) *errorCode {
	defer f.release()
	if f.closed {
		return f.failed
	}
	if e := f.setTrailers(trailers); e != nil {
		return e
	}
	if length, ok := b.declared(); ok && length != b.written {
		f.fail(&errorCode{kind: httptypes.RequestBodySize, bytes: &b.written})
		return f.failed
	}
	if err := f.out.End(); err != nil {
		f.fail(outboundCode(err))
	}
	return f.failed
}

// setTrailers sets the trailers of the request. trailers may be nil.
func (f *fetch) setTrailers(trailers *fieldList) *errorCode {
	if trailers == nil {
		return nil
	}
	if err := httptypes.SetTrailers(f.out, trailers.all, &f.call.stderr); err != nil {
		f.fail(&errorCode{kind: httptypes.RequestTrailerSize})
	}
	return f.failed
}

// abandon implements destination.
func (f *fetch) abandon() {
	f.fail(&errorCode{kind: httptypes.ConnectionTerminated})
	f.release()
}

// answered returns a channel that is closed as soon as the response or the failure is known, or nil if it is.
func (f *fetch) answered() <-chan struct{} {
	if f.closed {
		return nil
	}
	return f.out.Answered()
}

// expired ends a request that has not been answered in time.
func (f *fetch) expired() bool { return !f.until.IsZero() && !time.Now().Before(f.until) }

// Read implements io.Reader for the body of the response.
func (f *fetch) Read(p []byte) (int, error) {
	if f.closed {
		return 0, io.ErrClosedPipe
	}
	if f.between > 0 {
		if at := f.idleUntil(); !isClosed(f.out.Ready()) {
			f.call.in.Await(time.Until(at), f.out.Ready())
		}
		if !isClosed(f.out.Ready()) {
			f.fail(&errorCode{kind: httptypes.ConnectionReadTimeout}) // the body that the guest still sends has failed, too
			return 0, errTimeout
		}
	}
	n, err := f.out.Read(p)
	f.progress = time.Now()
	return n, err
}

// idleUntil returns when a read takes too long; zero: never.
func (f *fetch) idleUntil() time.Time {
	if f.between == 0 {
		return time.Time{}
	}
	return f.progress.Add(f.between)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Ready implements abi.Source. A read does not wait after the guest's limit.
func (f *fetch) Ready() <-chan struct{} {
	if at := f.idleUntil(); f.closed || !at.IsZero() && !time.Now().Before(at) {
		return nil
	}
	return f.out.Ready()
}

// code returns the error-code for an error of reading the response.
func (f *fetch) code(err error) *errorCode {
	if errors.Is(err, errTimeout) {
		return &errorCode{kind: httptypes.ConnectionReadTimeout}
	}
	return outboundCode(err)
}

// handleOutgoing: request, option<options> -> result<future, error-code>.
func handleOutgoing(c *call, p []uint64) {
	x, m := c.exchange(), c.state.Area(p[3], codeResultSize, codeAlign)
	withOptions := canonical.Case(p[1], 2) == 1
	r := take[*outgoingRequest](c, p[0])
	defer r.list.release()
	var o requestOptions
	if withOptions {
		o = *take[*requestOptions](c, p[2])
	}
	f, failed := c.send(x, r, o)
	if failed != nil {
		if r.body != nil {
			r.body.connect(&broken{failed})
		}
		c.putDone(m, failed)
		return
	}
	canonical.PutUint32(m, codeAt, uint32(c.add(&futureResponse{f}, 0)))
	m[0] = 0
}

// send sends a request as far as it is written.
func (c *call) send(x *abi.Exchange, r *outgoingRequest, o requestOptions) (*fetch, *errorCode) {
	if x.Outbound == nil {
		c.stderr.Line(abi.LevelWarn, []byte("the service may not call anything: deploy it with allow"))
		return nil, &errorCode{kind: httptypes.RequestDenied}
	}
	if r.scheme == "" {
		r.scheme = "https"
	}
	if !httptypes.Sends(r.scheme) {
		c.stderr.Line(abi.LevelWarn, []byte("requests have the scheme http or https, not "+r.scheme))
		return nil, &errorCode{kind: httptypes.ProtocolError}
	}
	out, err := x.Outbound.Open(c.in.Context(), r.method, r.scheme+"://"+r.authority+r.path)
	if err != nil {
		return nil, c.refused(err)
	}
	f := &fetch{call: c, out: out, users: 1, between: o.limits[betweenBytesTimeout]}
	c.fetches = append(c.fetches, f) // as many as the Outbound allows
	if limit := o.limits[connectTimeout] + o.limits[firstByteTimeout]; o.limits[firstByteTimeout] > 0 {
		f.until = time.Now().Add(limit)
	}
	for _, one := range r.list.all {
		name, _ := abi.CanonicalName(one.Name)
		if err := out.AddHeader(name, one.Value); err != nil {
			f.close()
			return nil, c.refused(err)
		}
	}
	if e := f.begin(r.body); e != nil {
		return nil, e
	}
	return f, nil
}

// refused logs why a request was not made.
func (c *call) refused(err error) *errorCode {
	c.stderr.Line(abi.LevelWarn, []byte(err.Error()))
	return outboundCode(err)
}

// begin begins the body of a request.
func (f *fetch) begin(b *outgoingBody) *errorCode {
	if b == nil {
		if err := f.out.End(); err != nil {
			f.fail(outboundCode(err))
			return f.failed
		}
		return nil
	}
	switch {
	case !b.whole:
	case b.trailers != nil && len(b.trailers.all) > 0: // announced, as they precede the body
		if e := f.setTrailers(b.trailers); e != nil {
			return e
		}
		b.releaseTrailers()
	case b.length == "" && len(b.pending) > 0: // the host knows the length
		_ = f.out.AddHeader("Content-Length", formatLength(len(b.pending)))
	}
	if !b.whole || len(b.pending) > 0 {
		f.out.Writable() // from now on, a write does not wait if it was polled
	}
	f.users++
	b.connect(f)
	return nil
}

// broken is the destination of a request that could not be sent.
type broken struct{ e *errorCode }

func (b *broken) write([]byte) *wasip2.Error {
	return &wasip2.Error{Text: "the request failed: " + b.e.kind.String(), Code: b.e}
}

func (*broken) writable() <-chan struct{} { return nil }

func (b *broken) finish(*outgoingBody, *fieldList) *errorCode { return b.e }

func (*broken) abandon() {}

// header returns the header of the response; nothing after the request has failed.
func (f *fetch) header() abi.Header {
	if f.closed {
		return nil
	}
	return f.out.Header()
}

// trailer returns the trailers of a response whose body was read.
func (f *fetch) trailer() abi.Header {
	if f.closed {
		return nil
	}
	return f.out.Trailer()
}
