package wasihttp

import (
	"time"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
)

// outgoingRequest is a request that the guest makes.
type outgoingRequest struct {
	list      *fieldList
	method    string
	path      string // "" is none
	scheme    string // "" is none
	authority string // "" is none
	body      *outgoingBody
}

// Drop implements canonical.Resource.
func (r *outgoingRequest) Drop() {
	r.list.release()
	r.body.orphan()
}

// set sets a text of the request. It counts like a field.
func (r *outgoingRequest) set(part *string, text string) {
	r.list.grow(len(text) - len(*part))
	*part = text
}

func (c *call) outgoing(v uint64) *outgoingRequest { return lookUp[*outgoingRequest](c, v) }

func newOutgoingRequest(c *call, p []uint64) {
	f := take[*fields](c, p[0])
	p[0] = c.add(&outgoingRequest{list: f.list, method: "GET"}, 0)
}

func outgoingContents(c *call, p []uint64) {
	r, m := c.outgoing(p[0]), c.state.Area(p[1], 8, 4)
	c.putOwn(m, func() canonical.Resource {
		r.body = newBody(c, r.list)
		return r.body
	}, 0, r.body == nil)
}

func outgoingMethod(c *call, p []uint64) {
	httptypes.PutMethod(c.state, c.state.Area(p[1], 12, 4), 0, c.outgoing(p[0]).method)
}

// status is a result without payloads.
func status(ok bool) uint64 {
	if ok {
		return 0
	}
	return 1
}

// setMethod: request, method -> result.
func setMethod(c *call, p []uint64) {
	r := c.outgoing(p[0])
	method, ok := httptypes.Method(c.state, p[1], p[2], p[3])
	if ok {
		r.set(&r.method, method)
	}
	p[0] = status(ok)
}

func outgoingPath(c *call, p []uint64) {
	c.putOption(c.state.Area(p[1], 12, 4), c.outgoing(p[0]).path)
}

// option reads an option<string>, from its case on.
func (c *call) option(p []uint64) (text string, given bool) {
	if canonical.Case(p[0], 2) == 0 {
		return "", false
	}
	return c.text(p[1], p[2]), true
}

func setPath(c *call, p []uint64) {
	r := c.outgoing(p[0])
	path, _ := c.option(p[1:])
	ok := httptypes.ValidTarget(path)
	if ok {
		r.set(&r.path, path)
	}
	p[0] = status(ok)
}

func outgoingScheme(c *call, p []uint64) {
	c.putScheme(c.state.Area(p[1], 16, 4), c.outgoing(p[0]).scheme)
}

// setScheme: request, option<scheme> -> result.
func setScheme(c *call, p []uint64) {
	r, scheme, ok := c.outgoing(p[0]), "", true
	if canonical.Case(p[1], 2) == 1 {
		scheme, ok = httptypes.Scheme(c.state, p[2], p[3], p[4])
	}
	if ok {
		r.set(&r.scheme, scheme)
	}
	p[0] = status(ok)
}

func outgoingAuthority(c *call, p []uint64) {
	c.putOption(c.state.Area(p[1], 12, 4), c.outgoing(p[0]).authority)
}

func setAuthority(c *call, p []uint64) {
	r := c.outgoing(p[0])
	authority, given := c.option(p[1:])
	ok := !given || httptypes.ValidAuthority(authority)
	if ok {
		r.set(&r.authority, authority)
	}
	p[0] = status(ok)
}

func outgoingHeaders(c *call, p []uint64) { p[0] = c.add(c.outgoing(p[0]).list.view(), p[0]) }

// requestOptions are the time limits of a request. A limit of 0 is none.
type requestOptions struct{ limits [3]time.Duration }

// Indexes of the limits.
const (
	connectTimeout = iota
	firstByteTimeout
	betweenBytesTimeout
)

// Drop implements canonical.Resource.
func (*requestOptions) Drop() {}

// Renew implements canonical.Durable.
func (o *requestOptions) Renew(*canonical.State) canonical.Resource {
	again := *o
	return &again
}

func newOptions(c *call, p []uint64) { p[0] = c.add(&requestOptions{}, 0) }

// timeout returns the functions that read and set a limit.
func timeout(index int) (get, set func(c *call, p []uint64)) {
	get = func(c *call, p []uint64) {
		limit, m := lookUp[*requestOptions](c, p[0]).limits[index], c.state.Area(p[1], 16, 8)
		if m[0] = 0; limit > 0 {
			m[0] = 1
			canonical.PutUint64(m, 8, uint64(limit))
		}
	}
	set = func(c *call, p []uint64) {
		o := lookUp[*requestOptions](c, p[0])
		if o.limits[index] = 0; canonical.Case(p[1], 2) == 1 {
			o.limits[index] = time.Duration(min(max(p[2], 1), uint64(maxTimeout)))
		}
		p[0] = status(true)
	}
	return get, set
}

// maxTimeout is the longest limit that is kept. The deadline of the request comes first.
const maxTimeout = 24 * time.Hour
