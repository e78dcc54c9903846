package wasihttp

import (
	"strconv"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/abi/wasip2"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// answer is the response of a request.
type answer struct {
	call      *call // immutable
	hold      abi.Hold
	failed    string        // what is wrong with the guest's response; empty: nothing
	given     bool          // the guest has set a response
	finished  bool          // its body is complete
	completed bool          // the exchange was told so: nothing of it may be used any more
	body      *outgoingBody // nil: the response has none
	unflushed bool          // header or body were written since the last flush
}

// begin starts a response. With a nil r it only resets the state.
func (a *answer) begin(r abi.Response) {
	a.hold.Begin(r)
	a.failed, a.given, a.finished, a.completed, a.unflushed, a.body = "", false, false, false, false, nil
}

// set takes the guest's response.
func (a *answer) set(r *outgoingResponse) {
	httptypes.AddTo(a.hold.Header(), r.list.all)
	a.hold.WriteHeader(r.status)
	a.given, a.unflushed, a.body = true, true, r.body
	if r.body == nil {
		a.finished = true
		return
	}
	r.body.connect(a)
}

// whole reports whether everything of the response was written. A client that has the announced length need not
// wait for the guest to finish the body.
func (a *answer) whole() bool {
	if !a.given || a.failed != "" || a.finished || a.body == nil {
		return a.given && a.failed == "" && a.finished
	}
	length, ok := a.body.declared()
	return ok && length == a.body.written
}

// flush sends the response so far. It is called before the guest waits. If the response is whole, the guest goes on
// without it.
func (a *answer) flush() {
	x := a.call.x
	switch {
	case a.completed:
	case x != nil && x.Complete != nil && a.whole():
		a.complete(x)
	case a.unflushed:
		a.unflushed = false
		_ = a.hold.Flush() // ignored: if the client has disconnected, its context ends the call
	}
}

// complete ends the response while the guest goes on.
func (a *answer) complete(x *abi.Exchange) {
	if err := a.hold.Finish(x.Method); err != nil {
		a.failed = err.Error() // the context ends the call if the client has disconnected
		return
	}
	a.finished, a.completed, a.unflushed = true, true, false
	a.hold.Begin(nil)
	x.Complete()
}

// write implements destination.
func (a *answer) write(p []byte) *wasip2.Error {
	a.unflushed = true
	a.call.in.BeginSend()
	_, err := a.hold.Write(p)
	a.call.in.EndSend()
	a.call.sent(err)
	return nil
}

// writable implements destination. A write waits for the client in the host.
func (*answer) writable() <-chan struct{} { return nil }

// finish implements destination.
func (a *answer) finish(b *outgoingBody, trailers *fieldList) *errorCode {
	if a.completed {
		return nil
	}
	if length, ok := b.declared(); ok && length != b.written && a.call.x.Method != "HEAD" {
		a.failed = "the body has " + strconv.FormatUint(b.written, 10) + " bytes, its Content-Length is " + strconv.FormatUint(length, 10)
		return &errorCode{kind: httptypes.ResponseBodySize, bytes: &b.written}
	}
	if trailers != nil {
		for name, values := range httptypes.Trailers(trailers.all) {
			a.hold.SetTrailer(name, values)
		}
	}
	a.finished = true
	return nil
}

// abandon implements destination: the guest has dropped the body before its end.
func (a *answer) abandon() {
	a.failed = "the guest dropped the body of its response before it had finished it"
}

// outcome returns the outcome of a guest that has ended without a failure, and completes the response to a request
// with this method.
func (a *answer) outcome(out engine.Outcome, method string) engine.Outcome {
	switch {
	case a.completed:
		return engine.Outcome{}
	case a.failed != "":
		return unusable("%s", a.failed)
	case !a.given && out.Kind != engine.OK:
		return out
	case !a.given:
		return unusable("the guest returned without a response")
	case !a.whole():
		return unusable("the guest returned before it had finished the body of its response")
	}
	return abi.Sent(a.hold.Finish(method))
}

// outparam is the place for the response.
type outparam struct{}

// Drop implements canonical.Resource.
func (*outparam) Drop() {}

// setResponse: outparam, result<outgoing-response, error-code>.
func setResponse(c *call, p []uint64) {
	c.exchange()
	failed := canonical.Case(p[1], 2) == 1
	take[*outparam](c, p[0])
	if !failed {
		response := take[*outgoingResponse](c, p[2])
		c.answer.set(response)
		response.list.release()
		return
	}
	kind := httptypes.Code(canonical.Case(p[2], httptypes.Count))
	c.answer.failed = "the guest answered with the error " + kind.String()
	if kind == httptypes.InternalError && uint32(p[3]) != 0 {
		if text, ok := c.state.Text(p[4], p[5], abi.MaxLineBytes); ok {
			c.answer.failed += ": " + text
		}
	}
}

// sendInformational: outparam, status, headers -> result<_, error-code>.
func sendInformational(c *call, p []uint64) {
	c.exchange()
	lookUp[*outparam](c, p[0])
	m := c.state.Area(p[3], codeResultSize, codeAlign)
	f := take[*fields](c, p[2])
	status := int(uint16(p[1]))
	if status <= 101 || status > 199 {
		f.list.release()
		c.putDone(m, &errorCode{kind: httptypes.ProtocolError})
		return
	}
	header := c.answer.hold.Header()
	httptypes.AddTo(header, f.list.all)
	c.in.BeginSend()
	c.answer.hold.WriteHeader(status)
	c.in.EndSend()
	for _, one := range f.list.all {
		name, _ := abi.CanonicalName(one.Name)
		delete(header, name)
	}
	f.list.release()
	c.putDone(m, nil)
}

// outgoingResponse is a response that the guest makes.
type outgoingResponse struct {
	list   *fieldList
	status int
	body   *outgoingBody
}

// Drop implements canonical.Resource.
func (r *outgoingResponse) Drop() {
	r.list.release()
	r.body.orphan()
}

func newOutgoingResponse(c *call, p []uint64) {
	f := take[*fields](c, p[0])
	p[0] = c.add(&outgoingResponse{list: f.list, status: 200}, 0)
}

func responseStatus(c *call, p []uint64) { p[0] = uint64(lookUp[*outgoingResponse](c, p[0]).status) }

// setResponseStatus accepts statuses that can be sent.
func setResponseStatus(c *call, p []uint64) {
	r, status := lookUp[*outgoingResponse](c, p[0]), int(uint16(p[1]))
	if p[0] = 1; abi.ValidStatus(status) {
		r.status, p[0] = status, 0
	}
}

func responseHeaders(c *call, p []uint64) {
	p[0] = c.add(lookUp[*outgoingResponse](c, p[0]).list.view(), p[0])
}

func responseBody(c *call, p []uint64) {
	r, m := lookUp[*outgoingResponse](c, p[0]), c.state.Area(p[1], 8, 4)
	c.putOwn(m, func() canonical.Resource {
		r.body = newBody(c, r.list)
		return r.body
	}, 0, r.body == nil)
}
