package extension

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

func (g *guest) addFields(handle int, list string) int {
	at, n := g.put(firstAt, list)
	return result(g.bench.Call(g.in, "fetch_add_fields", uint64(handle), at, n))
}

// terminated returns a list in the form of the guest's memory.
func terminated(list ...string) string { return strings.Join(list, "\x00") + "\x00" }

// answered returns the handle of an answered call with these fields.
func (g *guest) answered(out *echo, header abi.Header) int {
	h := g.open("GET", "http://x/")
	out.calls[len(out.calls)-1].header = header
	g.send(h)
	return h
}

func TestFieldsOfAnAnswer(t *testing.T) {
	g, out := newGuest(t, nil), &echo{}
	g.do(out, func() {
		h := g.answered(out, abi.Header{"X-Two": {"1", "", "2"}, "Empty": {""}, "None": {}, "Date": {"now"}, "Bad": {"a\x00b"}, "B\x00d": {"x"}})
		want := []string{"date", "now", "empty", "", "x-two", "1", "x-two", "", "x-two", "2"}
		list, e := g.list("fetch_fields", uint64(h), kindHeader)
		require.Zero(t, e)
		require.Equal(t, want, list, "a field with a NUL is left out")
		canonical, _ := g.list("fetch_fields", uint64(h), kindHeader|canonicalNames)
		require.Equal(t, []string{"Date", "now", "Empty", "", "X-Two", "1", "X-Two", "", "X-Two", "2"}, canonical)
		trailer, _ := g.list("fetch_fields", uint64(h), kindTrailer)
		require.Equal(t, []string{"x-sum", "7"}, trailer)

		size := len(terminated(want...))
		packed := uint64(len(want))<<32 | uint64(size)
		for _, limit := range []uint64{0, 1, uint64(size) - 1} {
			clear(g.in.Memory()[bufferAt : bufferAt+1000])
			require.Equal(t, packed, g.bench.Call(g.in, "fetch_fields", uint64(h), kindHeader, bufferAt, limit))
			require.Equal(t, make([]byte, 1000), g.in.Memory()[bufferAt:bufferAt+1000], "nothing is written")
		}
		for _, limit := range []uint64{uint64(size), 1<<32 - 1} {
			clear(g.in.Memory()[bufferAt : bufferAt+1000])
			require.Equal(t, packed, g.bench.Call(g.in, "fetch_fields", uint64(h), kindHeader, bufferAt, limit))
			require.Equal(t, terminated(want...)+"\x00", g.text(bufferAt, uint64(size)+1), "nothing is written behind it")
		}
		for _, kind := range []uint64{7, 0, canonicalNames, 32 | kindHeader, 1<<32 - 1} {
			require.Zero(t, g.bench.Call(g.in, "fetch_fields", uint64(h), kind, bufferAt, 100), "no such kind")
		}
		require.Zero(t, g.bench.Call(g.in, "fetch_fields", uint64(g.answered(out, nil)), kindHeader, 1<<32-1, 0), "no fields")
	})
}

func TestStatesOfFields(t *testing.T) {
	g, out := newGuest(t, nil), &echo{}
	g.do(out, func() {
		h := g.open("GET", "http://x/")
		_, e := g.list("fetch_fields", uint64(h), kindHeader)
		require.Equal(t, int(abi.OutboundBadState), e, "there is no answer yet")
		require.Zero(t, g.write(h, "x"))
		require.Equal(t, int(abi.OutboundBadState), g.addFields(h, terminated("a", "b")), "the header has gone out")
		g.send(h)
		require.Equal(t, int(abi.OutboundBadState), g.addFields(h, terminated("a", "b")))
		require.Zero(t, g.close(h))
		_, e = g.list("fetch_fields", uint64(h), kindHeader)
		require.Equal(t, int(abi.OutboundBadState), e)
		require.Equal(t, int(abi.OutboundBadState), g.addFields(h, ""))
	})
}

