package httpwasm

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

func TestGetters(t *testing.T) {
	g := newGuest(t, nil)
	for name, want := range map[string]string{"get_method": "GET", "get_uri": "/a/b?c=d", "get_protocol_version": "HTTP/1.1",
		"get_source_addr": "192.0.2.1:1234", "get_config": `{"name":"value"}`} {
		t.Run(name, func(t *testing.T) {
			n := uint64(len(want))
			for _, limit := range []uint64{0, 1, n - 1, n, n + 1, 1<<32 - 1} {
				g.handle(func() {
					memory := g.in.Memory()[valueAt : valueAt+n+1]
					copy(memory, bytes.Repeat([]byte{'?'}, len(memory)))
					require.Equal(t, n, g.bench.Call(g.in, name, valueAt, limit), "the length, whether it fits or not")
					if limit < n {
						require.Equal(t, bytes.Repeat([]byte{'?'}, len(memory)), memory, "nothing is written if not all fits")
					} else {
						require.Equal(t, want+"?", string(memory))
					}
				})
			}
			g.handle(func() {
				require.Equal(t, n, g.bench.Call(g.in, name, 1<<32-1, 0), "without a limit the address does not matter")
			})
			out := g.try(newExchange(), code{request: func() int64 { g.bench.Call(g.in, name, size-1, n); return 0 }})
			require.Equal(t, engine.Trap, out.Kind)
		})
	}
}

func TestHeadersOfTheRequest(t *testing.T) {
	g := newGuest(t, nil)
	x := newExchange()
	x.Header = abi.Header{"Accept": {"a", "b"}, "X-Empty": {""}, "Etag": {"1"}, "X_y": {"z"}}
	g.serve(x, code{request: func() int64 {
		require.Equal(t, []string{"accept", "etag", "host", "x-empty", "x_y"}, g.names(headerRequest))
		for _, name := range []string{"accept", "Accept", "ACCEPT"} {
			require.Equal(t, []string{"a", "b"}, g.values(headerRequest, name))
		}
		require.Equal(t, []string{""}, g.values(headerRequest, "x-empty"))
		require.Equal(t, []string{"1"}, g.values(headerRequest, "ETag"))
		require.Equal(t, []string{"z"}, g.values(headerRequest, "x_Y"))
		require.Equal(t, []string{"example.com:8080"}, g.values(headerRequest, "host"))
		for _, name := range []string{"none", "", "not a name", "accept\x00", strings.Repeat("n", 1000)} {
			require.Empty(t, g.values(headerRequest, name))
		}
		return 0
	}})
	x = newExchange()
	x.Host = ""
	g.serve(x, code{request: func() int64 {
		require.Empty(t, g.names(headerRequest))
		require.Empty(t, g.values(headerRequest, "host"))
		return 0
	}})
}

func TestListsAreWrittenWholeOrNotAtAll(t *testing.T) {
	g := newGuest(t, nil)
	for limit := range uint64(12) {
		x := newExchange()
		x.Header = abi.Header{"X": {"12345", "", "67"}} // 10 bytes with their NULs
		g.serve(x, code{request: func() int64 {
			at, n := g.put(nameAt, "x")
			clear(g.in.Memory()[valueAt : valueAt+20])
			require.EqualValues(t, 3<<32|10, g.bench.Call(g.in, "get_header_values", headerRequest, at, n, valueAt, limit))
			if limit < 10 {
				require.Equal(t, make([]byte, 20), g.in.Memory()[valueAt:valueAt+20])
			} else {
				require.Equal(t, "12345\x00\x0067\x00", string(g.in.Memory()[valueAt:valueAt+10]))
			}
			return 0
		}})
	}
}

