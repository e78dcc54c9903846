package wasihttp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/engine"
)

func TestRequest(t *testing.T) {
	g := newGuest(t, nil)
	g.ok(exchange("body"), func(g *guest, request, out uint64) {
		g.types("[method]incoming-request.method", request, result)
		require.EqualValues(t, 2, g.u8(result), "POST")
		g.types("[method]incoming-request.path-with-query", request, result)
		require.Equal(t, "/a/b?c", g.option())
		g.types("[method]incoming-request.authority", request, result)
		require.Equal(t, "example.com", g.option())
		g.types("[method]incoming-request.scheme", request, result)
		require.Equal(t, []byte{1, schemeHTTP}, []byte{g.u8(result), g.u8(result + 4)})

		headers := g.types("[method]incoming-request.headers", request)
		require.Equal(t, []string{"accept=a", "accept=b", "x-name=\xff"}, g.entries(headers), "without fields of the connection")
		require.Equal(t, []string{"a", "b"}, g.get(headers, "ACCEPT"))
		require.Empty(t, g.get(headers, "none"))
		require.Equal(t, byte(immutable), g.append(headers, "a", "b"))
		clone := g.types("[method]fields.clone", headers)
		require.Equal(t, accepted, g.append(clone, "a", "b"), "a copy can be changed")
		require.Len(t, g.entries(headers), 3)

		g.types("[method]incoming-request.consume", request, result)
		body := g.own()
		g.types("[method]incoming-request.consume", request, result)
		require.EqualValues(t, 1, g.u8(result), "once")
		g.types("[method]incoming-body.stream", body, result)
		stream := g.own()
		g.types("[method]incoming-body.stream", body, result)
		require.EqualValues(t, 1, g.u8(result), "once")
		require.Equal(t, "body", g.readAll(stream))
		g.streams("[resource-drop]input-stream", stream)
		trailers := g.types("[static]incoming-body.finish", body)
		g.types("[method]future-trailers.get", trailers, result)
		require.Equal(t, []byte{1, 0, 0, 1}, []byte{g.u8(result), g.u8(result + 8), g.u8(result + 16), g.u8(result + 24)})
		require.Equal(t, []string{"x-trailer=t"}, g.entries(uint64(g.u32(result+28))))
		g.types("[method]future-trailers.get", trailers, result)
		require.Equal(t, []byte{1, 1}, []byte{g.u8(result), g.u8(result + 8)}, "once")
		g.hello(out, "done")
	})
	require.Equal(t, "done", g.response.Body.String())
	other := exchange("")
	other.Method, other.Scheme = "BREW", "coap"
	g.ok(other, func(g *guest, request, out uint64) {
		g.types("[method]incoming-request.method", request, result)
		require.EqualValues(t, 9, g.u8(result))
		require.Equal(t, "BREW", g.string(result+4))
		g.types("[method]incoming-request.scheme", request, result)
		require.Equal(t, "coap", g.string(result+8))
		g.hello(out, "")
	})
}

func TestResponse(t *testing.T) {
	g := newGuest(t, nil)
	g.ok(exchange(""), func(g *guest, _, out uint64) {
		body, stream := g.answer(out, 201, g.fields("content-type", "text/plain", "X-A", "1", "x-a", "2", "Content-Length", "10"))
		require.Empty(t, g.write(stream, "hello "))
		require.Empty(t, g.response.Body.String(), "it is held until the guest pauses")
		g.in.Pause()
		g.in.Resume()
		require.Equal(t, "hello ", g.response.Body.String())
		require.Empty(t, g.write(stream, "more"))
		g.streams("[resource-drop]output-stream", stream)
		g.types("[static]outgoing-body.finish", body, 1, g.fields("x-end", "1", "Content-Length", "7"), result)
		require.Zero(t, g.u8(result))
	})
	require.Equal(t, 201, g.response.Status)
	require.Equal(t, abi.Header{"Content-Type": {"text/plain"}, "X-A": {"1", "2"}, "Content-Length": {"10"}}, g.response.Sent)
	require.Equal(t, "hello more", g.response.Body.String())
	require.Equal(t, abi.Header{"X-End": {"1"}}, g.response.Trailer)

	g.ok(exchange(""), func(g *guest, _, out uint64) { // no body
		r := g.types("[constructor]outgoing-response", g.fields())
		require.EqualValues(t, 1, g.types("[method]outgoing-response.set-status-code", r, 99))
		require.EqualValues(t, 1, g.types("[method]outgoing-response.set-status-code", r, 100))
		require.Zero(t, g.types("[method]outgoing-response.set-status-code", r, 404|1<<16))
		require.EqualValues(t, 404, g.types("[method]outgoing-response.status-code", r))
		g.set(out, 0, r)
	})
	require.Equal(t, 404, g.response.Status)

	g.ok(exchange(""), func(g *guest, _, out uint64) { // the body is complete before the response is set
		r := g.types("[constructor]outgoing-response", g.fields())
		g.types("[method]outgoing-response.body", r, result)
		body := g.own()
		g.types("[method]outgoing-response.body", r, result)
		require.EqualValues(t, 1, g.u8(result), "once")
		g.types("[method]outgoing-body.write", body, result)
		stream := g.own()
		g.types("[method]outgoing-body.write", body, result)
		require.EqualValues(t, 1, g.u8(result), "once")
		require.Empty(t, g.write(stream, "early"))
		g.streams("[method]output-stream.check-write", stream, result)
		require.Zero(t, g.u32(result+8), "the host keeps one write until the response is set")
		require.Empty(t, g.finish(body, stream))
		g.set(out, 0, r)
	})
	require.Equal(t, "early", g.response.Body.String())
	g.ok(exchange(""), func(g *guest, _, out uint64) {
		g.types("[method]response-outparam.send-informational", out, 103, g.fields("link", "</a>"), result)
		require.Zero(t, g.u8(result))
		g.types("[method]response-outparam.send-informational", out, 101, g.fields(), result)
		require.EqualValues(t, 1, g.u8(result))
		g.hello(out, "after")
	})
	require.Equal(t, []int{103}, g.response.Informational)
	require.Empty(t, g.response.Sent["Link"])
}

