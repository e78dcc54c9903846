package extension

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// extensionOnly is an ABI that consists of the extension alone.
type extensionOnly struct{}

func (extensionOnly) Traits() abi.Traits               { return abi.Traits{} }
func (extensionOnly) HostModules() []engine.HostModule { return []engine.HostModule{HostModule()} }
func (extensionOnly) Match(*engine.Info) (bool, error) { return true, nil }
func (extensionOnly) Functions(*engine.Info) (init, entries []string) {
	return nil, []string{"handle_request"}
}
func (extensionOnly) Bind(in *engine.Instance, env *abi.Environment) {
	s := &State{}
	s.Use(env)
	in.Extension = s
}

// echo returns each request as its response. It implements abi.Outbound.
type echo struct {
	refuse error
	calls  []*echoCall
}

func (e *echo) Open(_ context.Context, method, uri string) (abi.OutboundCall, error) {
	if e.refuse != nil {
		return nil, e.refuse
	}
	c := &echoCall{header: abi.Header{"X-Request": {method + " " + uri}}}
	e.calls = append(e.calls, c)
	return c, nil
}

type echoCall struct {
	abi.OutboundCall // for the methods that the extension does not use
	header           abi.Header
	body             strings.Builder
	answer           io.Reader
	failed           error
	closed           int
}

func (c *echoCall) AddHeader(name, value string) error {
	c.header[name] = append(c.header[name], value)
	return c.failed
}

func (c *echoCall) Write(p []byte) error { c.body.Write(p); return c.failed }

func (c *echoCall) Send() (int, error) {
	c.answer = strings.NewReader(c.body.String())
	return 207, c.failed
}

func (c *echoCall) Header() abi.Header         { return c.header }
func (c *echoCall) Trailer() abi.Header        { return abi.Header{"X-Sum": {"7"}} }
func (c *echoCall) Read(p []byte) (int, error) { return c.answer.Read(p) }
func (c *echoCall) Close() error               { c.closed++; return nil }

// guest is a guest whose code is defined by the test.
type guest struct {
	t     *testing.T
	bench *abitest.Bench
	in    *engine.Instance
	log   []string
}

func newGuest(t *testing.T, settings map[string]string) *guest {
	t.Helper()
	b, err := abitest.Open(HostModule())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	in, err := b.Puppet(extensionOnly{}, &abi.Environment{Settings: abi.NewSettings(settings)})
	require.NoError(t, err)
	return &guest{t: t, bench: b, in: in}
}

// run runs code within an exchange.
func (g *guest) run(out abi.Outbound, code func()) engine.Outcome {
	g.t.Helper()
	x := &abi.Invocation{Prefix: "/a", Rest: "/b%20c", Outbound: out}
	x.Log = func(_ abi.Level, line []byte) { g.log = append(g.log, string(line)) }
	s := g.in.Extension.(*State)
	s.Begin(x)
	defer s.End()
	return g.call(code)
}

// call runs code as the guest.
func (g *guest) call(code func()) engine.Outcome {
	g.bench.Act = func(*engine.Instance, abitest.Entry, uint32, uint32) int64 { code(); return 0 }
	return g.in.Call(context.Background(), abitest.Soon(), 0, make([]uint64, 1))
}

func (g *guest) do(out abi.Outbound, code func()) {
	g.t.Helper()
	outcome := g.run(out, code)
	require.Equal(g.t, engine.OK, outcome.Kind, "%v", outcome.Err)
}

// Addresses that the guest uses.
const (
	firstAt  = 0x100
	secondAt = 0x1000
	bufferAt = 0x8000
	size     = 2 << 16 // the puppet's memory
)

func (g *guest) put(at uint32, text string) (address, length uint64) {
	copy(g.in.Memory()[at:], text)
	return uint64(at), uint64(len(text))
}

// result converts an i32 result; errors are negative.
func result(v uint64) int { return int(int32(uint32(v))) }

func (g *guest) text(at, n uint64) string { return string(g.in.Memory()[at : at+n]) }

func (g *guest) open(method, uri string) int {
	m, mLen := g.put(firstAt, method)
	u, uLen := g.put(secondAt, uri)
	return result(g.bench.Call(g.in, "fetch_open", m, mLen, u, uLen))
}

func (g *guest) header(handle int, name, value string) int {
	n, nLen := g.put(firstAt, name)
	v, vLen := g.put(secondAt, value)
	return result(g.bench.Call(g.in, "fetch_header", uint64(handle), n, nLen, v, vLen))
}

