package wasm_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// wasi3 returns the guest of runtime/abi/wasihttp3, which does what the first word of the path says.
func wasi3(tb testing.TB) []byte { return wasi3Guest(tb, "guest") }

func wasi3Guest(tb testing.TB, name string) []byte {
	return component(tb, "wasihttp3/testdata/"+name)
}

// component returns a component of the directory runtime/abi.
func component(tb testing.TB, name string) []byte {
	tb.Helper()
	bin, err := os.ReadFile("../../../runtime/abi/" + name + ".wasm")
	require.NoError(tb, err)
	return bin
}

func TestWASI3(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/", wasi3(t), servicetest.WithTimeout(2*time.Second))
	for _, c := range []struct {
		path string
		want int
		body string
		kind problem.Kind // of a failure
	}{
		{path: "hello", want: 200, body: "hello from 0.3\n"},
		{path: "echo", want: 200, body: "some body"},
		{path: "pass", want: 200, body: "some body"},
		{path: "sleep", want: 200, body: "awake\n"},
		{path: "yield", want: 200, body: "yielded\n"},
		{path: "trailers", want: 200, body: "body"},
		{path: "empty", want: 204},
		{path: "status", want: 200, body: "refused\n"},
		{path: "field", want: 200, body: "refused\n"},
		{path: "error", kind: problem.BadGateway},
		{path: "internal", kind: problem.BadGateway},
		{path: "leak", kind: problem.BadGateway},
		{path: "cut", kind: problem.BadGateway},
		{path: "trap", kind: problem.Trap},
		{path: "nothing", kind: problem.Trap},
		{path: "silent", kind: problem.Trap},
		{path: "twice", kind: problem.Trap},
		{path: "code", kind: problem.Trap},
		{path: "set", kind: problem.Trap},
		{path: "foreign", kind: problem.Trap},
		{path: "wrong", kind: problem.Trap},
		{path: "forever", kind: problem.Deadline},
	} {
		t.Run(c.path, func(t *testing.T) {
			for range 2 {
				a := s.do("POST", "/"+c.path, "some body")
				if c.want == 0 {
					a.RequireProblem(t, c.kind)
				} else {
					require.Equal(t, c.want, a.StatusCode, a.Body)
					require.Equal(t, c.body, a.Body)
				}
				require.Equal(t, "hello from 0.3\n", s.get("/hello").Body, "the next request finds the initial state")
				if c.path == "forever" {
					break // one wait is enough
				}
			}
		})
	}
	require.Equal(t, "123", s.get("/trailers").Trailer.Get("Checksum"))
	require.Equal(t, "empty", s.get("/empty").Header.Get("X-Kind"))
	require.Equal(t, 0, s.InFlight())
}

// TestWASI3StreamsBothWays sends each piece after the one before it has come back.
func TestWASI3StreamsBothWays(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/", wasi3(t), servicetest.WithMiddleware(nil, wasi3(t)))
	for _, path := range []string{"/echo", "/pass", "/gate/echo", "/gate/pass"} {
		t.Run(path, func(t *testing.T) {
			body, to := io.Pipe()
			r, err := http.NewRequest("POST", s.URL+path, body)
			require.NoError(t, err)
			r.Trailer = http.Header{"Checksum": nil}
			answered := make(chan *http.Response, 1)
			go func() {
				res, err := s.Client().Do(r)
				if err != nil {
					t.Error(err)
				}
				answered <- res
			}()
			_, err = to.Write([]byte("piece 0\n"))
			require.NoError(t, err)
			res := <-answered
			require.NotNil(t, res)
			defer res.Body.Close()
			lines := bufio.NewReader(res.Body)
			for i := range 5 {
				line, err := lines.ReadString('\n')
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("piece %d\n", i), line)
				_, err = fmt.Fprintf(to, "piece %d\n", i+1)
				require.NoError(t, err)
			}
			r.Trailer.Set("Checksum", "abc")
			require.NoError(t, to.Close())
			rest, err := io.ReadAll(lines)
			require.NoError(t, err)
			require.Equal(t, "piece 5\n", string(rest))
			require.Equal(t, "abc", res.Trailer.Get("Checksum"), "trailers go through the guest")
		})
	}
}

func TestWASI3LargeBodies(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/", wasi3(t))
	large := strings.Repeat("0123456789abcdef", 1<<17)
	var all sync.WaitGroup
	for _, path := range []string{"/echo", "/pass"} {
		for range 3 {
			all.Go(func() {
				a := s.do("POST", path, large)
				if a.StatusCode != 200 || a.Body != large {
					t.Errorf("%s: %d with %d bytes", path, a.StatusCode, len(a.Body))
				}
			})
		}
	}
	all.Wait()
}

