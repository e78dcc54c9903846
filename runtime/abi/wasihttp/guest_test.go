package wasihttp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// Addresses in the guest's memory.
const (
	result    = 1024 // where functions write their results
	scratch   = 2048 // parameters
	allocated = 8192 // the allocator starts here
)

// Cases of scheme.
const (
	schemeHTTP  = 0
	schemeOther = 2
)

// guest is a guest whose code is a function of the test.
type guest struct {
	t        *testing.T
	bench    *abitest.Bench
	in       *engine.Instance
	next     uint32
	used     uint32
	response *abitest.Response // of the last exchange
	log      []string
	env      abi.Environment
}

func newGuest(t *testing.T, init func(g *guest)) *guest {
	t.Helper()
	b, err := abitest.Open(components()...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	g := &guest{t: t, bench: b, next: allocated, used: scratch}
	b.Act = g.act(func(*guest, uint64, uint64) {
		if init != nil {
			init(g)
		}
	})
	log := func(_ abi.Level, line []byte) { g.log = append(g.log, string(line)) }
	g.env = abi.Environment{Log: log, Settings: abi.NewSettings(map[string]string{"NAME": "value"})}
	g.in, err = b.Puppet(ABI{}, &g.env)
	require.NoError(t, err)
	return g
}

// act returns the Act of a guest whose only function besides the allocator is code.
func (g *guest) act(code func(g *guest, request, out uint64)) abitest.Act {
	return func(in *engine.Instance, at abitest.Entry, a, b uint32) int64 {
		if g.in = in; at == abitest.Allocate {
			at := (g.next + a - 1) &^ (a - 1)
			g.next = at + b
			return int64(at)
		}
		code(g, uint64(a), uint64(b))
		return 0
	}
}

// serve runs code for an exchange.
func (g *guest) serve(x *abi.Exchange, code func(g *guest, request, out uint64)) engine.Outcome {
	g.t.Helper()
	g.next, g.used = allocated, scratch
	g.response = &abitest.Response{}
	x.Response = g.response
	x.Log = func(_ abi.Level, line []byte) { g.log = append(g.log, string(line)) }
	g.bench.Act = g.act(code)
	out := (ABI{}).Serve(g.in, x)
	require.Zero(g.t, canonical.Of(g.in).Handles.Open(), "all handles are dropped")
	require.Zero(g.t, g.in.Exchange.(*call).fieldBytes)
	return out
}

// ok is serve for a guest without faults, and returns the body of the response.
func (g *guest) ok(x *abi.Exchange, code func(g *guest, request, out uint64)) string {
	g.t.Helper()
	out := g.serve(x, code)
	require.Equal(g.t, engine.OK, out.Kind, "%v", out.Err)
	return g.response.Body.String()
}

// call calls a function of an interface, named like "http/types#[method]fields.get".
func (g *guest) call(name string, params ...uint64) uint64 {
	g.t.Helper()
	module, function, _ := strings.Cut(name, "#")
	return g.bench.Call(g.in, fmt.Sprintf("wasi:%s@0.2#%s", module, function), params...)
}

// types calls a function of wasi:http/types.
func (g *guest) types(name string, params ...uint64) uint64 {
	g.t.Helper()
	return g.call("http/types#"+name, params...)
}

// streams calls a function of wasi:io/streams.
func (g *guest) streams(name string, params ...uint64) uint64 {
	g.t.Helper()
	return g.call("io/streams#"+name, params...)
}

// text stores a string and returns its address and length.
func (g *guest) text(s string) (at, length uint64) {
	at = uint64(g.used)
	g.used += uint32(copy(g.in.View(g.used, uint32(len(s))), s))
	return at, uint64(len(s))
}

func (g *guest) u8(at uint32) byte    { return g.in.View(at, 1)[0] }
func (g *guest) u32(at uint32) uint32 { return canonical.Uint32(g.in.View(at, 4), 0) }

// string reads the string whose address and length are at an address.
func (g *guest) string(at uint32) string { return string(g.in.View(g.u32(at), g.u32(at+4))) }

// own reads a result<own<T>>.
func (g *guest) own() uint64 {
	g.t.Helper()
	require.Zero(g.t, g.u8(result))
	return uint64(g.u32(result + 4))
}

// option reads an option<string>.
func (g *guest) option() string {
	if g.u8(result) == 0 {
		return "none"
	}
	return g.string(result + 4)
}

// fields makes fields from names and values.
func (g *guest) fields(pairs ...string) uint64 {
	g.t.Helper()
	f := g.types("[constructor]fields")
	for i := 0; i < len(pairs); i += 2 {
		require.Equal(g.t, accepted, g.append(f, pairs[i], pairs[i+1]))
	}
	return f
}

// append returns the header-error.
func (g *guest) append(f uint64, name, value string) byte {
	n, nl := g.text(name)
	v, vl := g.text(value)
	g.types("[method]fields.append", f, n, nl, v, vl, result)
	if g.u8(result) == 0 {
		return accepted
	}
	return g.u8(result + 1)
}

// get returns the values of a field.
func (g *guest) get(f uint64, name string) (values []string) {
	n, nl := g.text(name)
	g.types("[method]fields.get", f, n, nl, result)
	at := g.u32(result)
	for i := range g.u32(result + 4) {
		values = append(values, g.string(at+8*i))
	}
	return values
}

// entries returns all fields as "name=value".
func (g *guest) entries(f uint64) (all []string) {
	g.types("[method]fields.entries", f, result)
	at := g.u32(result)
	for i := range g.u32(result + 4) {
		all = append(all, g.string(at+16*i)+"="+g.string(at+16*i+8))
	}
	return all
}

// answer makes a response and sets it. It returns its body and the stream of the body.
func (g *guest) answer(out uint64, status int, headers uint64) (body, stream uint64) {
	g.t.Helper()
	r := g.types("[constructor]outgoing-response", headers)
	require.Zero(g.t, g.types("[method]outgoing-response.set-status-code", r, uint64(status)))
	g.types("[method]outgoing-response.body", r, result)
	body = g.own()
	g.set(out, 0, r)
	g.types("[method]outgoing-body.write", body, result)
	return body, g.own()
}

// set sets a response, or an error-code if failed is 1.
func (g *guest) set(out, failed, response uint64) {
	g.types("[static]response-outparam.set", out, failed, response, 0, 0, 0, 0, 0, 0)
}

// write writes and flushes. It returns the text of the stream-error, or "".
func (g *guest) write(stream uint64, text string) string {
	at, length := g.text(text)
	g.streams("[method]output-stream.blocking-write-and-flush", stream, at, length, result)
	return g.streamError(payloadAt)
}

// payloadAt is the offset of the payload of a result<_, stream-error>.
const payloadAt = 4

func (g *guest) streamError(at uint32) string {
	switch {
	case g.u8(result) == 0:
		return ""
	case g.u8(result+at) == 1:
		return "closed"
	}
	e := uint64(g.u32(result + at + 4))
	g.call("io/error#[method]error.to-debug-string", e, result)
	text := g.string(result)
	g.types("http-error-code", e, result)
	if g.u8(result) == 1 {
		text += " (" + httptypes.Code(g.u8(result+8)).String() + ")"
	}
	g.call("io/error#[resource-drop]error", e)
	return text
}

// read reads once, waiting. It returns the text of the stream-error, or "".
func (g *guest) read(stream uint64) (data, failed string) {
	g.streams("[method]input-stream.blocking-read", stream, 100, result)
	if g.u8(result) == 0 {
		return g.string(result + 4), ""
	}
	return "", g.streamError(payloadAt)
}

// readAll reads to the end.
func (g *guest) readAll(stream uint64) (all string) {
	g.t.Helper()
	for {
		data, failed := g.read(stream)
		if failed != "" {
			require.Equal(g.t, "closed", failed)
			return all
		}
		all += data
	}
}

// finish ends a body without trailers and returns the name of the error-code, or "".
func (g *guest) finish(body, stream uint64) string {
	g.streams("[resource-drop]output-stream", stream)
	g.types("[static]outgoing-body.finish", body, 0, 0, result)
	if g.u8(result) == 0 {
		return ""
	}
	return httptypes.Code(g.u8(result + 8)).String()
}

// hello answers with a text.
func (g *guest) hello(out uint64, text string) {
	g.t.Helper()
	body, stream := g.answer(out, 200, g.fields())
	require.Empty(g.t, g.write(stream, text))
	require.Empty(g.t, g.finish(body, stream))
}
