package wasihttp3

import (
	"errors"
	"io"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// answer sends the guest's response to the client.
type answer struct {
	call         *call // immutable
	hold         abi.Hold
	response     *response // nil until the guest has returned it
	dirty        bool      // there is something to flush
	bodyOver     bool
	trailersOver bool
	completed    bool  // the exchange was told so: nothing of it may be used any more
	err          error // why the response cannot be sent
}

func (a *answer) begin(to abi.Response) {
	a.hold.Begin(to)
	a.response, a.dirty, a.bodyOver, a.trailersOver, a.completed, a.err = nil, false, false, false, false, nil
}

// taskReturn returns the host function by which the handler returns its result.
func taskReturn() engine.HostFunc {
	return canonical.Func("task.return<result<"+responseName+","+errorCodeName+">>", 0, func(s *canonical.State, p []uint64) {
		c := of(s)
		if c.x == nil {
			canonical.Trap("there is no request while the service initialises")
		}
		c.tasks.Return()
		if canonical.Case(p[0], 2) == 1 {
			c.failed = lifted(s, p[1], p[2], p[3], p[4])
			return
		}
		c.answer.start(canonical.Take[*response](&s.Handles, p[1]))
	}, i32, i32, i32, i64, i32, i32, i32, i32)
}

// start begins the response. Its body and trailers follow while the guest runs on.
func (a *answer) start(r *response) {
	a.response, a.dirty = r, true
	httptypes.AddTo(a.hold.Header(), r.fields.list.all)
	r.fields.Drop()
	a.hold.WriteHeader(r.status)
	tasks := &a.call.tasks
	contents, trailers := r.body.contents, r.body.trailers
	if in := r.body.incoming; in != nil {
		contents = tasks.Hosted(bytesType(), in)
		trailers = tasks.Hosted(trailersType(), &incomingTrailers{call: a.call, body: in})
	}
	if contents != nil {
		contents.Attach(answerBody{a})
	} else {
		a.bodyOver = true
	}
	trailers.Attach(answerTrailers{a})
}

// over reports whether there is nothing to send any more.
func (a *answer) over() bool { return a.err != nil || a.bodyOver && a.trailersOver }

// check tells the guest when the response is complete.
func (a *answer) check() {
	switch {
	case a.response.sent == nil:
	case a.err != nil:
		a.response.sent.set(&failure{code: httptypes.ConnectionTerminated})
	case a.bodyOver && a.trailersOver:
		a.response.sent.set(nil)
	}
}

func (a *answer) fail(err error) {
	if a.err == nil {
		a.err = err
	}
	a.check()
}

// flush sends what is held before the guest waits. If it was the rest, the guest goes on without its client.
func (a *answer) flush() {
	a.complete()
	if !a.dirty || a.err != nil {
		return
	}
	a.dirty = false
	if err := a.hold.Flush(); err != nil {
		a.fail(err)
	}
}

// complete ends a response that is complete while the guest goes on, unless the guest may still read the request's body:
// it is gone then.
func (a *answer) complete() {
	x, request := a.call.x, a.call.incoming
	if a.completed || a.response == nil || !a.over() || a.err != nil || x.Complete == nil || !request.over && !request.empty {
		return
	}
	if err := a.hold.Finish(x.Method); err != nil {
		a.fail(err)
		return
	}
	request.end(io.EOF)
	a.completed, a.dirty = true, false
	a.hold.Begin(nil)
	x.Complete()
}

// finish sends the rest.
func (a *answer) finish(method string) engine.Outcome {
	switch {
	case a.completed:
		return engine.Outcome{}
	case a.err != nil:
		return abi.Sent(a.err)
	case !a.bodyOver || !a.trailersOver:
		return engine.Outcome{Kind: engine.BadAnswer, Err: engine.Unusable{Reason: "the handler ended before its response was complete"}}
	}
	return abi.Sent(a.hold.Finish(method))
}

// answerBody is the Peer that takes the body of the response.
type answerBody struct{ a *answer }

// Copy implements concurrent.Peer. It waits for the client if the connection's buffers are full.
func (b answerBody) Copy(p []byte, n uint32) (moved uint32, done bool) {
	if b.a.err != nil {
		return 0, true
	}
	b.a.dirty = true
	in := b.a.call.in
	in.BeginSend()
	_, err := b.a.hold.Write(p[:n])
	in.EndSend()
	if err != nil {
		b.a.fail(err)
		return 0, true
	}
	return n, false
}

// Ready implements concurrent.Peer.
func (answerBody) Ready() <-chan struct{} { return now() }

// Drop implements concurrent.Peer.
func (b answerBody) Drop() {
	b.a.bodyOver = true
	b.a.check()
}

// answerTrailers is the Peer that takes the trailers of the response.
type answerTrailers struct{ a *answer }

// Copy implements concurrent.Peer.
func (t answerTrailers) Copy(p []byte, _ uint32) (moved uint32, done bool) {
	fields, failed := loadTrailers(t.a.call.state, p)
	if failed != nil {
		t.a.fail(engine.Unusable{Reason: "the trailers of the response are the error " + failed.Error()})
		return 1, false
	}
	if fields != nil {
		for name, values := range httptypes.Trailers(fields.list.all) {
			t.a.hold.SetTrailer(name, values)
		}
		fields.Drop()
	}
	t.a.trailersOver = true
	t.a.check()
	return 1, false
}

// Ready implements concurrent.Peer.
func (answerTrailers) Ready() <-chan struct{} { return now() }

// Drop implements concurrent.Peer. The future always has a value before, except at the end of the request.
func (t answerTrailers) Drop() {
	if !t.a.trailersOver {
		t.a.fail(errors.New("the trailers of the response are missing"))
	}
}
