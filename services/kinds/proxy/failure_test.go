package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestUnusableAnswers covers the failures of an upstream before its response header is complete.
func TestUnusableAnswers(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                "",
		"garbage":                "\x00\xff\x17\x03garbage\r\n\r\n",
		"a line without end":     strings.Repeat("x", 1<<20),
		"half a status line":     "HTTP/1.1 20",
		"half a header":          "HTTP/1.1 200 OK\r\nContent-Le",
		"status without number":  "HTTP/1.1 OK\r\n\r\n",
		"status 000":             "HTTP/1.1 000 None\r\n\r\n",
		"status 099":             "HTTP/1.1 099 None\r\n\r\n",
		"another protocol":       "SSH-2.0-OpenSSH_9.9\r\n",
		"too much header":        "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: "+strings.Repeat("a", 1000)+"\r\n", 400) + "\r\n",
		"header without a name":  "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
		"bad length":             "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"two lengths":            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"length and encoding":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"upgrade without asking": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"upgrade to nothing":     "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"hints and an end":       "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n",
		"hints without end":      strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: "+strings.Repeat("a", 1000)+"\r\n\r\n", 400),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, proxy.Config{})
			f.to("/", serveRaw(t, func(conn net.Conn, from *bufio.Reader) {
				readHeader(from)
				_, _ = io.WriteString(conn, text)
			}))
			f.Get("/").RequireProblem(t, problem.BadGateway)
			rec := f.Records.Nth(1)
			require.Equal(t, accesslog.OutcomeBadAnswer, rec.Outcome)
			require.Error(t, rec.Err, "the log has the reason")
		})
	}
}

// TestUnreachableIsNoBadAnswer checks that the outcome of an upstream without a listener is its own.
func TestUnreachableIsNoBadAnswer(t *testing.T) {
	f := newFront(t, proxy.Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	f.to("/", "http://"+l.Addr().String())
	f.Get("/").RequireProblem(t, problem.BadGateway)
	rec := f.Records.Nth(1)
	require.Equal(t, accesslog.OutcomeUnreachable, rec.Outcome)
	require.Error(t, rec.Err)
}

func TestAnswerThatBreaksOff(t *testing.T) {
	for name, text := range map[string]string{
		"short of its length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
		"without last chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"with a bad chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, proxy.Config{})
			f.to("/", serveRaw(t, func(conn net.Conn, from *bufio.Reader) {
				readHeader(from)
				_, _ = io.WriteString(conn, text)
			}))
			resp, err := f.RoundTrip(f.Request("GET", "/", nil))
			if err == nil {
				require.Equal(t, http.StatusOK, resp.StatusCode)
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			require.Error(t, err, "the client is told that this was not all")
			rec := f.Records.Nth(1)
			require.Equal(t, accesslog.OutcomeBadAnswer, rec.Outcome)
			require.Error(t, rec.Err)
		})
	}
}

func TestUpstreamThatHangs(t *testing.T) {
	f := newFront(t, proxy.Config{})
	stop := make(chan struct{})
	defer close(stop)
	hang := serveRaw(t, func(conn net.Conn, from *bufio.Reader) {
		readHeader(from)
		<-stop
	})
	half := serveRaw(t, func(conn net.Conn, from *bufio.Reader) {
		readHeader(from)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		<-stop
	})
	for i, up := range []string{hang, half} {
		f.bind(fmt.Sprint("/", i), proxy.Document{Upstreams: []string{up}}, servicetest.WithTimeout(20*time.Millisecond))
		f.Get(fmt.Sprint("/", i)).RequireProblem(t, problem.Deadline)
		require.Equal(t, accesslog.OutcomeDeadline, f.Records.Nth(i+1).Outcome)
	}
	f.bind("/post", proxy.Document{Upstreams: []string{hang, half}}, servicetest.WithTimeout(20*time.Millisecond))
	f.Do(f.Request("POST", "/post", strings.NewReader("read by nobody"))).RequireProblem(t, problem.Deadline)
}