func TestChangesOfHeaders(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   uint64
		change func(g *guest, kind uint64)
		want   []string // of "X-A"
	}{
		{"set", headerResponse, func(g *guest, kind uint64) { g.set(kind, "x-a", "1") }, []string{"1"}},
		{"set again", headerResponse, func(g *guest, kind uint64) { g.set(kind, "x-a", "1"); g.set(kind, "X-A", "2") }, []string{"2"}},
		{"set empty", headerResponse, func(g *guest, kind uint64) { g.set(kind, "x-a", "") }, []string{""}},
		{"add", headerResponse, func(g *guest, kind uint64) { g.add(kind, "x-a", "1"); g.add(kind, "X-A", "2") }, []string{"1", "2"}},
		{"add to what is set", headerResponse, func(g *guest, kind uint64) { g.set(kind, "x-a", "1"); g.add(kind, "x-A", "") }, []string{"1", ""}},
		{"set what is added", headerResponse, func(g *guest, kind uint64) { g.add(kind, "x-a", "1"); g.set(kind, "x-a", "2") }, []string{"2"}},
		{"remove", headerResponse, func(g *guest, kind uint64) { g.set(kind, "x-a", "1"); g.remove(kind, "X-A") }, nil},
		{"remove what is not there", headerResponse, func(g *guest, kind uint64) { g.remove(kind, "x-a"); g.remove(kind, "not a name") }, nil},
	} {
		for kind, kindName := range []string{"request", "response", "request trailers", "response trailers"} {
			t.Run(c.name+" "+kindName, func(t *testing.T) {
				g := newGuest(t, nil)
				x := newExchange()
				var got []string
				r := g.serve(x, code{request: func() int64 {
					g.enable(featureTrailers)
					c.change(g, uint64(kind))
					got = g.values(uint64(kind), "x-a")
					if len(c.want) > 0 {
						require.Contains(t, g.names(uint64(kind)), "x-a")
					} else {
						require.NotContains(t, g.names(uint64(kind)), "x-a")
					}
					return 0
				}})
				require.Equal(t, c.want, got)
				switch kind {
				case headerRequest:
					require.Equal(t, c.want, x.Header["X-A"])
				case headerResponse:
					require.Equal(t, c.want, r.Sent["X-A"])
				case headerRequestTrailers:
					require.Equal(t, c.want, x.Trailer()["X-A"])
				case headerResponseTrailers:
					require.Equal(t, c.want, r.Trailer["X-A"])
				}
			})
		}
	}
}

func TestHostIsAHeaderOfTheRequest(t *testing.T) {
	g := newGuest(t, nil)
	x := newExchange()
	g.serve(x, code{request: func() int64 {
		g.set(headerRequest, "Host", "other")
		require.Equal(t, []string{"other"}, g.values(headerRequest, "host"))
		g.remove(headerRequest, "host")
		require.Empty(t, g.values(headerRequest, "host"))
		g.add(headerRequest, "host", "third")
		return 0
	}})
	require.Equal(t, "third", x.Host)
	require.Empty(t, x.Header)
	r := g.handle(func() { g.set(headerResponse, "host", "a field like another") })
	require.Equal(t, []string{"a field like another"}, r.Sent["Host"])
}

func TestFieldsThatAreNotTheGuests(t *testing.T) {
	g := newGuest(t, nil)
	x := newExchange()
	x.Header = abi.Header{"Content-Length": {"3"}}
	r := g.serve(x, code{request: func() int64 {
		g.enable(featureTrailers)
		for _, name := range []string{"connection", "transfer-encoding", "TE", "upgrade", "trailer", "keep-alive", "proxy-connection"} {
			for kind := range uint64(4) {
				g.set(kind, name, "x")
				g.add(kind, name, "y")
			}
		}
		g.set(headerRequest, "content-length", "4")
		g.set(headerResponse, "content-length", "0")
		for _, name := range []string{"content-length", "content-type", "set-cookie", "host", "authorization", "if-match"} {
			g.set(headerResponseTrailers, name, "x")
		}
		return 0
	}})
	require.Equal(t, abi.Header{"Content-Length": {"3"}}, x.Header)
	require.Equal(t, abi.Header{"Content-Length": {"0"}}, r.Sent)
	require.Empty(t, r.Trailer)
}