// TestFaults runs guests that break the rules of the interface.
func TestFaults(t *testing.T) {
	stopped := func(g *guest) { panic(engine.Fault{Reason: "stopped"}) }
	for name, c := range map[string]struct {
		kind engine.Kind
		log  string // part of the error
		code func(g *guest, request, out uint64)
	}{
		"no response":           {engine.BadAnswer, "without a response", func(*guest, uint64, uint64) {}},
		"drops the outparam":    {engine.BadAnswer, "without a response", func(g *guest, _, out uint64) { g.types("[resource-drop]response-outparam", out) }},
		"answers with an error": {engine.BadAnswer, "the error DNS-error", func(g *guest, _, out uint64) { g.set(out, 1, uint64(httptypes.DNSError)) }},
		"an unknown error":      {engine.Trap, "", func(g *guest, _, out uint64) { g.set(out, 1, 39) }},
		"answers twice": {engine.Trap, "no handle", func(g *guest, _, out uint64) {
			g.hello(out, "a")
			g.hello(out, "b")
		}},
		"does not finish": {engine.BadAnswer, "before it had finished", func(g *guest, _, out uint64) {
			_, stream := g.answer(out, 200, g.fields())
			g.write(stream, "a")
		}},
		"drops its body": {engine.BadAnswer, "dropped the body", func(g *guest, _, out uint64) {
			body, stream := g.answer(out, 200, g.fields())
			g.streams("[resource-drop]output-stream", stream)
			g.types("[resource-drop]outgoing-body", body)
		}},
		"finishes with the stream": {engine.Trap, "depend on it", func(g *guest, _, out uint64) {
			body, _ := g.answer(out, 200, g.fields())
			g.types("[static]outgoing-body.finish", body, 0, 0, result)
		}},
		"too short": {engine.BadAnswer, "the body has 1 bytes, its Content-Length is 2", func(g *guest, _, out uint64) {
			body, stream := g.answer(out, 200, g.fields("content-length", "2"))
			g.write(stream, "a")
			require.Equal(t, "HTTP-response-body-size", g.finish(body, stream))
		}},
		"too long": {engine.BadAnswer, "", func(g *guest, _, out uint64) {
			body, stream := g.answer(out, 200, g.fields("content-length", "2"))
			require.Contains(t, g.write(stream, "abc"), "longer than its content-length")
			require.Equal(t, "HTTP-response-body-size", g.finish(body, stream))
		}},
		"no length":         {engine.BadAnswer, "must be one number", func(g *guest, _, out uint64) { g.finish(g.answer(out, 200, g.fields("content-length", "many"))) }},
		"traps after a set": {engine.Trap, "stopped", func(g *guest, _, out uint64) { g.hello(out, "a"); stopped(g) }},
		"leaks handles": {engine.OK, "", func(g *guest, request, out uint64) {
			g.types("[method]incoming-request.headers", request)
			g.fields("a", "b")
			g.call("clocks/monotonic-clock#subscribe-duration", 1)
			g.hello(out, "a")
		}},
		"too many handles": {engine.Trap, "more than", func(g *guest, _, _ uint64) {
			for {
				g.types("[constructor]fields")
			}
		}},
		"too many fields": {engine.Trap, "header fields", func(g *guest, _, _ uint64) {
			for f := g.fields(); ; g.used = scratch {
				g.append(f, "name", strings.Repeat("x", 1000))
			}
		}},
		"too many copies": {engine.Trap, "header fields", func(g *guest, _, _ uint64) {
			for f := g.fields("name", strings.Repeat("x", 10_000)); ; {
				g.types("[method]fields.clone", f)
			}
		}},
		"drops a parent": {engine.Trap, "depend on it", func(g *guest, request, _ uint64) {
			g.types("[method]incoming-request.headers", request)
			g.types("[resource-drop]incoming-request", request)
		}},
		"drops what it does not own": {engine.Trap, "no handle", func(g *guest, _, _ uint64) { g.types("[resource-drop]fields", 77) }},
		"drops another type":         {engine.Trap, "type", func(g *guest, request, _ uint64) { g.types("[resource-drop]fields", request) }},
		"uses what it dropped": {engine.Trap, "no handle", func(g *guest, request, _ uint64) {
			g.types("[resource-drop]incoming-request", request)
			g.types("[method]incoming-request.headers", request)
		}},
		"polls nothing": {engine.Trap, "no pollables", func(g *guest, _, _ uint64) { g.call("io/poll#poll", scratch, 0, result) }},
		"writes without permission": {engine.Trap, "has permitted 0", func(g *guest, _, out uint64) {
			_, stream := g.answer(out, 200, g.fields())
			g.streams("[method]output-stream.write", stream, scratch, 1, result)
		}},
		"exits after the answer":  {engine.OK, "", func(g *guest, _, out uint64) { g.hello(out, "a"); g.call("cli/exit#exit", 0) }},
		"exits before the answer": {engine.Exit, "", func(g *guest, _, _ uint64) { g.call("cli/exit#exit", 0) }},
		"fails after the answer":  {engine.Exit, "", func(g *guest, _, out uint64) { g.hello(out, "a"); g.call("cli/exit#exit-with-code", 3) }},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, nil)
			out := g.serve(exchange("body"), c.code)
			require.Equal(t, c.kind, out.Kind, "%v", out.Err)
			if c.log != "" {
				require.ErrorContains(t, out.Err, c.log)
			}
			if out.Kind != engine.OK {
				require.Zero(t, g.response.Status, "the host can still send an error")
			}
			if out.Clean() {
				require.Equal(t, "next", g.ok(exchange(""), func(g *guest, _, out uint64) { g.hello(out, "next") }), "the next request")
			}
		})
	}
}