// TestTheDeadlineEndsWithTheHeader streams for longer than the timeout, with and without a request body.
func TestTheDeadlineEndsWithTheHeader(t *testing.T) {
	f := newFront(t, proxy.Config{})
	const timeout = 750 * time.Millisecond
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		rc := http.NewResponseController(w)
		for i := range 2 {
			fmt.Fprint(w, i)
			if rc.Flush() != nil {
				return
			}
			time.Sleep(timeout * 2 / 3) // the response must take longer than the timeout
		}
	})
	f.bind("/", proxy.Document{Upstreams: []string{up.URL}}, servicetest.WithTimeout(timeout))
	require.Equal(t, "01", f.Get("/").Body)
	require.Equal(t, "01", f.Do(f.Request("POST", "/", strings.NewReader("body"))).Body)
	require.Equal(t, "01", f.Do(f.Request("POST", "/", io.MultiReader(strings.NewReader("body")))).Body)
}

func TestBodyLimit(t *testing.T) {
	f := newFront(t, proxy.Config{MaxBodyBytes: 1000})
	up, requests := watched(t)
	f.to("/", up)
	r := func(n int64) *http.Request { return f.Request("POST", "/", io.LimitReader(zeros{}, n)) }
	require.Equal(t, http.StatusOK, f.Do(r(1000)).StatusCode)
	require.Len(t, (<-requests).body, 1000)
	f.Do(r(1001)).RequireProblem(t, problem.BodyTooLarge)
	require.Equal(t, accesslog.OutcomeRefused, f.Records.Nth(2).Outcome)
	declared := r(1001)
	declared.ContentLength = 1001
	f.Do(declared).RequireProblem(t, problem.BodyTooLarge)
}

func TestClientThatIsSlowToSend(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up := serveHTTP(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	f.bind("/", proxy.Document{Upstreams: []string{up.URL}}, servicetest.WithTimeout(20*time.Millisecond))
	conn, err := net.Dial("tcp", f.Addr)
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
	require.Equal(t, "HTTP/1.1 408 Request Timeout", readHeader(bufio.NewReader(conn)))
}

func TestClientThatSendsAMalformedChunk(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up := serveHTTP(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	f.to("/", up.URL)
	for i, body := range []string{"zz\r\n", "5\r\nhello\r\nzz\r\n"} {
		conn, err := net.Dial("tcp", f.Addr)
		require.NoError(t, err)
		defer conn.Close()
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+body)
		require.Equal(t, "HTTP/1.1 400 Bad Request", readHeader(bufio.NewReader(conn)), body)
		require.Equal(t, accesslog.OutcomeRefused, f.Records.Nth(i+1).Outcome)
	}
}

func TestClientThatLeaves(t *testing.T) {
	f := newFront(t, proxy.Config{})
	begun, ended := make(chan struct{}), make(chan struct{})
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begun" {
			_ = http.NewResponseController(w).Flush()
		}
		begun <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	})
	f.to("/", up.URL)
	for i, path := range []string{"/", "/begun"} {
		ctx, cancel := context.WithCancel(context.Background())
		r := f.Request("GET", path, nil).WithContext(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := f.RoundTrip(r); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}()
		<-begun
		cancel()
		<-ended
		<-done
		require.Equal(t, accesslog.OutcomeClientGone, f.Records.Nth(i+1).Outcome)
	}
}

// TestBodyNobodyWants has an upstream that answers before the body arrives. The client
// need not send the rest of the body, and later bytes must not be parsed as a request.
func TestBodyNobodyWants(t *testing.T) {
	f := newFront(t, proxy.Config{})
	f.to("/", serveRaw(t, func(conn net.Conn, from *bufio.Reader) {
		readHeader(from)
		_, _ = io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
	}))
	conn, err := net.Dial("tcp", f.Addr)
	require.NoError(t, err)
	defer conn.Close()
	from := bufio.NewReader(conn)
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbody")
	require.Equal(t, "HTTP/1.1 403 Forbidden", readHeader(from))
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	require.Empty(t, readHeader(from), "the connection ends")
}

