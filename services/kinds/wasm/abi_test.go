package wasm_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// newCommandServer serves /cat, which echoes the request body, and /do, which executes it.
func newCommandServer(t *testing.T, timeout time.Duration) *server {
	s := newServer(t, wasm.Config{MaxBodyBytes: 1 << 20})
	s.add("/cat", guests.Wat(t, "cat"))
	s.add("/do", guests.Go(t, "cgiscript"), servicetest.WithTimeout(timeout))
	return s
}

// command executes the given steps.
func (s *server) command(path string, steps ...string) servicetest.Answer {
	s.tb.Helper()
	return s.do("POST", path, strings.Join(steps, "\n"))
}

// printed returns the step that prints text.
func printed(text string) string { return fmt.Sprintf("print %q", text) }

// raw sends a request unchanged and returns the response.
func (s *server) raw(request string) servicetest.Answer {
	s.tb.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	require.NoError(s.tb, err)
	defer conn.Close()
	_, err = io.WriteString(conn, request)
	require.NoError(s.tb, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(s.tb, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(s.tb, err)
	return servicetest.Answer{Response: res, Body: string(body)}
}

func TestAnswersOfCommands(t *testing.T) {
	s := newCommandServer(t, 10*time.Second)
	large := strings.Repeat("b", 100_000)
	for _, c := range []struct {
		name, printed string
		status        int
		header        http.Header // a subset
		body          string
	}{
		{"plain", "Content-Type: text/x\n\nhello", 200, http.Header{"Content-Type": {"text/x"}}, "hello"},
		{"carriage returns", "Content-Type: text/x\r\n\r\nhello\r\n", 200, http.Header{"Content-Type": {"text/x"}}, "hello\r\n"},
		{"large", "Content-Type: text/x\n\n" + large, 200, nil, large},
		{"status", "Status: 418 I'm a teapot\n\nshort and stout", 418, nil, "short and stout"},
		{"location", "Location: /elsewhere\n\n", 302, http.Header{"Location": {"/elsewhere"}}, ""},
		{"location with a status", "Status: 303\nLocation: /elsewhere\n\n", 303, http.Header{"Location": {"/elsewhere"}}, ""},
		{"cookies", "Status: 200\nSet-Cookie: a=1\nSet-Cookie: b=2\n\n", 200, http.Header{"Set-Cookie": {"a=1", "b=2"}}, ""},
		{"header alone", "Status: 204\n", 204, nil, ""},
		{"no body allowed", "Status: 304\n\nbody", 304, nil, ""},
		{"length", "Status: 200\nContent-Length: 5\n\nhello", 200, http.Header{"Content-Length": {"5"}}, "hello"},
		{"binary", "Status: 200\n\n\x00\xff\n\n", 200, nil, "\x00\xff\n\n"},
		{"hop by hop", "Status: 200\nConnection: close\nTransfer-Encoding: gzip\n\nhi", 200, http.Header{"Connection": nil}, "hi"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.raw(fmt.Sprintf("POST /cat HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(c.printed), c.printed))
			require.Equal(t, c.status, a.StatusCode, a.Body)
			require.Equal(t, c.body, a.Body)
			for name, values := range c.header {
				require.Equal(t, values, a.Header.Values(name))
			}
		})
	}
}

func TestCommandsWhoseAnswersCannotBeUsed(t *testing.T) {
	s := newCommandServer(t, 10*time.Second)
	for name, printed := range map[string]string{
		"no header":           "hello\n",
		"none of the three":   "X-Before: y\n\nhello",
		"no name":             "Status: 200\n: x\n\n",
		"NUL":                 "Status: 200\nX-Before: a\x00b\n\n",
		"status in words":     "Status: fine\n\n",
		"status out of range": "Status: 999\n\n",
		"switch of protocols": "Status: 101\n\n",
		"too long":            "Status: 200\nX-Before: " + strings.Repeat("x", 300_000) + "\n\n",
		"without end":         strings.Repeat("X: y\n", 60_000),
		"shorter than said":   "Status: 200\nContent-Length: 6\n\nhello",
		"longer than said":    "Status: 200\nContent-Length: 4\n\nhello",
	} {
		t.Run(name, func(t *testing.T) {
			a := s.do("POST", "/cat", printed)
			require.Equal(t, http.StatusBadGateway, a.StatusCode, a.Body)
			require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"))
			require.NotContains(t, a.Header, "X-Before")
		})
	}
	require.Equal(t, http.StatusBadGateway, s.get("/cat").StatusCode, "nothing at all")
	require.Equal(t, 200, s.do("POST", "/cat", "Status: 200\n\n").StatusCode)
}

func TestCommandsThatFail(t *testing.T) {
	s := newCommandServer(t, 10*time.Second)
	good := printed("Content-Type: text/plain\n\nall of it")

	require.Equal(t, 200, s.command("/do", good, "exit 0").StatusCode)
	a := s.command("/do", good, "exit 3")
	require.Equal(t, 500, a.StatusCode, "it has failed, whatever it has printed")
	require.Contains(t, a.Body, "exited with code 3")
	require.Equal(t, 500, s.command("/do", "exit 1").StatusCode)
	require.Equal(t, 502, s.command("/do", "exit 0").StatusCode)
	a = s.command("/do", good, "err a line", "panic the reason")
	require.Equal(t, 500, a.StatusCode)
	require.NotContains(t, a.Body, "the reason")
	require.Contains(t, s.Log.String(), `line="a line"`)
	require.Contains(t, s.Log.String(), "panic: the reason")

	res, err := s.Client().Post(s.URL+"/do", "text/plain", strings.NewReader(good+"\nfill 100000\nexit 1"))
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	require.Error(t, err, "what has been sent cannot be taken back, but it does not look whole")
}

// TestStreamsOfTheNextCommand closes standard streams. They must be open in the next request.
func TestStreamsOfTheNextCommand(t *testing.T) {
	s := newCommandServer(t, 10*time.Second)
	good := printed("Content-Type: text/plain\n\nhello ")
	for range 3 {
		require.Equal(t, 200, s.command("/do", good, "close 1", printed("nowhere")).StatusCode)
		require.Equal(t, 200, s.command("/do", "close 2", good, "err nowhere").StatusCode)
		require.Equal(t, 200, s.command("/do", good, "close 0", "read").StatusCode)
		require.Equal(t, "hello world", s.command("/do", good, "err to the log", "read", "world").Body)
	}
	require.EqualValues(t, "warm", s.Records.Nth(12).Start, "by one instance")
	require.Contains(t, s.Log.String(), "to the log")
	require.NotContains(t, s.Log.String(), "nowhere")
}

// environment returns the environment of a command for the given request line and header.
func (s *server) environment(request string) map[string]string {
	s.tb.Helper()
	steps := printed("Content-Type: text/plain\n\n") + "\nenv"
	head := strings.ReplaceAll(fmt.Sprintf("%s\nContent-Length: %d\n\n", request, len(steps)), "\n", "\r\n")
	a := s.raw(head + steps)
	require.Equal(s.tb, 200, a.StatusCode, a.Body)
	env := map[string]string{}
	for line := range strings.Lines(a.Body) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		require.NotContains(s.tb, env, name)
		env[name] = value
	}
	return env
}

func TestEnvironmentOfCommands(t *testing.T) {
	s := newCommandServer(t, 10*time.Second)
	module := guests.Go(t, "cgiscript")
	s.add("/", module)
	s.add("/a/b", module, servicetest.WithConfig(map[string]string{"SETTING": "yes", "REQUEST_METHOD": "no", "HTTP_X": "no", "REMOTE_USER": "no"}))
	_, port, err := net.SplitHostPort(s.Addr)
	require.NoError(t, err)
	for _, c := range []struct {
		request string
		want    map[string]string // "-": must be absent
	}{
		{"POST / HTTP/1.1\nHost: example.com", map[string]string{"SCRIPT_NAME": "", "PATH_INFO": "/", "SERVER_NAME": "example.com", "SERVER_PORT": port,
			"X_MATCHED_ROUTE": "/...", "SETTING": "-", "GATEWAY_INTERFACE": "CGI/1.1", "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1"}},
		{"POST /x%20y?q=%20 HTTP/1.1\nHost: h:81", map[string]string{"SCRIPT_NAME": "", "PATH_INFO": "/x y", "X_RAW_PATH_INFO": "/x%20y",
			"QUERY_STRING": "q=%20", "REQUEST_URI": "/x%20y?q=%20", "SERVER_PORT": "81", "X_FULL_URL": "http://h:81/x%20y?q=%20"}},
		{"POST /a/b HTTP/1.1\nHost: h\nX: y", map[string]string{"SCRIPT_NAME": "/a/b", "PATH_INFO": "", "SETTING": "yes", "REQUEST_METHOD": "POST",
			"HTTP_X": "y", "REMOTE_USER": ""}},
		{"PUT /a/b/c%2Fd HTTP/1.1\nHost: h", map[string]string{"PATH_INFO": "/c/d", "X_RAW_PATH_INFO": "/c%2Fd", "REQUEST_METHOD": "PUT", "HTTP_X": "-"}},
		{"POST /a/bc HTTP/1.1\nHost: h", map[string]string{"SCRIPT_NAME": "", "PATH_INFO": "/a/bc"}},
		{"POST / HTTP/1.1\nHost: [::1]:8080", map[string]string{"SERVER_NAME": "[::1]", "SERVER_PORT": "8080", "X_FULL_URL": "http://[::1]:8080/"}},
		{"POST / HTTP/1.0", map[string]string{"SERVER_NAME": "127.0.0.1", "SERVER_PORT": port, "HTTP_HOST": "", "SERVER_PROTOCOL": "HTTP/1.0"}},
		{"POST / HTTP/1.1\nHost: h\nAccept: a\nAccept: b\nCookie: c=1\nCookie: d=2", map[string]string{"HTTP_ACCEPT": "a, b", "HTTP_COOKIE": "c=1; d=2"}},
		{"POST / HTTP/1.1\nHost: h\nProxy: http://evil\nAuthorization: secret\nConnection: keep-alive\nX_Y: z", map[string]string{
			"HTTP_PROXY": "-", "HTTP_AUTHORIZATION": "-", "HTTP_CONNECTION": "-", "HTTP_X_Y": "-"}},
		{"POST / HTTP/1.1\nHost: h\nContent-Type: text/x", map[string]string{"CONTENT_TYPE": "text/x", "HTTP_CONTENT_TYPE": "-"}},
	} {
		t.Run(c.request, func(t *testing.T) {
			env := s.environment(c.request)
			for name, want := range c.want {
				if value, there := env[name]; want == "-" {
					require.False(t, there, "%s=%s", name, value)
				} else {
					require.True(t, there, name)
					require.Equal(t, want, value, name)
				}
			}
		})
	}
}

// TestArgumentsOfCommands checks that clients cannot set a program's arguments, unless
// the service asks for search words.
func TestArgumentsOfCommands(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/dump", guests.Wat(t, "cgiargs"))
	s.add("/search", guests.Wat(t, "cgiargs"), servicetest.WithCGIArgs())
	for path, want := range map[string]string{
		"/dump?-c&print(1)": "/dump\x00", "/dump?a+b": "/dump\x00", "/dump": "/dump\x00",
		"/search?a+b%20c": "/search\x00a\x00b c\x00", "/search?a=b": "/search\x00", "/search?%E9": "/search\x00\xe9\x00",
	} {
		require.Equal(t, want, s.get(path).Body, path)
	}
	err := s.refused("/a", guests.Wat(t, "hello"), servicetest.WithCGIArgs())
	require.Contains(t, problem.From(err).Violations[0].String(), "cgi_args is for CGI commands")
}

// TestBodiesOfUnknownLength sends chunked bodies to a program that relies on
// CONTENT_LENGTH only, like net/http/cgi.
func TestBodiesOfUnknownLength(t *testing.T) {
	s := newServer(t, wasm.Config{MaxBodyBytes: 1 << 20})
	s.add("/cgi", guests.Go(t, "gocgi"))
	for _, n := range []int{0, 10, 500_000} {
		res, err := s.Client().Post(s.URL+"/cgi", "text/x", io.MultiReader(strings.NewReader(strings.Repeat("x", n))))
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		res.Body.Close()
		require.Len(t, body, n)
	}
	res, err := s.Client().Post(s.URL+"/cgi", "text/x", io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20+1))))
	if err == nil { // the response may arrive before the whole body is sent
		res.Body.Close()
		require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	}
	require.EqualValues(t, "refused", s.Records.Nth(4).Outcome)
}

