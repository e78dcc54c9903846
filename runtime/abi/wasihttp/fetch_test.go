package wasihttp

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// request makes a request of the guest.
func (g *guest) request(method uint64, authority, path string, headers uint64) uint64 {
	g.t.Helper()
	r := g.types("[constructor]outgoing-request", headers)
	require.Zero(g.t, g.types("[method]outgoing-request.set-method", r, method, 0, 0))
	require.Zero(g.t, g.types("[method]outgoing-request.set-scheme", r, 1, schemeHTTP, 0, 0))
	at, length := g.text(authority)
	require.Zero(g.t, g.types("[method]outgoing-request.set-authority", r, 1, at, length))
	at, length = g.text(path)
	require.Zero(g.t, g.types("[method]outgoing-request.set-path-with-query", r, 1, at, length))
	return r
}

// send sends a request. It returns the future, or the name of the error-code.
func (g *guest) send(request uint64, options ...uint64) (future uint64, failed string) {
	withOptions, o := uint64(len(options)), uint64(0)
	if withOptions > 0 {
		o = options[0]
	}
	g.call("http/outgoing-handler#handle", request, withOptions, o, result)
	if g.u8(result) == 1 {
		return 0, httptypes.Code(g.u8(result + 8)).String()
	}
	return uint64(g.u32(result + 8)), ""
}

// await waits for a future, and returns the response or the name of the error-code.
func (g *guest) await(future uint64) (response uint64, failed string) {
	g.t.Helper()
	p := g.types("[method]future-incoming-response.subscribe", future)
	g.call("io/poll#[method]pollable.block", p)
	g.call("io/poll#[resource-drop]pollable", p)
	g.types("[method]future-incoming-response.get", future, result)
	require.Equal(g.t, []byte{1, 0}, []byte{g.u8(result), g.u8(result + 8)}, "it is ready")
	if g.u8(result+16) == 1 {
		return 0, httptypes.Code(g.u8(result + 24)).String()
	}
	return uint64(g.u32(result + 24)), ""
}

func TestFetch(t *testing.T) {
	g := newGuest(t, nil)
	x := exchange("")
	to := x.Outbound.(*server)
	body := g.ok(x, func(g *guest, _, out uint64) {
		r := g.request(0, "example.com:81", "/path?q", g.fields("x-a", "1", "X-A", "2"))
		future, failed := g.send(r)
		require.Empty(t, failed)
		response, failed := g.await(future)
		require.Empty(t, failed)
		g.types("[method]future-incoming-response.get", future, result)
		require.Equal(t, []byte{1, 1}, []byte{g.u8(result), g.u8(result + 8)}, "once")
		require.EqualValues(t, 203, g.types("[method]incoming-response.status", response))
		headers := g.types("[method]incoming-response.headers", response)
		require.Equal(t, []string{"x-line=GET http://example.com:81/path?q"}, g.entries(headers))
		g.types("[method]incoming-response.consume", response, result)
		incoming := g.own()
		g.types("[method]incoming-response.consume", response, result)
		require.EqualValues(t, 1, g.u8(result), "once")
		g.types("[resource-drop]fields", headers)
		g.types("[resource-drop]incoming-response", response)
		g.types("[resource-drop]future-incoming-response", future)
		require.Zero(t, to.calls[0].closed)
		g.types("[method]incoming-body.stream", incoming, result)
		stream := g.own()
		text := g.readAll(stream)
		g.streams("[resource-drop]input-stream", stream)
		trailers := g.types("[static]incoming-body.finish", incoming)
		g.types("[method]future-trailers.get", trailers, result)
		require.Equal(t, []string{"x-end=end"}, g.entries(uint64(g.u32(result+28))))
		g.types("[resource-drop]future-trailers", trailers)
		require.Equal(t, 1, to.calls[0].closed, "the guest holds nothing of the call")
		g.hello(out, text)
	})
	require.Equal(t, "the answer", body)
	require.Equal(t, abi.Header{"X-A": {"1", "2"}}, to.calls[0].header)
}

// requestWithBody returns a POST to h, its body, and the stream of that.
func (g *guest) requestWithBody() (r, body, stream uint64) {
	r = g.request(2, "h", "/", g.fields())
	g.types("[method]outgoing-request.body", r, result)
	body = g.own()
	g.types("[method]outgoing-body.write", body, result)
	return r, body, g.own()
}