func TestAnswersThatCannotBeSent(t *testing.T) {
	long := strings.Repeat("x", abi.MaxHeaderBytes/2)
	for name, act := range map[string]func(g *guest){
		"empty name":         func(g *guest) { g.set(headerResponse, "", "x") },
		"name with a space":  func(g *guest) { g.set(headerResponse, "x y", "z") },
		"name with a colon":  func(g *guest) { g.add(headerResponse, "x:", "z") },
		"value with newline": func(g *guest) { g.set(headerResponse, "x", "a\r\nSet-Cookie: b") },
		"value with NUL":     func(g *guest) { g.add(headerRequest, "x", "a\x00b") },
		"trailer":            func(g *guest) { g.enable(featureTrailers); g.set(headerResponseTrailers, "x", "a\nb") },
		"too many fields": func(g *guest) {
			for range abi.MaxHeaderBytes {
				g.add(headerResponse, "x", "")
			}
		},
		"too long": func(g *guest) {
			for range 3 {
				g.field("set_header_value", headerResponse, "x", long[:size-valueAt])
			}
			g.set(headerResponse, "y", long[:size-valueAt])
		},
		"name longer than memory": func(g *guest) { g.bench.Call(g.in, "set_header_value", headerResponse, 0, 1<<32-1, 0, 0) },
		"no method":               func(g *guest) { g.setText("set_method", "") },
		"method with a space":     func(g *guest) { g.setText("set_method", "GET /") },
		"URI without slash":       func(g *guest) { g.setText("set_uri", "a") },
		"absolute URI":            func(g *guest) { g.setText("set_uri", "http://example.com/") },
		"URI with a space":        func(g *guest) { g.setText("set_uri", "/a b") },
		"URI with newline":        func(g *guest) { g.setText("set_uri", "/a\r\nX: y") },
		"URI that is not encoded": func(g *guest) { g.setText("set_uri", "/ä") },
		"URI with a fragment":     func(g *guest) { g.setText("set_uri", "/a#b") },
		"status 0":                func(g *guest) { g.setStatus(0) },
		"status 101":              func(g *guest) { g.setStatus(101) },
		"status 600":              func(g *guest) { g.setStatus(600) },
		"status of the sign":      func(g *guest) { g.setStatus(1<<32 - 200) },
		"body over its length": func(g *guest) {
			g.response.Failure = engine.Unusable{Reason: "longer than its length"}
			g.write(bodyResponse, "x")
		},
		"request body too large": func(g *guest) { g.write(bodyRequest, strings.Repeat("x", 10_001)) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, nil)
			out := g.try(newExchange(), code{request: func() int64 { act(g); return 0 }})
			require.Equal(t, engine.BadAnswer, out.Kind, "%v", out.Err)
			require.Empty(t, g.response.Body.String())
		})
	}
}