func TestHeadOfCommands(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/cmd", guests.Go(t, "gocmd"))
	a := s.do("HEAD", "/cmd", "")
	require.Equal(t, 200, a.StatusCode)
	require.Empty(t, a.Body)
	require.Equal(t, "text/plain", a.Header.Get("Content-Type"))
}

func TestCommandsStream(t *testing.T) {
	s := newCommandServer(t, 20*time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	steps := strings.Join([]string{printed("Content-Type: text/event-stream\n\n"), printed("data: 1\n"), "sleep 1h"}, "\n")
	req, err := newRequest("POST", s.URL+"/do", steps)
	require.NoError(t, err)
	res, err := s.Client().Do(req.WithContext(ctx))
	require.NoError(t, err)
	defer res.Body.Close()
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "data: 1\n", line, "what is printed goes out before the command sleeps")
	cancel()
	rec := s.Records.Nth(1)
	require.EqualValues(t, "client gone", rec.Outcome, "the sleeper is woken when its client goes: %v", rec.Err)
	require.Less(t, rec.TTLB, 20*time.Second)
}

func TestSleepersEndAtTheDeadline(t *testing.T) {
	s := newCommandServer(t, 200*time.Millisecond)
	require.Equal(t, 504, s.command("/do", "sleep 1h").StatusCode, "nothing was printed yet")
}