func TestWASI3Proxy(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "Checksum")
		w.Header().Set("X-Via", r.Header.Get("Via"))
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, body)
		w.Header().Set("Checksum", "xyz")
	}))
	defer upstream.Close()
	s := newServer(t, wasm.Config{})
	s.add("/", wasi3(t), servicetest.WithAllow(upstream.URL))
	authority := "Upstream: " + strings.TrimPrefix(upstream.URL, "http://")
	a := s.do("PUT", "/proxy/a?b=c", "the body", authority)
	require.Equal(t, http.StatusTeapot, a.StatusCode, a.Body)
	require.Equal(t, "PUT /proxy/a?b=c the body", a.Body)
	require.Equal(t, "guest", a.Header.Get("X-Via"))
	require.Equal(t, "xyz", a.Trailer.Get("Checksum"))
	large := strings.Repeat("0123456789abcdef", 1<<16)
	require.Equal(t, "POST /proxy "+large, s.do("POST", "/proxy", large, authority).Body)

	s.do("GET", "/proxy", "", "Upstream: 127.0.0.1:1").RequireProblem(t, problem.BadGateway)
	require.Contains(t, s.Log.String(), "outbound (-3)", "the reason is in the service's log")
}

// TestWASI3Timeouts checks the timeouts of a request's options, with an upstream that never goes on.
func TestWASI3Timeouts(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/between" {
			_, _ = io.WriteString(w, "begin")
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}))
	defer upstream.Close()
	s := newServer(t, wasm.Config{})
	s.add("/", wasi3(t), servicetest.WithAllow(upstream.URL), servicetest.WithTimeout(time.Minute))
	authority := strings.TrimPrefix(upstream.URL, "http://")
	s.do("GET", "/first", "", "Upstream: "+authority).RequireProblem(t, problem.BadGateway)
	require.Contains(t, s.Log.String(), "connection-read-timeout")

	r, err := http.NewRequest("GET", s.URL+"/between", nil)
	require.NoError(t, err)
	r.Header.Set("Upstream", authority)
	res, err := s.Client().Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.Error(t, err)
	require.True(t, strings.HasPrefix("begin", string(body)), "%q", body)
}

// TestWASI3RequestTrailers sends trailers of the guest, and those of its client, to a server.
func TestWASI3RequestTrailers(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, n, err, r.TransferEncoding, r.Trailer)
	}))
	defer upstream.Close()
	s := newServer(t, wasm.Config{})
	s.add("/", wasi3(t), servicetest.WithAllow(upstream.URL))
	authority := strings.TrimPrefix(upstream.URL, "http://")
	a := s.do("POST", "/trailing", strings.Repeat("some body", 10_000), "Upstream: "+authority)
	require.Equal(t, "90000 <nil> [chunked] map[Checksum:[123]]\n", a.Body)

	r, err := http.NewRequest("POST", s.URL+"/proxy", io.MultiReader(strings.NewReader("body")))
	require.NoError(t, err)
	r.Header.Set("Upstream", authority)
	r.Trailer = http.Header{"Checksum": {"of the client"}}
	res, err := s.Client().Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "4 <nil> [chunked] map[Checksum:[of the client]]\n", string(body))

	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"+
		"4\r\nbody\r\n0\r\nChecksum: not announced\r\n\r\n")
	require.NoError(t, err)
	body, err = io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(body), "\r\nChecksum: not announced\r\n")
}

// TestWASI3ClientLeaves ends a guest whose client has gone, and nothing else.
func TestWASI3ClientLeaves(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 1})
	s.add("/", wasi3(t), servicetest.WithTimeout(time.Minute))
	for _, path := range []string{"/forever", "/echo", "/pass"} {
		ctx, leave := context.WithCancel(context.Background())
		body, to := io.Pipe()
		r, err := http.NewRequestWithContext(ctx, "POST", s.URL+path, body)
		require.NoError(t, err)
		if path == "/forever" { // a connection is watched from the end of the request's body
			r.Body = http.NoBody
			go func() { _, _ = io.Copy(io.Discard, body) }()
		}
		ended := make(chan error, 1)
		go func() {
			res, err := s.Client().Do(r)
			if err == nil {
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
			ended <- err
		}()
		_, err = to.Write([]byte("piece"))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return s.InFlight() == 1 }, 10*time.Second, time.Millisecond)
		leave()
		require.NoError(t, to.CloseWithError(context.Canceled)) // the client may wait for its body
		require.Error(t, <-ended)
		require.Equal(t, "hello from 0.3\n", s.get("/hello").Body, "the only slot is free again after %s", path)
	}
}

// TestWASI3Middleware puts a component in front of another service.
func TestWASI3Middleware(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/", wasi3(t), servicetest.WithMiddleware(nil, wasi3(t)), servicetest.WithTimeout(2*time.Second))
	a := s.do("POST", "/gate/echo", "some body")
	require.Equal(t, 200, a.StatusCode, a.Body)
	require.Equal(t, "some body", a.Body)
	require.Equal(t, "hello from 0.3\n", s.get("/gate/hello").Body)
	require.Equal(t, "some body", s.do("POST", "/rewrite/pass", "some body").Body)
	require.Equal(t, "123", s.get("/gate/trailers").Trailer.Get("Checksum"))
	require.Equal(t, "hello from 0.3\n", s.get("/hello").Body, "the middleware answers by itself")
	s.do("GET", "/gate/trap", "").RequireProblem(t, problem.Trap)
	s.do("GET", "/gate/error", "").RequireProblem(t, problem.BadGateway)
	large := strings.Repeat("0123456789abcdef", 1<<17)
	require.Equal(t, large, s.do("POST", "/gate/echo", large).Body)
	require.Equal(t, 0, s.InFlight())

	s.add("/", wasi3(t))
	s.do("GET", "/gate/hello", "").RequireProblem(t, problem.BadGateway)
	require.Contains(t, s.Log.String(), "nothing is behind the service")
	err := s.refused("/refused", wasi3(t), servicetest.WithMiddleware(nil, wasi3Guest(t, "plain")))
	require.ErrorContains(t, err, "does not import wasi:http/handler@0.3")
}