func TestWhatTraps(t *testing.T) {
	for name, act := range map[string]func(g *guest){
		"names of no kind":                 func(g *guest) { g.names(4) },
		"values of no kind":                func(g *guest) { g.values(1<<32-1, "x") },
		"set of no kind":                   func(g *guest) { g.set(4, "x", "y") },
		"add of no kind":                   func(g *guest) { g.add(4, "x", "y") },
		"remove of no kind":                func(g *guest) { g.remove(4, "x") },
		"read of no kind":                  func(g *guest) { g.read(2, 1) },
		"write of no kind":                 func(g *guest) { g.write(2, "x") },
		"read without a buffer":            func(g *guest) { g.read(bodyRequest, 0) },
		"read of the response":             func(g *guest) { g.read(bodyResponse, 1) },
		"trailers not enabled: set":        func(g *guest) { g.set(headerResponseTrailers, "x", "y") },
		"trailers not enabled: add":        func(g *guest) { g.add(headerRequestTrailers, "x", "y") },
		"trailers not enabled: remove":     func(g *guest) { g.remove(headerResponseTrailers, "x") },
		"a buffer outside of memory":       func(g *guest) { g.bench.Call(g.in, "read_body", bodyRequest, size-1, 2) },
		"a body outside of memory":         func(g *guest) { g.bench.Call(g.in, "write_body", bodyResponse, size, 1) },
		"a name outside of memory":         func(g *guest) { g.bench.Call(g.in, "set_header_value", headerResponse, size, 1, 0, 0) },
		"a value outside of memory":        func(g *guest) { g.bench.Call(g.in, "add_header_value", headerResponse, nameAt, 0, size-1, 2) },
		"a message outside of memory":      func(g *guest) { g.bench.Call(g.in, "log", 0, size-1, 2) },
		"a method outside of memory":       func(g *guest) { g.bench.Call(g.in, "set_method", 1<<32-1, 1) },
		"a list that ends outside of it":   func(g *guest) { g.bench.Call(g.in, "get_header_names", headerRequest, size-4, 5) },
		"a name to be removed, outside":    func(g *guest) { g.bench.Call(g.in, "remove_header", headerRequest, 1<<31, 1) },
		"a name to be looked for, outside": func(g *guest) { g.bench.Call(g.in, "get_header_values", headerRequest, size, 1, 0, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, nil)
			g.put(nameAt, "x")
			out := g.try(newExchange(), code{request: func() int64 { act(g); return 0 }})
			if name != "a value outside of memory" {
				require.Equal(t, engine.Trap, out.Kind, "%v", out.Err)
			} else { // the name is validated first
				require.Equal(t, engine.BadAnswer, out.Kind, "%v", out.Err)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	g := newGuest(t, nil)
	for _, code := range []uint64{200, 201, 204, 304, 404, 500, 599} {
		r := g.handle(func() {
			require.EqualValues(t, 200, g.status(), "the default")
			g.setStatus(299)
			g.setStatus(code)
			require.Equal(t, code, g.status())
		})
		require.EqualValues(t, code, r.Status)
	}
	require.Equal(t, 200, g.handle(func() {}).Status, "a guest that does nothing has answered")
}

func TestLog(t *testing.T) {
	var enabled []uint64
	g := newGuest(t, func(g *guest) {
		at, n := g.put(valueAt, "while it initialises")
		g.bench.Call(g.in, "log", 0, at, n)
	})
	require.Equal(t, []string{"0 while it initialises"}, g.log)
	g.log = nil
	g.handle(func() {
		at, n := g.put(valueAt, "message")
		for _, level := range []uint64{1<<32 - 2, 1<<32 - 1, 0, 1, 2, 3, 4} {
			enabled = append(enabled, g.bench.Call(g.in, "log_enabled", level))
			g.bench.Call(g.in, "log", level, at, n)
		}
		g.bench.Call(g.in, "log", 2, 1<<32-1, 0)
	})
	require.Equal(t, []uint64{0, 1, 1, 1, 1, 0, 0}, enabled, "debug to error")
	require.Equal(t, []string{"-1 message", "0 message", "1 message", "2 message", "2 "}, g.log)
}

// A guest may rely on log_enabled: lines of a disabled level are neither kept nor read.
func TestLogGoesByTheServersLevel(t *testing.T) {
	g := newGuest(t, nil)
	g.in.Exchange.(*call).levels = func(level abi.Level) bool { return level >= abi.LevelWarn }
	var enabled []uint64
	g.handle(func() {
		at, n := g.put(valueAt, "message")
		for _, level := range []uint64{1<<32 - 1, 0, 1, 2, 3} {
			enabled = append(enabled, g.bench.Call(g.in, "log_enabled", level))
			g.bench.Call(g.in, "log", level, at, n)
		}
		g.bench.Call(g.in, "log", 0, 1<<32-1, 100)
	})
	require.Equal(t, []uint64{0, 0, 1, 1, 0}, enabled)
	require.Equal(t, []string{"1 message", "2 message"}, g.log)
}