// TestRequestsSideBySideAreApart checks that concurrent instances of a command see only their own request.
func TestRequestsSideBySideAreApart(t *testing.T) {
	s := newCommandServer(t, 30*time.Second)
	var users sync.WaitGroup
	for user := range 8 {
		users.Go(func() {
			for i := range 5 {
				want := fmt.Sprintf("%d-%d", user, i)
				a := s.command("/do?"+want, printed("Content-Type: text/plain\n\n"), "sleep 1ms", "env")
				if !strings.Contains(a.Body, want) {
					t.Errorf("%s: %s", want, a.Body)
				}
			}
		})
	}
	users.Wait()
}

// TestFeaturesHoldInAllInstances checks that trailers, enabled at initialisation, work in all instances.
func TestFeaturesHoldInAllInstances(t *testing.T) {
	for _, isolation := range []string{wasm.IsolationSnapshot, wasm.IsolationFresh} {
		s := newServer(t, wasm.Config{Slots: 8})
		s.add("/headers", guests.Go(t, "headers"), servicetest.WithIsolation(isolation))
		var users sync.WaitGroup
		for range 8 {
			users.Go(func() {
				for range 5 {
					if a := s.get("/headers"); a.Trailer.Get("X-Trailer") == "" {
						t.Errorf("%s: no trailer: %s", isolation, a.Body)
					}
				}
			})
		}
		users.Wait()
	}
}
