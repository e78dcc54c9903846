package httpwasm

import (
	"fmt"
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

const (
	i32 = engine.I32
	i64 = engine.I64
)

// HostModule returns the functions that guests import. Every instance
// whose module imports one of them must have been bound with ABI.Bind.
func HostModule() engine.HostModule {
	f := func(name string, call func(c *call, p []uint64), results []engine.ValueType, params ...engine.ValueType) engine.HostFunc {
		return engine.HostFunc{Name: name, Params: params, Results: results, Call: on(name, call)}
	}
	none, one, wide := []engine.ValueType(nil), []engine.ValueType{i32}, []engine.ValueType{i64}
	return engine.HostModule{
		Name: ModuleName,
		Funcs: []engine.HostFunc{
			{Name: "enable_features", Params: []engine.ValueType{i32}, Results: one, Call: enableFeatures},
			{Name: importConfig, Params: []engine.ValueType{i32, i32}, Results: one, Call: getConfig},
			{Name: "log_enabled", Params: []engine.ValueType{i32}, Results: one, Call: logEnabled},
			{Name: "log", Params: []engine.ValueType{i32, i32, i32}, Call: logMessage},
			f("get_header_names", getHeaderNames, wide, i32, i32, i32),
			f("get_header_values", getHeaderValues, wide, i32, i32, i32, i32, i32),
			f("set_header_value", setHeaderValue, none, i32, i32, i32, i32, i32),
			f("add_header_value", addHeaderValue, none, i32, i32, i32, i32, i32),
			f("remove_header", removeHeader, none, i32, i32, i32),
			f("read_body", readBody, wide, i32, i32, i32),
			f("write_body", writeBody, none, i32, i32, i32),
			f("get_method", getMethod, one, i32, i32),
			f("set_method", setMethod, none, i32, i32),
			f("get_uri", getURI, one, i32, i32),
			f("set_uri", setURI, none, i32, i32),
			f("get_protocol_version", getProtocolVersion, one, i32, i32),
			f("get_source_addr", getSourceAddr, one, i32, i32),
			f("get_status_code", getStatusCode, one),
			f("set_status_code", setStatusCode, none, i32),
		},
	}
}

// on returns a host function that calls f and traps outside of a request.
func on(name string, f func(c *call, p []uint64)) func(*engine.Instance, []uint64) {
	return func(in *engine.Instance, p []uint64) {
		c := in.Exchange.(*call)
		if c.phase == outside {
			panic(engine.Fault{Reason: name + " is called while there is no request"})
		}
		f(c, p)
	}
}

// fault ends the call with a trap caused by the guest.
func fault(format string, args ...any) { panic(engine.Fault{Reason: fmt.Sprintf(format, args...)}) }

// put writes s to the guest's buffer if it fits, and returns its length. All getters follow this rule.
func (c *call) put(s string, buf, limit uint64) uint64 {
	if len(s) <= int(uint32(limit)) {
		copy(c.view(buf, uint64(len(s))), s)
	}
	c.checkAfter(len(s))
	return uint64(len(s))
}

// view returns guest memory. The address of an empty range is not checked.
func (c *call) view(at, length uint64) []byte {
	if uint32(length) == 0 {
		return nil
	}
	return c.in.View(uint32(at), uint32(length))
}

// short returns guest memory that holds a part of a header. It refuses more than abi.MaxHeaderBytes.
func (c *call) short(at, length uint64) []byte {
	if uint32(length) > abi.MaxHeaderBytes {
		panic(engine.Unusable{Reason: fmt.Sprintf("the guest passes a name or a value of %d bytes: it is larger than the host accepts", uint32(length))})
	}
	return c.view(at, length)
}

// checkAfter checks the deadline after a host function that
// processed many bytes, since its work costs the guest no fuel.
func (c *call) checkAfter(bytes int) {
	if bytes >= abi.CostlyBytes {
		c.in.Check()
	}
}

// beforeNext traps if the request was already passed on.
func (c *call) beforeNext(what string) {
	if c.phase == inResponse {
		fault("%s cannot be changed after the request was passed on", what)
	}
}

// responseMutable traps if the guest can no longer change the response.
func (c *call) responseMutable(what string) {
	if c.phase == inResponse && c.x.Next != nil && c.held == nil {
		fault("%s cannot be changed after the request was passed on, unless feature_buffer_response is enabled", what)
	}
}

// enableFeatures enables features for the current request or, while the guest initialises, for all
// requests. In handle_response it has no effect. It returns all features that the host supports.
func enableFeatures(in *engine.Instance, p []uint64) {
	c, f := in.Exchange.(*call), uint32(p[0])&knownFeatures
	switch c.phase {
	case outside:
		c.shared.features.Or(f)
	case inRequest:
		c.features |= f
	}
	p[0] = knownFeatures
}

// getConfig returns the service's settings: their text, or those by name as one JSON object. The specification
// leaves the format open. It also works during initialisation: settings belong to
// a version of the service, so a snapshot never holds those of another version.
func getConfig(in *engine.Instance, p []uint64) {
	c := in.Exchange.(*call)
	p[0] = c.put(c.settings.Text(), p[0], p[1])
}

// logs reports whether lines of a level are kept.
func (c *call) logs(level abi.Level) bool {
	return level >= abi.LevelDebug && level < abi.LevelNone && (c.levels == nil || c.levels(level))
}

func logEnabled(in *engine.Instance, p []uint64) {
	level := abi.Level(int32(p[0]))
	p[0] = 0
	if in.Exchange.(*call).logs(level) {
		p[0] = 1
	}
}

// logMessage logs a line unless its level is disabled.
func logMessage(in *engine.Instance, p []uint64) {
	c, level := in.Exchange.(*call), abi.Level(int32(p[0]))
	if c.logs(level) {
		c.stderr.Line(level, c.view(p[1], p[2]))
	}
}

func getMethod(c *call, p []uint64) { p[0] = c.put(c.x.Method, p[0], p[1]) }
func getURI(c *call, p []uint64)    { p[0] = c.put(c.x.URI, p[0], p[1]) }

func getProtocolVersion(c *call, p []uint64) { p[0] = c.put(c.x.Proto, p[0], p[1]) }
func getSourceAddr(c *call, p []uint64)      { p[0] = c.put(c.x.RemoteAddr, p[0], p[1]) }

func setMethod(c *call, p []uint64) {
	c.beforeNext("the method")
	method := string(c.short(p[0], p[1]))
	if _, ok := abi.CanonicalName(method); !ok {
		panic(engine.Unusable{Reason: "the method set by the guest is not a token"})
	}
	c.x.Method = method
}

func setURI(c *call, p []uint64) {
	c.beforeNext("the URI")
	uri := string(c.short(p[0], p[1]))
	if uri == "" {
		uri = "/"
	}
	if uri[0] != '/' || strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) {
		panic(engine.Unusable{Reason: "the URI set by the guest is not an encoded path and query"})
	}
	c.x.URI = uri
}