func (g *guest) write(handle int, text string) int {
	at, n := g.put(firstAt, text)
	return result(g.bench.Call(g.in, "fetch_write", uint64(handle), at, n))
}

func (g *guest) send(handle int) int { return result(g.bench.Call(g.in, "fetch_send", uint64(handle))) }
func (g *guest) close(handle int) int {
	return result(g.bench.Call(g.in, "fetch_close", uint64(handle)))
}

// list returns the strings that a function writes, or its error.
func (g *guest) list(name string, params ...uint64) (list []string, e int) {
	found := int64(g.bench.Call(g.in, name, append(params, bufferAt, 1000)...))
	if found <= 0 {
		return nil, int(found)
	}
	text := g.text(bufferAt, uint64(found)&(1<<32-1))
	list = strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")
	require.Len(g.t, list, int(found>>32))
	return list, 0
}

func (g *guest) values(handle, kind int, name string) ([]string, int) {
	at, n := g.put(firstAt, name)
	return g.list("fetch_header_values", uint64(handle), uint64(kind), at, n)
}

func TestWhereTheServiceIsMounted(t *testing.T) {
	g := newGuest(t, nil)
	for name, want := range map[string]string{"prefix": "/a", "rest": "/b%20c"} {
		g.do(nil, func() {
			for limit := range uint64(10) {
				clear(g.in.Memory()[bufferAt : bufferAt+10])
				require.EqualValues(t, len(want), g.bench.Call(g.in, name, bufferAt, limit))
				if limit < uint64(len(want)) {
					require.Equal(t, make([]byte, 10), g.in.Memory()[bufferAt:bufferAt+10])
				} else {
					require.Equal(t, want, g.text(bufferAt, uint64(len(want))))
				}
			}
		})
		out := g.call(func() { require.Zero(t, g.bench.Call(g.in, name, 1<<32-1, 0), "outside of a request") })
		require.Equal(t, engine.OK, out.Kind)
	}
}

func TestSettings(t *testing.T) {
	g := newGuest(t, map[string]string{"name": "value", "empty": ""})
	get := func(name string) int {
		at, n := g.put(firstAt, name)
		return result(g.bench.Call(g.in, "config_get", at, n, bufferAt, 100))
	}
	g.call(func() { // outside of a request too
		require.Equal(t, 5, get("name"))
		require.Equal(t, "value", g.text(bufferAt, 5))
		require.Equal(t, 0, get("empty"))
		require.Equal(t, -1, get("none"))
		require.Equal(t, -1, get(""))
		require.Equal(t, -1, result(g.bench.Call(g.in, "config_get", 0, 1<<32-1, 0, 0)))
	})
}

func TestFetch(t *testing.T) {
	g, out := newGuest(t, nil), &echo{}
	g.do(out, func() {
		h := g.open("POST", "http://x/")
		require.Positive(t, h)
		require.Zero(t, g.header(h, "x-a", "1"))
		require.Zero(t, g.header(h, "X-A", "2"))
		require.Zero(t, g.write(h, "some "))
		require.Equal(t, int(abi.OutboundBadState), g.header(h, "x-a", "3"), "the header has gone out")
		require.Zero(t, g.write(h, ""))
		require.Zero(t, g.write(h, "body"))
		_, e := g.values(h, kindHeader, "x-a")
		require.Equal(t, int(abi.OutboundBadState), e, "there is no answer yet")
		require.Equal(t, 207, g.send(h))
		require.Equal(t, int(abi.OutboundBadState), g.send(h))
		require.Equal(t, int(abi.OutboundBadState), g.write(h, "more"))

		names, _ := g.list("fetch_header_names", uint64(h), kindHeader)
		require.Equal(t, []string{"x-a", "x-request"}, names)
		values, _ := g.values(h, kindHeader, "x-A")
		require.Equal(t, []string{"1", "2"}, values)
		values, _ = g.values(h, kindTrailer, "x-sum")
		require.Equal(t, []string{"7"}, values)
		values, e = g.values(h, 7, "x-sum")
		require.Empty(t, values)
		require.Zero(t, e)

		body := ""
		for {
			r := g.bench.Call(g.in, "fetch_read", uint64(h), bufferAt, 4)
			body += g.text(bufferAt, r&(1<<32-1))
			if r>>32 == 1 {
				break
			}
		}
		require.Equal(t, "some body", body)
		require.Equal(t, int(abi.OutboundBadState), result(g.bench.Call(g.in, "fetch_read", uint64(h), 0, 0)))
		require.Zero(t, g.close(h))
		require.Equal(t, int(abi.OutboundBadState), g.close(h))
		require.Equal(t, int(abi.OutboundBadState), g.send(h))
	})
	require.Equal(t, 1, out.calls[0].closed)
}

