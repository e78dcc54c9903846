package httpwasm

import (
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/extension"
	"github.com/vespo-dev/vespo/runtime/abi/wasip1"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// Features that a guest can enable.
const (
	featureBufferRequest  = 1 << 0
	featureBufferResponse = 1 << 1
	featureTrailers       = 1 << 2
	knownFeatures         = featureBufferRequest | featureBufferResponse | featureTrailers
)

// phase is the progress of an exchange.
type phase uint8

const (
	outside    phase = iota // no request: the guest initialises
	inRequest               // handle_request runs
	inResponse              // handle_response runs
)

// call is the state of one instance's current exchange. It lives as long as the instance
// and is reset between requests, so that a request needs no allocation of its own.
type call struct {
	in        *engine.Instance     // immutable
	cfg       Config               // immutable
	shared    *shared              // immutable
	levels    func(abi.Level) bool // immutable; nil: all lines are kept
	settings  abi.Settings         // immutable
	system    wasip1.State
	extension extension.State
	stdout    abi.Lines
	stderr    abi.Lines

	x           *abi.Exchange
	phase       phase
	features    uint32
	status      int    // 0 until the guest or the next handler sets one
	method      string // of the request as it arrived
	answered    bool   // the guest has set a status or a body in handle_response
	unflushed   bool   // body bytes were written since the last flush
	headerBytes int    // size of the fields that the guest has set so far
	trailer     abi.Header
	request     requestBody
	hold        abi.Hold      // the beginning of the response
	held        *heldResponse // the whole response, if the guest buffers it
	stack       [2]uint64
}

func (c *call) begin(x *abi.Exchange) {
	c.x, c.phase, c.status, c.answered, c.unflushed, c.headerBytes = x, inRequest, 0, false, false, 0
	c.method, c.trailer, c.held = x.Method, nil, nil
	c.hold.Begin(x.Response)
	x.Response = &c.hold
	c.features = c.shared.features.Load()
	c.request.begin(x.Body, c.cfg.BufferBytes)
	c.stdout.Reset(x.Log, abi.LevelInfo)
	c.stderr.Reset(x.Log, abi.LevelError)
	c.system.Again()
	c.extension.BeginExchange(x)
}

func (c *call) end() {
	c.x.Response = c.hold.End()
	c.x, c.phase, c.trailer, c.held = nil, outside, nil, nil
	c.request.end()
	c.system.End()
	c.extension.End()
}

func (c *call) enabled(feature uint32) bool { return c.features&feature != 0 }

// serve runs the guest's functions and completes the response.
func (c *call) serve() engine.Outcome {
	out := c.in.Call(c.x.Context, c.x.Deadline, entryRequest, c.stack[:])
	if out.Kind != engine.OK {
		return out
	}
	if next := uint32(c.stack[0]); next&1 != 0 {
		if out = c.passOn(uint32(c.stack[0] >> 32)); out.Kind != engine.OK {
			return out
		}
	}
	return c.finish()
}

// response returns the destination of the guest's response. It is a buffer
// if the guest enabled feature_buffer_response before it began to respond.
func (c *call) response() abi.Response {
	if c.held == nil && c.enabled(featureBufferResponse) && !c.x.Response.Started() {
		c.held = newHeldResponse(c.x.Response.Header(), c.cfg.BufferBytes)
	}
	if c.held != nil {
		return c.held
	}
	return c.x.Response
}

// passOn calls the next handler and then handle_response. A fault of the
// guest itself is a bad answer. In that case the next handler's error is
// dropped, because it is only a consequence, such as a closed connection.
func (c *call) passOn(guestContext uint32) engine.Outcome {
	if err := c.request.passable(); err != nil && c.x.Next != nil {
		return engine.Outcome{Kind: engine.BadAnswer, Err: err}
	}
	begin := time.Now()
	failed := c.next()
	c.x.Deadline = c.x.Deadline.Add(time.Since(begin)) // the next handler has its own deadline
	c.phase = inResponse
	if c.in.HasEntry(entryResponse) {
		c.stack[0], c.stack[1] = uint64(guestContext), 0
		if failed != nil {
			c.stack[1] = 1
		}
		if out := c.in.Call(c.x.Context, c.x.Deadline, entryResponse, c.stack[:]); out.Kind != engine.OK {
			return out
		}
	}
	if failed == nil || c.answered {
		return engine.Outcome{}
	}
	if _, own := failed.(engine.Unusable); own { // not errors.As: an Unusable that the error wraps is the fault of another guest, in the next handler
		return engine.Outcome{Kind: engine.BadAnswer, Err: failed}
	}
	return engine.Outcome{Kind: engine.HostError, Err: failed}
}

// next calls the next handler, if there is one.
func (c *call) next() error {
	if c.x.Next == nil {
		if c.status == 0 && !c.response().Started() {
			c.status, c.x.PassedOn = 404, true
		}
		return nil
	}
	behind := *c.x
	behind.Next = nil
	behind.Body, behind.ContentLength = c.request.behind(c.x.ContentLength)
	if c.request.written {
		behind.Header["Content-Length"] = []string{strconv.FormatInt(behind.ContentLength, 10)}
	}
	if behind.Response = c.response(); c.held != nil {
		return c.nextHeld(&behind)
	}
	if err := c.hold.Release(); err != nil { // the guest's own part of the response
		return err
	}
	noted := &notedResponse{Response: c.x.Response}
	behind.Response = noted
	err := c.x.Next(&behind)
	if noted.status != 0 {
		c.status = noted.status
	}
	if noted.unusable != nil {
		return noted.unusable
	}
	return err
}

// nextHeld calls the next handler and buffers its response.
func (c *call) nextHeld(behind *abi.Exchange) error {
	c.held.passOn()
	err := c.x.Next(behind)
	if c.held.tooLarge {
		err = errHeldTooLarge
	}
	if err != nil {
		c.held.forget()
		return err
	}
	if c.held.status != 0 {
		c.status = c.held.status
	}
	for name, values := range c.held.trailer {
		c.setTrailer(name, values)
	}
	return nil
}

func (c *call) setTrailer(name string, values []string) {
	if c.trailer == nil {
		c.trailer = abi.Header{}
	}
	c.trailer[name] = values
}

// finish sends the rest of the response.
func (c *call) finish() engine.Outcome {
	r := c.x.Response
	switch {
	case c.x.PassedOn:
		return engine.Outcome{}
	case c.held != nil:
		if err := c.held.send(r, c.statusOr200()); err != nil {
			return abi.Sent(err)
		}
	case !r.Started():
		r.WriteHeader(c.statusOr200())
	}
	for name, values := range c.trailer {
		r.SetTrailer(name, values)
	}
	return abi.Sent(c.hold.Finish(c.method))
}

func (c *call) statusOr200() int {
	if c.status == 0 {
		return 200
	}
	return c.status
}

// flush sends the body written so far. It is called before the guest waits.
func (c *call) flush() {
	if c.unflushed {
		c.unflushed = false
		_ = c.x.Response.Flush() // ignored: if the client has disconnected, its context ends the call
	}
}

// writeResponse sends body bytes, and the header before the first of them.
func (c *call) writeResponse(p []byte) {
	c.x.PassedOn, c.answered = false, true
	r := c.response()
	if c.held != nil {
		if !c.held.overwrite(p) {
			panic(engine.Unusable{Reason: "the buffered response body is larger than the host holds"})
		}
		return
	}
	if !r.Started() {
		r.WriteHeader(c.statusOr200())
	}
	c.unflushed = true
	if err := c.send(r, p); err != nil {
		var unusable engine.Unusable
		if errors.As(err, &unusable) {
			panic(unusable)
		}
		c.in.GiveUp(err)
	}
}

// send writes a part of the body. Most are held back: these need no look at the clock.
func (c *call) send(r abi.Response, p []byte) error {
	if c.hold.Holds(len(p)) {
		_, err := r.Write(p)
		return err
	}
	c.in.BeginSend()
	_, err := r.Write(p)
	c.in.EndSend()
	return err
}

// readBody reads once into the guest's buffer. It blocks
// until there is at least one byte or the end of the body. A read that does not wait is no pause: the guest keeps its turn, and
// its page faults stay known.
func (c *call) readBody(body io.Reader, buf []byte) (n int, eof bool) {
	waits := abi.MayWait(body)
	if waits {
		c.in.PauseFor(buf)
	}
	var err error
	for n == 0 && err == nil {
		n, err = body.Read(buf)
	}
	if waits {
		c.in.Resume()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		c.in.GiveUp(err)
	}
	return n, err != nil
}