func getStatusCode(c *call, p []uint64) { p[0] = uint64(c.statusOr200()) }

func setStatusCode(c *call, p []uint64) {
	c.responseMutable("the status")
	code := int(uint32(p[0]))
	if !abi.ValidStatus(code) {
		panic(engine.Unusable{Reason: fmt.Sprintf("the status %d cannot be sent: 200 to 599 can", code)})
	}
	c.status, c.x.PassedOn, c.answered = code, false, true
}

// Kinds of body.
const (
	bodyRequest  = 0
	bodyResponse = 1
)

func readBody(c *call, p []uint64) {
	kind, buf := uint32(p[0]), c.view(p[1], p[2])
	if len(buf) == 0 {
		fault("read_body is called with an empty buffer")
	}
	var n int
	var eof bool
	switch kind {
	case bodyRequest:
		c.request.keep = c.enabled(featureBufferRequest) && c.x.Next != nil && !c.request.written
		if eof = c.request.ended; !eof { // after the end there is nothing to wait for
			n, eof = c.readBody(&c.request, buf)
		}
	case bodyResponse:
		if c.phase != inResponse || !c.enabled(featureBufferResponse) {
			fault("the response body can only be read in handle_response, with feature_buffer_response enabled")
		}
		n, eof = 0, true
		if c.held != nil {
			n, eof = c.readBody(c.held, buf)
		}
	default:
		fault("read_body: there is no body of kind %d", kind)
	}
	p[0] = uint64(n)
	if eof {
		p[0] |= 1 << 32
	}
}

func writeBody(c *call, p []uint64) {
	body := c.view(p[1], p[2])
	switch kind := uint32(p[0]); kind {
	case bodyRequest:
		c.beforeNext("the request body")
		if !c.request.write(body) {
			panic(engine.Unusable{Reason: "the request body set by the guest is larger than the host holds"})
		}
	case bodyResponse:
		c.responseMutable("the response body")
		c.writeResponse(body)
	default:
		fault("write_body: there is no body of kind %d", kind)
	}
	c.checkAfter(len(body))
}
