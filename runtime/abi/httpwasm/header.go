package httpwasm

import (
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// Kinds of header.
const (
	headerRequest          = 0
	headerResponse         = 1
	headerRequestTrailers  = 2
	headerResponseTrailers = 3
)

// hostName is the field that net/http keeps outside of the header.
const hostName = "Host"

// header returns the fields of a kind for reading. It may be nil.
func (c *call) header(kind uint32) abi.Header {
	switch kind {
	case headerRequest:
		return c.x.Header
	case headerResponse:
		return c.response().Header()
	case headerRequestTrailers:
		if c.x.Trailer != nil && c.enabled(featureTrailers) {
			return c.x.Trailer()
		}
		return nil
	case headerResponseTrailers:
		return c.trailer
	}
	fault("there is no header of kind %d", kind)
	return nil
}

// mutableHeader returns the fields of a kind for writing. It traps if they cannot be changed at this
// point. It returns nil if the change is dropped because an unbuffered response has already started.
func (c *call) mutableHeader(kind uint32) abi.Header {
	switch kind {
	case headerRequest:
		c.beforeNext("a request header")
	case headerResponse:
		c.responseMutable("a response header")
		c.x.PassedOn = false
		if r := c.response(); c.held == nil && r.Started() {
			return nil
		}
	case headerRequestTrailers:
		c.trailersEnabled()
		c.beforeNext("a request trailer")
		if c.header(kind) == nil {
			added := abi.Header{}
			c.x.Trailer = func() abi.Header { return added }
		}
	case headerResponseTrailers:
		c.trailersEnabled()
		c.responseMutable("a response trailer")
		if c.trailer == nil {
			c.trailer = abi.Header{}
		}
	}
	return c.header(kind)
}

func (c *call) trailersEnabled() {
	if !c.enabled(featureTrailers) {
		fault("a trailer cannot be set unless feature_trailers is enabled")
	}
}

// field reads and validates a name and a value that the guest sets. ok is
// false if guests may not set the field; the caller drops it silently.
func (c *call) field(p []uint64) (name, value string, ok bool) {
	raw := c.short(p[1], p[2])
	name, common := commonName(raw)
	if !common {
		if name, ok = abi.CanonicalName(string(raw)); !ok {
			panic(engine.Unusable{Reason: "a header name set by the guest is not a token"})
		}
	}
	given := c.short(p[3], p[4])
	if value, common = commonValue(given); !common {
		value = string(given)
	}
	if !abi.ValidValue(value) {
		panic(engine.Unusable{Reason: "the value of the header " + name + " set by the guest holds control characters"})
	}
	if c.headerBytes += len(name) + len(value) + abi.FieldOverheadBytes; c.headerBytes > abi.MaxHeaderBytes {
		panic(engine.Unusable{Reason: "the header set by the guest is larger than the host holds"})
	}
	return name, value, settable(uint32(p[0]), name)
}

// settable reports whether a guest can set a field. The host frames the request, according to its body.
func settable(kind uint32, name string) bool {
	switch kind {
	case headerRequest:
		return !abi.HopByHop(name) && name != "Content-Length"
	case headerResponse:
		return !abi.HopByHop(name)
	}
	return abi.ValidTrailer(name)
}

// commonName returns the canonical form of names that
// nearly every response sets, which saves two allocations.
func commonName(raw []byte) (canonical string, common bool) {
	switch string(raw) {
	case "content-type", "Content-Type":
		return "Content-Type", true
	case "content-length", "Content-Length":
		return "Content-Length", true
	case "cache-control", "Cache-Control":
		return "Cache-Control", true
	case "location", "Location":
		return "Location", true
	case "set-cookie", "Set-Cookie":
		return "Set-Cookie", true
	case "etag", "ETag":
		return "Etag", true
	}
	return "", false
}

// commonValues are frequent header values. A match saves the allocation of the value.
var commonValues = [...]string{"text/plain", "text/plain; charset=utf-8", "text/html", "text/html; charset=utf-8", "application/json",
	"application/json; charset=utf-8", "application/octet-stream", "image/png", "image/svg+xml", "no-cache", "no-store"}

func commonValue(raw []byte) (value string, common bool) {
	for _, v := range &commonValues {
		if v == string(raw) {
			return v, true
		}
	}
	return "", false
}

func setHeaderValue(c *call, p []uint64) {
	h := c.mutableHeader(uint32(p[0]))
	if name, value, ok := c.field(p); ok && h != nil {
		c.set(uint32(p[0]), h, name, []string{value})
	}
}

func addHeaderValue(c *call, p []uint64) {
	h := c.mutableHeader(uint32(p[0]))
	name, value, ok := c.field(p)
	switch {
	case !ok || h == nil:
	case uint32(p[0]) == headerResponse && httpfield.Single(name):
		c.set(headerResponse, h, name, []string{value})
	default:
		c.set(uint32(p[0]), h, name, append(h[name], value))
	}
}

func (c *call) set(kind uint32, h abi.Header, name string, values []string) {
	if kind == headerRequest && name == hostName {
		c.x.Host = values[len(values)-1]
		return
	}
	h[name] = values
}

func removeHeader(c *call, p []uint64) {
	h := c.mutableHeader(uint32(p[0]))
	name, ok := abi.CanonicalName(string(c.short(p[1], p[2])))
	if !ok {
		return // such a field cannot exist
	}
	if uint32(p[0]) == headerRequest && name == hostName {
		c.x.Host = ""
		return
	}
	delete(h, name)
}

func getHeaderNames(c *call, p []uint64) {
	kind := uint32(p[0])
	h := c.header(kind)
	names := make([]string, 0, len(h)+1)
	for name, values := range h {
		if len(values) > 0 { // an announced trailer has no values until the body has ended
			names = append(names, strings.ToLower(name))
		}
	}
	if kind == headerRequest && c.x.Host != "" {
		names = append(names, "host")
	}
	slices.Sort(names)
	p[0] = c.putAll(names, p[1], p[2])
}

func getHeaderValues(c *call, p []uint64) {
	kind := uint32(p[0])
	h := c.header(kind)
	raw := c.short(p[1], p[2])
	name, common := commonName(raw)
	if !common {
		name, _ = abi.CanonicalName(string(raw))
	}
	values := h[name]
	if kind == headerRequest && name == hostName && c.x.Host != "" {
		values = []string{c.x.Host}
	}
	p[0] = c.putAll(values, p[3], p[4])
}

// putAll writes NUL-terminated strings if all of them fit, and returns count << 32 | length.
func (c *call) putAll(list []string, buf, limit uint64) uint64 {
	total := 0
	for _, s := range list {
		total += len(s) + 1
	}
	if total <= int(uint32(limit)) {
		to := c.view(buf, uint64(total))
		for _, s := range list {
			n := copy(to, s)
			to[n] = 0
			to = to[n+1:]
		}
	}
	c.checkAfter(total + len(list)*abi.FieldOverheadBytes)
	return uint64(len(list))<<32 | uint64(total)
}
