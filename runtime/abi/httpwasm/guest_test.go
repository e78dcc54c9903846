package httpwasm

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// guest is a guest whose code is defined by the test.
type guest struct {
	t        *testing.T
	bench    *abitest.Bench
	abi      *ABI
	in       *engine.Instance
	response *abitest.Response // of the last exchange
	log      []string          // "level line"
}

// newGuest returns a guest whose initialisation is init.
func newGuest(t *testing.T, init func(g *guest)) *guest {
	t.Helper()
	b, err := abitest.Open(HostModule())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	g := &guest{t: t, bench: b, abi: New(Config{BufferBytes: 10_000})}
	b.Act = func(in *engine.Instance, at abitest.Entry, _, _ uint32) int64 {
		require.Equal(t, abitest.Initialize, at)
		if g.in = in; init != nil {
			init(g)
		}
		return 0
	}
	g.in, err = b.Puppet(g.abi, &abi.Environment{Log: g.logLine, Settings: abi.NewSettings(map[string]string{"name": "value"})})
	require.NoError(t, err)
	return g
}

func (g *guest) logLine(level abi.Level, line []byte) {
	g.log = append(g.log, fmt.Sprintf("%d %s", level, line))
}

// code is the code of a guest's functions.
type code struct {
	request  func() (result int64)
	response func(context, isError uint32)
}

// newExchange returns a plain request.
func newExchange() *abi.Exchange {
	return &abi.Exchange{
		Method:     "GET",
		URI:        "/a/b?c=d",
		Proto:      "HTTP/1.1",
		Scheme:     "http",
		Host:       "example.com:8080",
		RemoteAddr: "192.0.2.1:1234",
		Invocation: abi.Invocation{Prefix: "/a", Rest: "/b"},
		Header:     abi.Header{},
		Body:       abi.Arrived(strings.NewReader("")),
	}
}

// try serves an exchange and returns its outcome.
func (g *guest) try(x *abi.Exchange, c code) engine.Outcome {
	g.t.Helper()
	g.response = &abitest.Response{}
	x.Response, x.Log, x.Context, x.Deadline = g.response, g.logLine, context.Background(), abitest.Soon()
	g.bench.Act = func(_ *engine.Instance, at abitest.Entry, context, isError uint32) int64 {
		switch {
		case at == abitest.HandleRequest && c.request != nil:
			return c.request()
		case at == abitest.HandleResponse && c.response != nil:
			c.response(context, isError)
		}
		return 0
	}
	defer func() { require.Same(g.t, g.response, x.Response, "what the caller gave is the caller's again") }()
	return g.abi.Serve(g.in, x)
}

// serve serves an exchange that must succeed.
func (g *guest) serve(x *abi.Exchange, c code) *abitest.Response {
	g.t.Helper()
	out := g.try(x, c)
	require.Equal(g.t, engine.OK, out.Kind, "%v", out.Err)
	return g.response
}

// handle is serve for a plain request that the guest answers itself.
func (g *guest) handle(request func()) *abitest.Response {
	g.t.Helper()
	return g.serve(newExchange(), code{request: func() int64 { request(); return 0 }})
}

// passOn is the result of handle_request that passes the request on.
const passOn = 1

// Addresses that the guest uses.
const (
	nameAt  = 0x100
	valueAt = 0x2000
	size    = 2 << 16 // the puppet's memory
)

func (g *guest) put(at uint32, text string) (address, length uint64) {
	copy(g.in.Memory()[at:], text)
	return uint64(at), uint64(len(text))
}

// get calls a function that returns a string. Like libraries, it asks for the length first.
func (g *guest) get(name string) string {
	n := g.bench.Call(g.in, name, 0, 0)
	require.Equal(g.t, n, g.bench.Call(g.in, name, valueAt, n))
	return string(g.in.Memory()[valueAt : valueAt+n])
}

// list calls a function that returns NUL-terminated strings.
func (g *guest) list(name string, params ...uint64) []string {
	found := g.bench.Call(g.in, name, append(params, 0, 0)...)
	count, n := found>>32, found&(1<<32-1)
	if count == 0 {
		require.Zero(g.t, n)
		return nil
	}
	require.Equal(g.t, found, g.bench.Call(g.in, name, append(params, valueAt, n)...))
	text := string(g.in.Memory()[valueAt : valueAt+n])
	require.True(g.t, strings.HasSuffix(text, "\x00"))
	list := strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")
	require.Len(g.t, list, int(count))
	return list
}

func (g *guest) names(kind uint64) []string { return g.list("get_header_names", kind) }

func (g *guest) values(kind uint64, name string) []string {
	at, n := g.put(nameAt, name)
	return g.list("get_header_values", kind, at, n)
}

func (g *guest) field(function string, kind uint64, name, value string) {
	at, n := g.put(nameAt, name)
	valueAt, valueLen := g.put(valueAt, value)
	g.bench.Call(g.in, function, kind, at, n, valueAt, valueLen)
}

func (g *guest) set(kind uint64, name, value string) { g.field("set_header_value", kind, name, value) }
func (g *guest) add(kind uint64, name, value string) { g.field("add_header_value", kind, name, value) }

func (g *guest) remove(kind uint64, name string) {
	at, n := g.put(nameAt, name)
	g.bench.Call(g.in, "remove_header", kind, at, n)
}

// setText calls set_method or set_uri.
func (g *guest) setText(function, text string) {
	at, n := g.put(valueAt, text)
	g.bench.Call(g.in, function, at, n)
}

func (g *guest) enable(features uint64) uint64 {
	return g.bench.Call(g.in, "enable_features", features)
}
func (g *guest) status() uint64        { return g.bench.Call(g.in, "get_status_code") }
func (g *guest) setStatus(code uint64) { g.bench.Call(g.in, "set_status_code", code) }

func (g *guest) read(kind, limit uint64) (text string, eof bool) {
	r := g.bench.Call(g.in, "read_body", kind, valueAt, limit)
	n := r & (1<<32 - 1)
	require.LessOrEqual(g.t, n, limit)
	return string(g.in.Memory()[valueAt : valueAt+n]), r>>32 == 1
}

func (g *guest) readAll(kind uint64) string {
	var all bytes.Buffer
	for {
		text, eof := g.read(kind, 100)
		all.WriteString(text)
		if eof {
			return all.String()
		}
	}
}

func (g *guest) write(kind uint64, text string) {
	at, n := g.put(valueAt, text)
	g.bench.Call(g.in, "write_body", kind, at, n)
}
