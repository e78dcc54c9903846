package wasihttp3

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// pieceBytes is the most that one step writes to the server of an outbound call.
const pieceBytes = 64 << 10

// sendFunctions returns the functions of wasi:http/client, or of the imported handler, which differ in their name and in
// how the call is opened.
func sendFunctions(name string, open func(o *sending, ctx context.Context) error) []engine.HostFunc {
	send := func(async bool) func(s *canonical.State, p []uint64) {
		return func(s *canonical.State, p []uint64) {
			c := of(s)
			op := &sending{call: c, request: canonical.Take[*request](&s.Handles, p[0]), result: uint32(p[1])}
			s.Area(p[1], resultBytes, resultAlign)
			op.start(open)
			if status := c.tasks.Call(op, async); async {
				p[0] = uint64(status)
			}
		}
	}
	return []engine.HostFunc{
		canonical.Func(name, 0, send(false), i32, i32),
		canonical.Func("[async-lower]"+name, i32, send(true), i32, i32),
	}
}

// sending is a request of the guest until its answer begins. It is a concurrent.Operation.
type sending struct {
	call     *call
	request  *request
	result   uint32           // address
	out      abi.OutboundCall // nil if it could not begin
	limits   *patience
	failed   *failure
	bodyOver chan struct{} // closed when the body is sent, or nothing more of it will be
	whole    bool          // the contents have ended
	trailed  bool          // the trailers are known
	declared optional      // the Content-Length
	sent     uint64        // bytes of the body
}

// start begins the call. It does not wait.
func (o *sending) start(open func(o *sending, ctx context.Context) error) {
	o.bodyOver = make(chan struct{})
	r := o.request
	var ctx context.Context
	if x := o.call.x; x != nil {
		ctx, o.limits = newPatience(x.Context, r.options)
	}
	err := open(o, ctx)
	if err == nil {
		o.call.sendings = append(o.call.sendings, o) // as many as the Outbound allows
		err = o.addHeader()
	}
	r.fields.Drop()
	if err != nil {
		o.fail(err)
		r.body.drop()
		return
	}
	contents, trailers := r.body.contents, r.body.trailers
	tasks := &o.call.tasks
	if in := r.body.incoming; in != nil {
		trailers = tasks.Hosted(trailersType(), &incomingTrailers{call: o.call, body: in})
		if !in.empty {
			contents = tasks.Hosted(bytesType(), in)
		}
	}
	trailers.Attach(uploadTrailers{o})
	if contents == nil {
		o.trailed = true
		upload{o}.Drop()
		return
	}
	contents.Attach(upload{o})
}

// path returns the path and query of the request, or "/".
func (r *request) path() string {
	if r.target.some && r.target.text != "" {
		return r.target.text
	}
	return "/"
}

// open opens the call to the server that the request names.
func (o *sending) open(ctx context.Context) (err error) {
	r, x := o.request, o.call.x
	switch {
	case x == nil:
		return &abi.OutboundError{Code: abi.OutboundUnavailable, Reason: "there is no request while the service initialises"}
	case x.Outbound == nil:
		return &abi.OutboundError{Code: abi.OutboundForbidden, Reason: "the service may not call anything: deploy it with allow"}
	case !r.authority.some:
		return &abi.OutboundError{Code: abi.OutboundInvalid, Reason: "the request has no authority"}
	}
	scheme := "https"
	if r.scheme.some {
		scheme = r.scheme.text
	}
	if !httptypes.Sends(scheme) {
		return &failure{code: httptypes.ProtocolError, text: "requests have the scheme http or https, not " + scheme}
	}
	o.out, err = x.Outbound.Open(ctx, r.method, scheme+"://"+r.authority.text+r.path())
	return err
}

// forward opens the call to the handler behind a middleware.
func (o *sending) forward(ctx context.Context) (err error) {
	r, x := o.request, o.call.x
	if x == nil || x.Forward == nil {
		return &abi.OutboundError{
			Code:   abi.OutboundUnavailable,
			Reason: "the request is passed on, but nothing is behind the service: deploy it in front of another one (use)",
		}
	}
	if o.out, err = x.Forward.Open(ctx, r.method, r.path()); err != nil || !r.authority.some {
		return err
	}
	return o.out.AddHeader("Host", r.authority.text)
}

// addHeader adds the fields of the request.
func (o *sending) addHeader() error {
	for _, f := range o.request.fields.list.all {
		name, _ := abi.CanonicalName(f.Name) // checked when it was set
		if err := o.out.AddHeader(name, f.Value); err != nil {
			return err
		}
		if name == "Content-Length" {
			o.declared = some(f.Value)
		}
	}
	return nil
}

// fits reports whether the body sent so far, if it is all of it, has the declared length, or else no more bytes.
func (o *sending) fits(all bool) bool {
	if !o.declared.some {
		return true
	}
	length, err := strconv.ParseUint(o.declared.text, 10, 63)
	return err == nil && (o.sent == length || !all && o.sent < length)
}