// TestMostFields has an answer of a thousand fields, as many as its limit of 64 KiB lets pass.
func TestMostFields(t *testing.T) {
	g, out := newGuest(t, nil), &echo{}
	header, want := abi.Header{}, []string(nil)
	for i := range 1000 {
		name, value := fmt.Sprintf("X-%03d", i), strings.Repeat("v", i%50)
		header[name] = []string{value}
		want = append(want, strings.ToLower(name), value)
	}
	g.do(out, func() {
		h := g.answered(out, header)
		found := g.bench.Call(g.in, "fetch_fields", uint64(h), kindHeader, bufferAt, size-bufferAt)
		require.EqualValues(t, len(want), found>>32)
		require.Equal(t, terminated(want...), g.text(bufferAt, found&(1<<32-1)))
	})
}

// serve runs code within a request.
func (g *guest) serve(x *abi.Exchange, code func()) engine.Outcome {
	s := g.in.Extension.(*State)
	s.BeginExchange(x)
	defer s.End()
	return g.call(code)
}

func TestFieldsOfTheRequest(t *testing.T) {
	g := newGuest(t, nil)
	x := &abi.Exchange{Host: "a.example", Header: abi.Header{"X-Two": {"1", "", "2"}, "Accept": {"*/*"}, "None": {}, "Bad": {"a\x00b"}}}
	out := g.serve(x, func() {
		list, _ := g.list("request_fields", kindRequest)
		want := []string{"host", "a.example", "accept", "*/*", "x-two", "1", "x-two", "", "x-two", "2"}
		require.Equal(t, want, list)
		canonical, _ := g.list("request_fields", kindRequest|canonicalNames)
		require.Equal(t, []string{"Host", "a.example", "Accept", "*/*", "X-Two", "1", "X-Two", "", "X-Two", "2"}, canonical)
		size := len(terminated(want...))
		packed := uint64(len(want))<<32 | uint64(size)
		clear(g.in.Memory()[bufferAt : bufferAt+1000])
		require.Equal(t, packed, g.bench.Call(g.in, "request_fields", kindRequest, bufferAt, uint64(size)-1))
		require.Equal(t, make([]byte, 1000), g.in.Memory()[bufferAt:bufferAt+1000], "nothing is written")
		require.Equal(t, packed, g.bench.Call(g.in, "request_fields", kindRequest, bufferAt, uint64(size)))
		for _, kind := range []uint64{kindHeader, kindTrailer, 32, 1<<32 - 1} {
			require.Zero(t, g.bench.Call(g.in, "request_fields", kind, bufferAt, 100), "no such kind")
		}
		x.Host, x.Header = "", abi.Header{"X-Changed": {"1"}}
		list, _ = g.list("request_fields", kindRequest)
		require.Equal(t, []string{"x-changed", "1"}, list, "as the guest has changed it")
	})
	require.Equal(t, engine.OK, out.Kind, "%v", out.Err)
	x.Header = abi.Header{"A": {"b"}}
	require.Equal(t, engine.Trap, g.serve(x, func() { g.bench.Call(g.in, "request_fields", kindRequest, size-1, 100) }).Kind)
	for _, none := range []engine.Outcome{
		g.call(func() {
			require.Zero(t, g.bench.Call(g.in, "request_fields", kindRequest, 0, 100), "outside of a request")
		}),
		g.run(nil, func() {
			require.Zero(t, g.bench.Call(g.in, "request_fields", kindRequest, 0, 100), "an event has none")
		}),
	} {
		require.Equal(t, engine.OK, none.Kind, "%v", none.Err)
	}
}

