package wasihttp3

import (
	"errors"
	"reflect"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/concurrent"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/abi/wasicloud"
	"github.com/vespo-dev/vespo/runtime/abi/wasip1"
	"github.com/vespo-dev/vespo/runtime/abi/wasip2"
	"github.com/vespo-dev/vespo/runtime/abi/wasip3"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// call is the state of an instance's current request.
type call struct {
	in         *engine.Instance // immutable
	state      *canonical.State // immutable
	tasks      concurrent.State
	system     wasip1.State     // of preview 1
	older      *wasip2.State    // immutable; of WASI 0.2
	cloud      *wasicloud.State // immutable
	interfaces wasip3.State
	stdout     abi.Lines
	stderr     abi.Lines
	x          *abi.Exchange // nil between requests
	fieldBytes int           // size of all fields that the guest holds
	incoming   *incoming     // the body of the client's request
	answer     answer
	failed     *failure   // the error that the handler has returned
	sendings   []*sending // all of the request; some may be closed
	stack      [3]uint64
}

// of returns the state of a request for a host function.
func of(s *canonical.State) *call { return s.In.Exchange.(*call) }

// Serve implements abi.Server.
func (ABI) Serve(in *engine.Instance, x *abi.Exchange) engine.Outcome {
	c := in.Exchange.(*call)
	c.begin(x)
	out := c.run()
	c.stdout.Flush()
	c.stderr.Flush()
	out = c.stderr.Panicked(out)
	if out.Clean() {
		out = c.finish()
	}
	c.end()
	return out
}

func (c *call) begin(x *abi.Exchange) {
	c.x, c.failed = x, nil
	c.incoming = newIncoming(x.Body, x.Trailer, httptypes.ConnectionTerminated)
	c.incoming.empty = x.ContentLength == 0
	c.state.Begin()
	c.tasks.Begin(c.in, c.awaitWithin)
	c.stdout.Reset(x.Log, abi.LevelInfo)
	c.stderr.Reset(x.Log, abi.LevelError)
	c.system.Again()
	c.answer.begin(x.Response)
	c.cloud.Begin(&x.Invocation)
}

func (c *call) end() {
	// Calls are closed first: the end of the task drops the streams, which would be the regular end of a body that the guest
	// has not finished. A trap can also end the guest while a body belongs to nothing.
	for _, o := range c.sendings {
		o.close()
	}
	c.tasks.End()
	c.state.End()
	clear(c.sendings)
	c.sendings = c.sendings[:0]
	c.older.End()
	c.cloud.End()
	c.system.End()
	c.answer.begin(nil)
	c.x, c.incoming, c.failed, c.fieldBytes = nil, nil, nil, 0
}

// Codes that the handler and its callback return, with the number of a waitable set above them.
const (
	codeExit  = 0
	codeYield = 1
	codeWait  = 2
	codeBits  = 4
)

// run calls the handler until it has ended.
func (c *call) run() engine.Outcome {
	if out := c.guard(func() error {
		c.stack = [3]uint64{uint64(c.state.Handles.Add(c.request(), 0))}
		return nil
	}); !out.Clean() {
		return out
	}
	if c.in.HasEntry(entrySync) {
		return c.runSync()
	}
	return c.runAsync()
}

// runSync calls a handler that returns the address of its result, and lets it free that.
func (c *call) runSync() engine.Outcome {
	out := c.in.Call(c.x.Context, c.x.Deadline, entrySync, c.stack[:1])
	if out.Kind == engine.OK {
		out = c.guard(func() error {
			c.returned(c.state.Area(c.stack[0], resultBytes, resultAlign))
			return nil
		})
	}
	if out.Kind == engine.OK && c.in.HasEntry(entryPost) {
		out = c.in.Call(c.x.Context, c.x.Deadline, entryPost, c.stack[:1])
	}
	return out
}

// returned takes the result of the handler in memory.
func (c *call) returned(m []byte) {
	c.tasks.Return()
	if c.failed = loaded(c.state, m); c.failed == nil {
		c.answer.start(canonical.Take[*response](&c.state.Handles, uint64(canonical.Uint32(m, resultPayload))))
	}
}

// runAsync calls the handler, and its callback until the handler exits.
func (c *call) runAsync() engine.Outcome {
	out := c.in.Call(c.x.Context, c.x.Deadline, entryHandle, c.stack[:1])
	for out.Kind == engine.OK && uint32(c.stack[0]) != codeExit {
		if out = c.guard(c.next); out.Kind == engine.OK {
			out = c.in.Call(c.x.Context, c.x.Deadline, entryCallback, c.stack[:])
		}
	}
	return out
}

// next waits for what the guest has asked for, and sets up the event for its callback.
func (c *call) next() error {
	packed := uint32(c.stack[0])
	var event concurrent.Event
	switch code := packed & (1<<codeBits - 1); code {
	case codeYield:
		if err := c.check(); err != nil {
			return err
		}
		c.answer.complete()
		c.tasks.Poll()
	case codeWait:
		var err error
		if event, err = c.tasks.WaitSet(packed>>codeBits, c.await); err != nil {
			return err
		}
	default:
		canonical.Trap("the handler returned the unknown code %d", code)
	}
	c.stack = [3]uint64{uint64(event.Code), uint64(event.P1), uint64(event.P2)}
	return nil
}

// guard runs code of the host between calls of the guest. The outcome is that of the guest, if it is at fault.
func (c *call) guard(f func() error) engine.Outcome {
	var err error
	if out := canonical.Catch(func() { err = f() }); out.Kind != engine.OK {
		return out
	}
	switch {
	case err == nil:
		return engine.Outcome{}
	case errors.Is(err, errLate):
		return engine.Outcome{Kind: engine.Deadline, Err: err}
	default:
		return engine.Outcome{Kind: engine.Canceled, Err: err}
	}
}

var errLate = errors.New("deadline exceeded between calls of the guest")

// check returns an error if the time of the request is over.
func (c *call) check() error {
	if !time.Now().Before(c.x.Deadline) {
		return errLate
	}
	return c.x.Context.Err()
}

// awaitWithin waits in a call of the guest.
func (c *call) awaitWithin(ready []<-chan struct{}) error {
	c.in.Await(time.Until(c.in.Deadline()), ready...)
	return nil
}

// await waits between calls of the guest.
func (c *call) await(ready []<-chan struct{}) error {
	c.answer.flush()
	timer := time.NewTimer(time.Until(c.x.Deadline))
	defer timer.Stop()
	if len(ready) == 1 { // the most frequent case needs no reflection
		select {
		case <-ready[0]:
		case <-timer.C:
		case <-c.x.Context.Done():
		}
		return c.check()
	}
	cases := make([]reflect.SelectCase, 0, len(ready)+2)
	for _, r := range ready {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(r)})
	}
	cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(timer.C)},
		reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c.x.Context.Done())})
	_, _, _ = reflect.Select(cases)
	return c.check()
}

// finish completes the response after the guest has ended.
func (c *call) finish() engine.Outcome {
	switch {
	case c.failed != nil:
		return engine.Outcome{Kind: engine.BadAnswer, Err: engine.Unusable{Reason: "the handler returned the error " + c.failed.Error()}}
	case !c.tasks.Returned():
		return engine.Outcome{Kind: engine.Trap, Err: engine.Fault{Reason: "the handler ended without a response"}}
	}
	c.tasks.Exit()
	for ok := true; ok && !c.answer.over(); {
		out := c.guard(func() (err error) {
			ok, err = c.tasks.Wait(c.await)
			return err
		})
		if !out.Clean() {
			return out
		}
	}
	return c.answer.finish(c.x.Method)
}

// request returns the resource of the client's request.
func (c *call) request() *request {
	return &request{
		method:    c.x.Method,
		target:    some(c.x.URI),
		scheme:    some(c.x.Scheme),
		authority: optional{c.x.Host, c.x.Host != ""},
		fields:    c.fieldsOf(c.x.Header),
		body:      body{incoming: c.incoming},
	}
}