// TestWASI3GoesOn checks that the client has the whole response while the guest still works, also if it disconnects then.
func TestWASI3GoesOn(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 4})
	d := s.add("/", wasi3(t), servicetest.WithTimeout(time.Second))
	for range 3 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get(s.URL + "/linger")
		require.NoError(t, err)
		require.Equal(t, []string{"chunked"}, resp.TransferEncoding)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "first last", string(body))
	}
	require.Eventually(t, func() bool { return strings.Count(s.Log.String(), "line=late") == 3 }, 10*time.Second, time.Millisecond)

	// The deadline of the request ends the guest. A response that was not complete would be broken off.
	for i, path := range []string{"/linger", "/spin"} {
		require.True(t, strings.HasPrefix(s.do("POST", path, "").Body, "first "))
		require.Eventually(t, func() bool { return strings.Count(s.Log.String(), "outcome=deadline") == i+1 }, 10*time.Second, time.Millisecond)
	}
	require.Contains(t, s.Log.String(), "a guest failed after its response was complete")
	require.Eventually(t, func() bool { return d.Status().InFlight == 0 }, 10*time.Second, time.Millisecond)
}

// TestWASI3ReadsAfterItsResponse checks that a guest which goes on has the whole body of the request: the response ends with it.
func TestWASI3ReadsAfterItsResponse(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/", wasi3(t))
	body, to := io.Pipe()
	answered := make(chan *http.Response, 1)
	go func() {
		res, err := s.Client().Post(s.URL+"/accept", "text/plain", body)
		if err != nil {
			t.Error(err)
		}
		answered <- res
	}()
	_, err := to.Write([]byte("piece 0, "))
	require.NoError(t, err)
	res := <-answered
	require.NotNil(t, res)
	defer res.Body.Close()
	_, err = to.Write([]byte("piece 1"))
	require.NoError(t, err)
	require.NoError(t, to.Close())
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "accepted\n", string(answer))
	require.Eventually(t, func() bool { return strings.Contains(s.Log.String(), "line=late") }, 10*time.Second, time.Millisecond)
	require.Contains(t, s.Log.String(), `line="piece 0, piece 1"`)
}

// TestWASI3WithOlderInterfaces runs a component that also imports interfaces of WASI 0.2 and preview 1, through an adapter.
func TestWASI3WithOlderInterfaces(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/", wasi3Guest(t, "mixed"))
	for i := range 3 {
		require.Equal(t, "first last\n", s.do("POST", "/", "ignored").Body)
		for _, line := range []string{"by 0.2", "by preview 1"} { // the second time after the response
			require.Eventually(t, func() bool { return strings.Count(s.Log.String(), `line="`+line+`"`) == 2*(i+1) }, 10*time.Second, time.Millisecond)
		}
	}
}

// TestWASI3Sync serves a handler that is lifted without the option async: it returns its response and cannot go on.
func TestWASI3Sync(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, r.Method, n, err, r.Trailer)
	}))
	defer upstream.Close()
	s := newServer(t, wasm.Config{})
	s.add("/", wasi3Guest(t, "sync"), servicetest.WithAllow(upstream.URL), servicetest.WithTimeout(2*time.Second))
	authority := "Upstream: " + strings.TrimPrefix(upstream.URL, "http://")
	large := strings.Repeat("0123456789abcdef", 1<<16)
	for _, c := range []struct {
		path, body string
		want       int
		answer     string
		kind       problem.Kind // of a failure
	}{
		{path: "nothing", want: 204},
		{path: "sleep", want: 204},
		{path: "pass", body: large, want: 200, answer: large},
		{path: "forward", body: large, want: 200, answer: "POST 1048576 <nil> map[]\n"},
		{path: "own", kind: problem.BadGateway},
		{path: "error", kind: problem.BadGateway},
		{path: "wrong", kind: problem.Trap},
		{path: "unknown", kind: problem.Trap},
		{path: "misplaced", kind: problem.Trap},
		{path: "trap", kind: problem.Trap},
	} {
		t.Run(c.path, func(t *testing.T) {
			for range 2 {
				a := s.do("POST", "/"+c.path, c.body, authority)
				if c.want == 0 {
					a.RequireProblem(t, c.kind)
				} else {
					require.Equal(t, c.want, a.StatusCode, a.Body)
					require.Equal(t, c.answer, a.Body)
				}
				require.Equal(t, 204, s.get("/nothing").StatusCode, "the next request finds the initial state")
			}
		})
	}
	require.Equal(t, 0, s.InFlight())
}