func TestAddingFields(t *testing.T) {
	g, out := newGuest(t, nil), &echo{}
	g.do(out, func() {
		h := g.open("GET", "http://x/")
		require.Zero(t, g.addFields(h, ""))
		require.Zero(t, g.addFields(h, terminated("x-a", "1", "Empty", "", "X-A", "2")))
		require.Zero(t, g.header(h, "x-a", "3"), "the other function adds, too")
		delete(out.calls[0].header, "X-Request")
		require.Equal(t, abi.Header{"X-A": {"1", "2", "3"}, "Empty": {""}}, out.calls[0].header)

		for name, list := range map[string]string{
			"no end":        "a",
			"no value":      "a\x00",
			"no last NUL":   "a\x00b",
			"odd":           terminated("a", "b", "c"),
			"no name":       terminated("", "b"),
			"not a token":   terminated("a b", "c"),
			"line end":      terminated("a", "b\r\nc: d"),
			"of connection": terminated("Connection", "close"),
		} {
			require.Equal(t, int(abi.OutboundInvalid), g.addFields(h, list), name)
		}
		require.Equal(t, int(abi.OutboundTooLarge), result(g.bench.Call(g.in, "fetch_add_fields", uint64(h), 0, 1<<32-1)))
		require.Equal(t, int(abi.OutboundInvalid), g.addFields(h, terminated("last", "1", "a b", "2", "never", "3")))
		require.Equal(t, []string{"1"}, out.calls[0].header["Last"], "those before the bad one are added")
		require.NotContains(t, out.calls[0].header, "Never")
		out.calls[0].failed = &abi.OutboundError{Code: abi.OutboundTooLarge, Reason: "the header is larger than 1 byte"}
		require.Equal(t, int(abi.OutboundTooLarge), g.addFields(h, terminated("a", "1", "b", "2")))
	})
	require.Len(t, g.log, 1)
}

// TestListsThatAreRefusedHoldLittle adds one short field by each of many lists, and the host keeps the whole list for it.
func TestListsThatAreRefusedHoldLittle(t *testing.T) {
	for name, rest := range map[string]string{
		"malformed": "x",
		"invalid":   terminated("a b", "c"),
	} {
		g, out := newGuest(t, nil), &echo{}
		g.do(out, func() {
			h := g.open("GET", "http://x/")
			list := terminated("a", "b") + strings.Repeat("x", size/4) + rest
			for added := 0; ; added += len(list) {
				result := g.addFields(h, list)
				require.Len(t, out.calls[0].header["A"], min(added+len(list), maxTextBytes)/len(list))
				if added+len(list) > maxTextBytes {
					require.Equal(t, int(abi.OutboundTooLarge), result, name)
					break
				}
				require.Equal(t, int(abi.OutboundInvalid), result, name)
			}
			require.Equal(t, int(abi.OutboundTooLarge), g.addFields(h, terminated("a", "b")), "nor later")
			require.Zero(t, g.addFields(g.open("GET", "http://x/"), terminated("a", "b")), "another call has its own")
		})
	}
}

func TestBadPointersOfFieldsTrap(t *testing.T) {
	for name, params := range map[string][]uint64{
		"fetch_fields":     {1, kindHeader, size - 1, 100},
		"fetch_add_fields": {1, size - 1, 2},
	} {
		g, out := newGuest(t, nil), &echo{}
		outcome := g.run(out, func() {
			h := g.open("GET", "http://x/")
			if name == "fetch_fields" {
				g.send(h)
			}
			g.bench.Call(g.in, name, params...)
		})
		require.Equal(t, engine.Trap, outcome.Kind, name)
	}
}

// TestOldFunctionsStay calls what guests of earlier SDKs import.
func TestOldFunctionsStay(t *testing.T) {
	for name, params := range map[string]int{"fetch_header": 5, "fetch_header_names": 4, "fetch_header_values": 6} {
		funcs := HostModule().Funcs
		i := slices.IndexFunc(funcs, func(f engine.HostFunc) bool { return f.Name == name })
		require.GreaterOrEqual(t, i, 0, name)
		require.Len(t, funcs[i].Params, params, name)
	}
}
