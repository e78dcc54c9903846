package httpwasm

import (
	"errors"
	"io"

	"github.com/vespo-dev/vespo/runtime/abi"
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

// phase is where an exchange is.
type phase uint8

const (
	outside    phase = iota // no request: the guest initialises
	inRequest               // handle_request runs
	inResponse              // handle_response runs
)

// call is the state of one instance's current exchange. It lives as long as the instance and is emptied between requests,
// so that a request needs no allocation of its own.
type call struct {
	in     *engine.Instance // immutable
	cfg    Config           // immutable
	shared *shared          // immutable
	system wasip1.State
	stdout abi.Lines
	stderr abi.Lines

	x           *abi.Exchange
	phase       phase
	features    uint32
	status      int  // 0 until the guest sets it
	unflushed   bool // body bytes were written since the last flush
	headerBytes int  // what the guest has set so far
	trailer     abi.Header
	request     requestBody
	held        *heldResponse // the response of what is behind the guest, if it is buffered
	stack       [2]uint64
}

func (c *call) begin(x *abi.Exchange) {
	c.x, c.phase, c.status, c.unflushed, c.headerBytes, c.trailer, c.held = x, inRequest, 0, false, 0, nil, nil
	c.features = c.shared.features.Load()
	c.request.begin(x.Body, c.cfg.BufferBytes)
	c.stdout.Reset(x.Log, abi.LevelInfo)
	c.stderr.Reset(x.Log, abi.LevelError)
	c.system.Begin(nil, &c.stdout, &c.stderr)
}

func (c *call) end() {
	c.x, c.phase, c.trailer, c.held = nil, outside, nil, nil
	c.request.end()
	c.system.End()
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

// passOn hands the request to what is behind the guest, then the response to the guest.
func (c *call) passOn(guestContext uint32) engine.Outcome {
	failed := c.next()
	c.phase = inResponse
	if !c.in.HasEntry(entryResponse) {
		return engine.Outcome{}
	}
	c.stack[0], c.stack[1] = uint64(guestContext), 0
	if failed != nil {
		c.stack[1] = 1
	}
	return c.in.Call(c.x.Context, c.x.Deadline, entryResponse, c.stack[:])
}

// next calls what is behind the guest, if anything is.
func (c *call) next() error {
	if c.x.Next == nil {
		if c.status == 0 && !c.x.Response.Started() {
			c.status, c.x.PassedOn = 404, true
		}
		return nil
	}
	behind := *c.x
	behind.Body, behind.ContentLength = c.request.behind(c.enabled(featureBufferRequest), c.x.ContentLength)
	behind.Next = nil
	if c.enabled(featureBufferResponse) {
		c.held = newHeldResponse(c.x.Response, c.cfg.BufferBytes)
		behind.Response = c.held
	}
	return c.x.Next(&behind)
}

// finish sends what has not been sent.
func (c *call) finish() engine.Outcome {
	r := c.x.Response
	if c.held != nil {
		if err := c.held.send(c.status); err != nil {
			return engine.Outcome{Kind: engine.Canceled, Err: err}
		}
	}
	if !r.Started() && !c.x.PassedOn {
		r.WriteHeader(c.statusOr200())
	}
	for name, values := range c.trailer {
		r.SetTrailer(name, values)
	}
	return engine.Outcome{}
}

func (c *call) statusOr200() int {
	if c.status == 0 {
		return 200
	}
	return c.status
}

// flush sends what the guest has written so far: it is about to wait.
func (c *call) flush() {
	if c.unflushed {
		c.unflushed = false
		_ = c.x.Response.Flush() // a client that has gone ends the call by its context
	}
}

// writeResponse sends body bytes, the header before the first.
func (c *call) writeResponse(p []byte) {
	r := c.x.Response
	if c.held != nil {
		if !c.held.overwrite(p) {
			panic(engine.Unusable{Reason: "the buffered response body is larger than the host holds"})
		}
		return
	}
	c.x.PassedOn = false
	if !r.Started() {
		r.WriteHeader(c.statusOr200())
	}
	c.unflushed = true
	if _, err := r.Write(p); err != nil {
		var unusable engine.Unusable
		if errors.As(err, &unusable) {
			panic(unusable)
		}
		c.in.GiveUp(err)
	}
}

// readBody reads once into the guest's buffer; it waits until there is at least one byte or the end.
func (c *call) readBody(body io.Reader, buf []byte) (n int, eof bool) {
	c.in.Pause()
	var err error
	for n == 0 && err == nil {
		n, err = body.Read(buf)
	}
	c.in.Resume()
	if err != nil && !errors.Is(err, io.EOF) {
		c.in.GiveUp(err)
	}
	return n, err != nil
}