func TestWaitsForNothing(t *testing.T) {
	g := newGuest(t, nil)
	x := exchange("")
	x.Deadline = time.Now().Add(20 * time.Millisecond)
	out := g.serve(x, func(g *guest, _, _ uint64) {
		r := g.types("[constructor]outgoing-response", g.fields())
		g.types("[method]outgoing-response.body", r, result)
		g.types("[method]outgoing-body.write", g.own(), result)
		stream := g.own()
		for {
			g.write(stream, "never taken")
		}
	})
	require.Equal(t, engine.Deadline, out.Kind)
}

func TestHandlesOfTheInitialisation(t *testing.T) {
	var stdout, list, never uint64
	g := newGuest(t, func(g *guest) {
		list = g.fields("x-init", "1")
		stdout = g.call("cli/stdout#get-stdout")
		never = g.types("[constructor]outgoing-response", g.fields())
		require.Empty(t, g.write(stdout, "while it initialises\n"))
	})
	another, err := g.bench.Another()
	require.NoError(t, err)
	for _, in := range []*engine.Instance{g.in, another, g.in} {
		g.in = in
		g.log = nil
		g.ok(exchange(""), func(g *guest, _, out uint64) {
			require.Empty(t, g.write(stdout, "in a request\n"))
			require.Equal(t, []string{"x-init=1"}, g.entries(list))
			g.append(list, "x-more", "2")
			g.hello(out, "")
		})
		require.Equal(t, []string{"in a request"}, g.log)
	}
	out := g.serve(exchange(""), func(g *guest, _, out uint64) { g.set(out, 0, never) })
	require.Equal(t, engine.Trap, out.Kind, "a response of the initialisation is gone")
}

// The initialisation may use all that the bounds allow. Requests start with copies of it.
func TestInitialisationAtTheBounds(t *testing.T) {
	for name, c := range map[string]struct {
		init func(g *guest)
		want engine.Kind
	}{
		"fields": {func(g *guest) {
			value := strings.Repeat("x", 60<<10)
			for range 16 {
				g.used = scratch
				g.fields("x-init", value)
			}
		}, engine.OK},
		"views": {func(g *guest) {
			f := g.fields("x-init", strings.Repeat("x", 60<<10))
			response := g.types("[constructor]outgoing-response", f)
			for range 100 {
				g.types("[method]outgoing-response.headers", response)
			}
		}, engine.OK},
		"handles": {func(g *guest) {
			for range canonical.MaxHandles {
				g.types("[constructor]fields")
			}
		}, engine.Trap},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, c.init)
			out := g.serve(exchange(""), func(g *guest, _, out uint64) {
				g.fields("x-name", "value")
				g.hello(out, "")
			})
			require.Equal(t, c.want, out.Kind, "%v", out.Err)
		})
	}
}