func TestCallsThatAreLeftOpen(t *testing.T) {
	g, out := newGuest(t, nil), &echo{}
	var first int
	g.do(out, func() {
		first = g.open("GET", "http://x/")
		g.send(g.open("GET", "http://y/"))
	})
	for _, c := range out.calls {
		require.Equal(t, 1, c.closed)
	}
	g.do(out, func() { require.Equal(t, int(abi.OutboundBadState), g.send(first), "a handle belongs to its request") })
}

func TestFieldsThatCannotBeSent(t *testing.T) {
	g := newGuest(t, nil)
	g.do(&echo{}, func() {
		h := g.open("GET", "http://x/")
		for name, value := range map[string]string{"": "x", "a b": "x", "a:": "x", "x": "a\r\nb", "y": "\x00", "connection": "close", "Transfer-Encoding": "chunked"} {
			require.Equal(t, int(abi.OutboundInvalid), g.header(h, name, value), name)
		}
		require.Equal(t, int(abi.OutboundInvalid), result(g.bench.Call(g.in, "fetch_header", uint64(h), 0, 1<<32-1, 0, 0)))
		require.Equal(t, int(abi.OutboundInvalid), result(g.bench.Call(g.in, "fetch_open", 0, 1, 0, 1<<32-1)))
		require.Equal(t, int(abi.OutboundBadState), g.header(h+1, "x", "y"))
	})
}

func TestReasonsAreLoggedWithinBounds(t *testing.T) {
	g := newGuest(t, nil)
	g.do(nil, func() { require.Equal(t, int(abi.OutboundForbidden), g.open("GET", "http://x/")) })
	require.Contains(t, g.log[0], "allow")

	g.log = nil
	g.do(&echo{refuse: &abi.OutboundError{Code: abi.OutboundForbidden, Reason: "not that one"}}, func() {
		require.Equal(t, int(abi.OutboundForbidden), g.open("GET", "http://x/"))
	})
	require.Equal(t, []string{"outbound (-3): not that one"}, g.log)

	g.log = nil
	g.do(&echo{refuse: errors.New("something else")}, func() {
		for range 10_000 {
			require.Equal(t, int(abi.OutboundBroken), g.open("GET", "http://x/"))
		}
	})
	require.Less(t, len(g.log), abi.MaxLogBytes/abi.LineOverheadBytes)
	require.Contains(t, g.log[len(g.log)-1], "cut here")
}

func TestStepsThatFail(t *testing.T) {
	g, out := newGuest(t, nil), &echo{}
	g.do(out, func() {
		h := g.open("GET", "http://x/")
		out.calls[0].failed = &abi.OutboundError{Code: abi.OutboundUnreachable, Reason: "no route"}
		require.Equal(t, int(abi.OutboundUnreachable), g.header(h, "x", "y"))
		require.Equal(t, int(abi.OutboundUnreachable), g.write(h, "x"))
		require.Equal(t, int(abi.OutboundUnreachable), g.send(h))
	})
	require.Len(t, g.log, 3)
}

func TestBadPointersTrap(t *testing.T) {
	for name, params := range map[string][]uint64{
		"prefix": {size, 10}, "rest": {size - 1, 10}, "config_get": {size, 1, 0, 0}, "fetch_open": {0, 1, size, 1},
		"fetch_header": {1, size, 1, 0, 0}, "fetch_write": {1, size, 1}, "fetch_read": {1, size, 1},
	} {
		g := newGuest(t, nil)
		out := g.run(&echo{}, func() { g.bench.Call(g.in, name, params...) })
		require.Equal(t, engine.Trap, out.Kind, name)
	}
}

// FuzzFunctions calls arbitrary functions with arbitrary parameters and memory.
func FuzzFunctions(f *testing.F) {
	h := abitest.NewHostility(f, extensionOnly{}, &abi.Environment{Settings: abi.NewSettings(map[string]string{"a": "b"})}, HostModule())
	for _, seed := range h.Seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		s, out := h.Instance().Extension.(*State), &echo{}
		s.Begin(&abi.Invocation{Prefix: "/a", Rest: "/b", Outbound: out})
		h.Run(t, program)
		s.End()
		for i, c := range out.calls {
			require.Equal(t, 1, c.closed, fmt.Sprint("call ", i))
		}
	})
}