// errBodySize is the error of a request whose body has another length than it declares.
func (o *sending) errBodySize() error {
	return fmt.Errorf("the body of a request has %d bytes, its Content-Length is %s: %w", o.sent, o.declared.text, &failure{code: httptypes.RequestBodySize})
}

// fail ends the call with an error.
func (o *sending) fail(err error) {
	if o.failed == nil {
		if late := o.limits.failure(nil); late != nil {
			err = fmt.Errorf("a timeout of the request's options has passed: %w", late)
		}
		o.failed = outboundFailure(err)
		o.call.stderr.Line(abi.LevelWarn, []byte(err.Error()))
	}
	if o.request.sent != nil {
		o.request.sent.set(o.failed)
	}
	if !closed(o.bodyOver) {
		close(o.bodyOver)
	}
}

// Poll implements concurrent.Operation.
func (o *sending) Poll() (returned bool) {
	if o.failed == nil {
		if !closed(o.out.Answered()) {
			return false
		}
		status, err := o.out.Status()
		if err == nil {
			o.succeed(status)
			return true
		}
		o.fail(err)
	}
	o.close()
	o.failed.put(o.call.state.Area(uint64(o.result), resultBytes, resultAlign))
	return true
}

// succeed stores the answer. Its body takes over the call.
func (o *sending) succeed(status int) {
	out := o.out
	in := newIncoming(out, func() abi.Header { return cloned(out.Trailer()) }, httptypes.ResponseIncomplete)
	in.release, in.limits = o.close, o.limits
	in.limits.progress(out)
	r := &response{status: status, fields: o.call.fieldsOf(out.Header()), body: body{incoming: in}}
	m := o.call.state.Area(uint64(o.result), resultBytes, resultAlign)
	clear(m)
	canonical.PutUint32(m, resultPayload, uint32(o.call.state.Handles.Add(r, 0)))
}

func cloned(h abi.Header) abi.Header {
	c := make(abi.Header, len(h))
	for name, values := range h {
		c[name] = slices.Clone(values)
	}
	return c
}

// Cancel implements concurrent.Operation.
func (o *sending) Cancel() { o.close() }

func (o *sending) close() {
	o.limits.stop()
	if o.out != nil {
		_ = o.out.Close() // nothing of the rest is wanted
		o.out = nil
	}
	if o.request.sent != nil {
		o.request.sent.set(&failure{code: httptypes.ConnectionTerminated}) // unless it is known already
	}
}

// Ready implements concurrent.Operation. A server may answer before it has the whole body.
func (o *sending) Ready() <-chan struct{} {
	if o.failed != nil {
		return o.bodyOver
	}
	return o.out.Answered()
}

// upload is the Peer that takes the body of a request.
type upload struct{ o *sending }

// Copy implements concurrent.Peer.
func (u upload) Copy(p []byte, n uint32) (moved uint32, done bool) {
	o := u.o
	if o.out == nil || o.failed != nil {
		return 0, true
	}
	if !closed(o.out.Writable()) {
		return 0, false
	}
	n = min(n, pieceBytes)
	if o.sent += uint64(n); !o.fits(false) {
		o.fail(o.errBodySize())
		return 0, true
	}
	if err := o.out.Write(p[:n]); err != nil {
		o.fail(err)
		return 0, true
	}
	return n, false
}

// Ready implements concurrent.Peer.
func (u upload) Ready() <-chan struct{} {
	if u.o.out == nil || u.o.failed != nil {
		return now()
	}
	return u.o.out.Writable()
}

// Drop implements concurrent.Peer.
func (u upload) Drop() {
	u.o.whole = true
	u.o.end()
}

// end ends the request when its contents have ended and it is known that they were not broken off.
func (o *sending) end() {
	if o.out == nil || closed(o.bodyOver) || !o.whole || !o.trailed {
		return
	}
	if !o.fits(true) {
		o.fail(o.errBodySize())
		return
	}
	if err := o.out.End(); err != nil {
		o.fail(err)
		return
	}
	if o.request.sent != nil {
		o.request.sent.set(nil)
	}
	close(o.bodyOver)
}

// uploadTrailers is the Peer that takes the trailers of a request.
type uploadTrailers struct{ o *sending }

// Copy implements concurrent.Peer.
func (u uploadTrailers) Copy(p []byte, _ uint32) (moved uint32, done bool) {
	o := u.o
	fields, failed := loadTrailers(o.call.state, p)
	if fields != nil {
		if o.out != nil && httptypes.SetTrailers(o.out, fields.list.all, &o.call.stderr) != nil {
			failed = &failure{code: httptypes.RequestTrailerSize}
		}
		fields.Drop()
	}
	if o.trailed = true; failed != nil && o.out != nil {
		o.fail(fmt.Errorf("the trailers of a request: %w", failed))
	}
	o.end()
	return 1, false
}

// Ready implements concurrent.Peer.
func (uploadTrailers) Ready() <-chan struct{} { return now() }

// Drop implements concurrent.Peer.
func (uploadTrailers) Drop() {}