// TestFetchWithABody sends bodies before and after the request is sent.
func TestFetchWithABody(t *testing.T) {
	for _, early := range []bool{true, false} {
		g := newGuest(t, nil)
		x := exchange("")
		to := x.Outbound.(*server)
		g.ok(x, func(g *guest, _, out uint64) {
			r, body, stream := g.requestWithBody()
			var future uint64
			if early {
				require.Empty(t, g.write(stream, "sent body"))
				require.Empty(t, g.finish(body, stream))
				future, _ = g.send(r)
			} else {
				future, _ = g.send(r)
				g.types("[method]future-incoming-response.get", future, result)
				require.Zero(t, g.u8(result), "not ready")
				require.Empty(t, g.write(stream, "sent "))
				require.Empty(t, g.write(stream, "body"))
				require.Empty(t, g.finish(body, stream))
			}
			_, failed := g.await(future)
			require.Empty(t, failed)
			g.hello(out, "")
		})
		require.Equal(t, "sent body", to.calls[0].body.String())
		require.Equal(t, early, to.calls[0].header["Content-Length"] != nil)
		require.Equal(t, 1, to.calls[0].closed, "at the end of the request")
	}
}

// TestFetchWithTrailers ends requests with trailers, before and after they are sent.
func TestFetchWithTrailers(t *testing.T) {
	for _, early := range []bool{true, false} {
		g := newGuest(t, nil)
		x := exchange("")
		to := x.Outbound.(*server)
		g.ok(x, func(g *guest, _, out uint64) {
			r, body, stream := g.requestWithBody()
			require.Empty(t, g.write(stream, "sent"))
			g.streams("[resource-drop]output-stream", stream)
			var future uint64
			if !early {
				future, _ = g.send(r)
			}
			trailers := g.fields("x-sum", "1", "content-length", "7", "X-Sum", "2", "authorization", "none")
			g.types("[static]outgoing-body.finish", body, 1, trailers, result)
			require.Zero(t, g.u8(result))
			if early {
				future, _ = g.send(r)
			}
			_, failed := g.await(future)
			require.Empty(t, failed)
			g.hello(out, "")
		})
		require.Equal(t, "sent", to.calls[0].body.String())
		require.Equal(t, abi.Header{"X-Sum": {"1", "2"}}, to.calls[0].trailer, "what cannot be a trailer is left out")
		require.Nil(t, to.calls[0].header["Content-Length"])
		require.Contains(t, strings.Join(g.log, "\n"), "Authorization is refused")
	}
}

// TestTrailersOfAnUnreadBody gets trailers without reading the body before.
func TestTrailersOfAnUnreadBody(t *testing.T) {
	g := newGuest(t, nil)
	x := exchange("")
	x.Outbound = &server{answer: strings.Repeat("x", 3*drainBytes)}
	g.ok(x, func(g *guest, _, out uint64) {
		future, _ := g.send(g.request(0, "h", "/", g.fields()))
		response, failed := g.await(future)
		require.Empty(t, failed)
		g.types("[method]incoming-response.consume", response, result)
		trailers := g.types("[static]incoming-body.finish", g.own())
		g.types("[method]future-trailers.subscribe", trailers)
		g.types("[method]future-trailers.get", trailers, result)
		require.Equal(t, []byte{1, 0, 0, 1}, []byte{g.u8(result), g.u8(result + 8), g.u8(result + 16), g.u8(result + 24)})
		require.Equal(t, []string{"x-end=end"}, g.entries(uint64(g.u32(result+28))))
		g.types("[method]future-trailers.get", trailers, result)
		require.Equal(t, []byte{1, 1}, []byte{g.u8(result), g.u8(result + 8)}, "once")
		g.hello(out, "")
	})
}

