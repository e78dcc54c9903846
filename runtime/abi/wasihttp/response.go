package wasihttp

import (
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/abi/wasip2"
)

func formatLength(n int) string { return strconv.Itoa(n) }

// futureResponse is the response to a request of the guest that may not have arrived yet.
type futureResponse struct {
	fetch *fetch // nil: the guest has got it
}

// Drop implements canonical.Resource.
func (r *futureResponse) Drop() {
	if r.fetch != nil {
		r.fetch.release()
	}
}

func subscribeResponse(c *call, p []uint64) {
	r := lookUp[*futureResponse](c, p[0])
	ready := func() <-chan struct{} {
		if r.fetch == nil || r.fetch.expired() {
			return nil
		}
		return r.fetch.answered()
	}
	until := func() time.Time {
		if r.fetch == nil {
			return time.Time{}
		}
		return r.fetch.until
	}
	p[0] = wasip2.Subscribe(c.state, wasip2.NewPollable(ready, until), p[0])
}

// getResponse: future -> option<result<result<incoming-response, error-code>>>.
func getResponse(c *call, p []uint64) {
	r := lookUp[*futureResponse](c, p[0])
	f := r.fetch
	if f != nil && !f.expired() {
		if ready := f.answered(); ready != nil && !isClosed(ready) {
			c.state.Area(p[1], futureBytes, codeAlign)[0] = 0
			c.in.Check()
			return
		}
	}
	m := c.future(p[1], f == nil)
	if f == nil {
		return
	}
	r.fetch = nil
	response, failed := f.response()
	if failed != nil {
		f.release()
		m[futureInner] = 1
		c.putCode(m[futureValue:], failed)
		return
	}
	canonical.PutUint32(m, futureValue, uint32(c.add(response, 0)))
}

// response returns the response of a request that was answered, has failed or has taken too long.
func (f *fetch) response() (*incomingResponse, *errorCode) {
	switch {
	case f.failed != nil:
		return nil, f.failed
	case f.closed:
		return nil, &errorCode{kind: httptypes.ConnectionTerminated}
	case !isClosed(f.out.Answered()):
		f.fail(&errorCode{kind: httptypes.ConnectionReadTimeout})
		return nil, f.failed
	}
	status, err := f.out.Status()
	if err != nil {
		f.fail(f.call.refused(err))
		return nil, f.failed
	}
	return &incomingResponse{fetch: f, status: status}, nil
}

// incomingResponse is the response to a request of the guest.
type incomingResponse struct {
	fetch    *fetch
	status   int
	list     *fieldList // nil until the guest asks for it
	consumed bool
}

// Drop implements canonical.Resource.
func (r *incomingResponse) Drop() {
	if r.list != nil {
		r.list.release()
	}
	r.fetch.release()
}

func incomingStatus(c *call, p []uint64) { p[0] = uint64(lookUp[*incomingResponse](c, p[0]).status) }

func incomingHeaders(c *call, p []uint64) {
	r := lookUp[*incomingResponse](c, p[0])
	if r.list == nil {
		r.list = c.received(r.fetch.header())
	}
	p[0] = c.add(r.list.view(), p[0])
}

func incomingContents(c *call, p []uint64) {
	r, m := lookUp[*incomingResponse](c, p[0]), c.state.Area(p[1], 8, 4)
	first := !r.consumed
	r.consumed = true
	c.putOwn(m, func() canonical.Resource {
		r.fetch.users++
		return &incomingBody{call: c, fetch: r.fetch, source: r.fetch, trailers: r.fetch.trailer}
	}, 0, first)
}