// TestClose closes a deployment with long-running requests.
func TestClose(t *testing.T) {
	f := newFront(t, proxy.Config{})
	begun := make(chan struct{})
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begun" {
			_ = http.NewResponseController(w).Flush()
		}
		begun <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	f.to("/", up.URL)
	d := f.Deployment("/")
	results := make(chan servicetest.Answer, 2)
	for _, path := range []string{"/", "/begun"} {
		go func() {
			got, err := servicetest.Send(f.Request("GET", path, nil))
			if err != nil {
				got = servicetest.Answer{Body: err.Error()}
			}
			results <- got
		}()
		<-begun
	}
	stalled, from := f.Dial()
	fmt.Fprint(stalled, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
	<-begun
	require.Equal(t, 3, d.Status().InFlight)
	f.Withdraw("/")
	require.Equal(t, "HTTP/1.1 503 Service Unavailable", readHeader(from))
	for range 2 {
		if a := <-results; a.Response != nil {
			a.RequireProblem(t, problem.NotReady)
		} else {
			require.NotEmpty(t, a.Body, "an answer that had begun is cut off")
		}
	}
	require.Equal(t, problem.NotReady, problem.From(servicetest.Call(d, "GET", "/")).Kind(), "a request that waited for admission")
	status := d.Status()
	require.Zero(t, status.InFlight)
	require.False(t, status.LastUsed.IsZero())
}

// TestSafeRetries counts how often the upstreams receive a request that one of them does not answer.
func TestSafeRetries(t *testing.T) {
	var dropped, answered atomic.Int32
	drop := func(conn net.Conn, from *bufio.Reader) {
		if first := readHeader(from); first != "" {
			dropped.Add(1)
		}
	}
	for name, c := range map[string]struct {
		method, body string
		repeated     bool
	}{
		"GET":             {"GET", "", true},
		"HEAD":            {"HEAD", "", true},
		"DELETE":          {"DELETE", "", true},
		"PUT":             {"PUT", "", true},
		"PUT with body":   {"PUT", "x", false},
		"GET with body":   {"GET", "x", false},
		"POST":            {"POST", "", false},
		"POST with body":  {"POST", "x", false},
		"PATCH":           {"PATCH", "", false},
		"a method of its": {"CHARGE", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, proxy.Config{})
			good := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { answered.Add(1) })
			f.to("/", serveRaw(t, drop), good.URL)
			var body io.Reader
			if c.body != "" {
				body = strings.NewReader(c.body)
			}
			dropped.Store(0)
			answered.Store(0)
			a := f.Do(f.Request(c.method, "/", body)) // goes to the first upstream, because both are idle
			require.EqualValues(t, 1, dropped.Load())
			if !c.repeated {
				require.Equal(t, http.StatusBadGateway, a.StatusCode)
				require.Zero(t, answered.Load(), "it might have been carried out")
				return
			}
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.EqualValues(t, 1, answered.Load())
		})
	}
}

// TestUpstreamThatIsNotThere has an upstream that refuses connections. All requests go
// to the other one, because nothing was sent.
func TestUpstreamThatIsNotThere(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up, requests := watched(t)
	gone := unreachable(t)
	f.to("/", gone, up)
	for _, method := range []string{"POST", "GET", "PUT"} {
		a := f.Do(f.Request(method, "/", strings.NewReader("body")))
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Equal(t, "body", (<-requests).body)
	}
	require.Equal(t, gone+" (set aside), "+up, f.Status("/").Target)
	f.to("/none", gone, unreachable(t))
	f.Get("/none").RequireProblem(t, problem.BadGateway)
	require.Contains(t, f.Records.Nth(4).Err.Error(), strings.TrimPrefix(gone, "http://"), "the log tells which")
}