func TestFailedFetches(t *testing.T) {
	refused := func(code abi.OutboundCode) *server {
		return &server{refuse: &abi.OutboundError{Code: code, Reason: "the reason"}}
	}
	for name, c := range map[string]struct {
		to   abi.Outbound
		want string
	}{
		"no outbound requests":  {nil, "HTTP-request-denied"},
		"not allowed":           {refused(abi.OutboundForbidden), "HTTP-request-denied"},
		"malformed":             {refused(abi.OutboundInvalid), "HTTP-request-URI-invalid"},
		"too many":              {refused(abi.OutboundTooMany), "connection-limit-reached"},
		"unreachable":           {refused(abi.OutboundUnreachable), "destination-unavailable"},
		"too deep":              {refused(abi.OutboundTooDeep), "loop-detected"},
		"of the host":           {refused(abi.OutboundUnavailable), "internal-error"},
		"an error of no type":   {&server{refuse: errors.New("x")}, "connection-terminated"},
		"no answer in time":     {&server{never: true}, "connection-read-timeout"},
		"the body is abandoned": {&server{}, "connection-terminated"},
		"the body is too short": {&server{}, "HTTP-request-body-size"},
		"large trailers":        {&server{small: true}, "HTTP-request-trailer-section-size"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, nil)
			x := exchange("")
			x.Outbound = c.to
			g.ok(x, func(g *guest, _, out uint64) {
				headers := g.fields()
				if name == "the body is too short" {
					headers = g.fields("content-length", "3")
				}
				r := g.request(2, "h", "/", headers)
				var body uint64
				if to, ok := c.to.(*server); ok && to.refuse == nil && !to.never {
					g.types("[method]outgoing-request.body", r, result)
					body = g.own()
				}
				o := g.types("[constructor]request-options")
				require.Zero(t, g.types("[method]request-options.set-first-byte-timeout", o, 1, uint64(time.Millisecond)))
				if body != 0 {
					g.types("[method]request-options.set-first-byte-timeout", o, 0, 0)
				}
				future, failed := g.send(r, o)
				switch {
				case name == "the body is abandoned":
					g.types("[resource-drop]outgoing-body", body)
				case name == "large trailers":
					g.types("[static]outgoing-body.finish", body, 1, g.fields("x-end", "1"), result)
					require.Equal(t, c.want, httptypes.Code(g.u8(result+8)).String())
				case body != 0:
					g.types("[method]outgoing-body.write", body, result)
					require.Equal(t, c.want, g.finish(body, g.own()))
				}
				if failed == "" {
					_, failed = g.await(future)
				}
				require.Equal(t, c.want, failed)
				g.hello(out, "")
			})
		})
	}
}

func TestPartsOfARequest(t *testing.T) {
	g := newGuest(t, nil)
	g.ok(exchange(""), func(g *guest, _, out uint64) {
		r := g.types("[constructor]outgoing-request", g.fields())
		setText := func(function string, text string) uint64 {
			at, length := g.text(text)
			return g.types("[method]outgoing-request."+function, r, 1, at, length)
		}
		for _, bad := range []string{"a b", "/a#b", "/\n", "http://x/"} {
			require.EqualValues(t, 1, setText("set-path-with-query", bad), bad)
		}
		for _, bad := range []string{"", "a/b", "u@h", "a b", "h\r\n"} {
			require.EqualValues(t, 1, setText("set-authority", bad), bad)
		}
		at, length := g.text("a b")
		require.EqualValues(t, 1, g.types("[method]outgoing-request.set-method", r, 9, at, length))
		require.EqualValues(t, 1, g.types("[method]outgoing-request.set-scheme", r, 1, schemeOther, at, length))
		at, length = g.text("PURGE")
		require.Zero(t, g.types("[method]outgoing-request.set-method", r, 9, at, length))
		g.types("[method]outgoing-request.method", r, result)
		require.Equal(t, "PURGE", g.string(result+4))
		g.types("[method]outgoing-request.scheme", r, result)
		require.Zero(t, g.u8(result))

		o := g.types("[constructor]request-options")
		g.types("[method]request-options.set-between-bytes-timeout", o, 1, 7)
		g.types("[method]request-options.between-bytes-timeout", o, result)
		require.Equal(t, []byte{1, 7}, []byte{g.u8(result), g.u8(result + 8)})
		g.types("[method]request-options.connect-timeout", o, result)
		require.Zero(t, g.u8(result))

		f := g.fields()
		for name, want := range map[string]byte{"": invalidSyntax, "a b": invalidSyntax, "Host": isForbidden, "connection": isForbidden, "ok": accepted} {
			require.Equal(t, want, g.append(f, name, "v"), name)
		}
		require.Equal(t, byte(invalidSyntax), g.append(f, "ok", "a\nb"))
		g.hello(out, "")
	})
	require.Equal(t, engine.OK, g.serve(exchange(""), func(g *guest, _, out uint64) { g.hello(out, "") }).Kind)
}
