package wasm_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

func newScriptServer(t *testing.T, timeout time.Duration) *server {
	s := newServer(t, wasm.Config{MaxBodyBytes: 1 << 20})
	s.add("/script", guests.Go(t, "script"), servicetest.WithTimeout(timeout))
	return s
}

func (s *server) script(lines ...string) servicetest.Answer {
	s.tb.Helper()
	return s.do("POST", "/script", strings.Join(lines, "\n"))
}

func TestAnswersOfHandlers(t *testing.T) {
	s := newScriptServer(t, 10*time.Second)

	a := s.script("status 201", "set x-one 1", "add x-two a", "add X-Two b", "write hi")
	require.Equal(t, 201, a.StatusCode)
	require.Equal(t, "1", a.Header.Get("X-One"))
	require.Equal(t, []string{"a", "b"}, a.Header.Values("X-Two"))
	require.Equal(t, "hi\n", a.Body)
	require.EqualValues(t, 3, a.ContentLength, "a short answer has a length")

	a = s.script("set set-cookie a=1", "add set-cookie b=2", "set x-gone 1", "remove x-gone")
	require.Equal(t, 200, a.StatusCode)
	require.Equal(t, []string{"a=1", "b=2"}, a.Header.Values("Set-Cookie"))
	require.NotContains(t, a.Header, "X-Gone")

	for _, status := range []string{"204", "304"} {
		a = s.script("status "+status, "write a body that cannot be sent")
		require.Equal(t, status, strconv.Itoa(a.StatusCode))
		require.Empty(t, a.Body)
	}

	a = s.script("trailer x-sum 7", "write streamed")
	require.Equal(t, "7", a.Trailer.Get("X-Sum"))

	a = s.script("fill 100000")
	require.Len(t, a.Body, 100000)
	require.Equal(t, []string{"chunked"}, a.TransferEncoding)

	a = s.script("set connection close", "set transfer-encoding gzip", "write ok")
	require.Equal(t, "ok\n", a.Body, "what is between two neighbours is not the guest's to set")
	require.False(t, a.Close)
}

func TestUnusableAnswersAre502(t *testing.T) {
	s := newScriptServer(t, 10*time.Second)
	for _, line := range []string{"status 99", "status 101", "status 600", "set bad:name x", "set  x", "set x-y a\x01b", "set x-y a\x7fb"} {
		a := s.script("set x-before 1", line)
		require.Equal(t, http.StatusBadGateway, a.StatusCode, "%q: %s", line, a.Body)
		require.Contains(t, a.Body, "problems/bad-gateway")
		require.NotContains(t, a.Header, "X-Before", "nothing of the unusable answer is sent")
		require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"))
	}
	var lines []string
	for i := range 3000 {
		lines = append(lines, fmt.Sprintf("set x-%d %s", i, strings.Repeat("v", 100)))
	}
	require.Equal(t, http.StatusBadGateway, s.script(lines...).StatusCode, "headers are bounded")
}

func TestHead(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/hello", guests.Wat(t, "hello"))
	a := s.do("HEAD", "/hello", "")
	require.Equal(t, 200, a.StatusCode)
	require.Empty(t, a.Body)
	require.Equal(t, "text/plain", a.Header.Get("Content-Type"))
	require.Equal(t, 200, s.get("/hello").StatusCode, "the connection is still in step")
}

func TestExitAndPanicAreTheGuestsOwn(t *testing.T) {
	s := newScriptServer(t, 10*time.Second)
	a := s.script("exit 3")
	require.Equal(t, 500, a.StatusCode)
	require.Contains(t, a.Body, "exited with code 3")
	require.Equal(t, 500, s.script("exit 0").StatusCode, "a handler that exits has not answered")
	a = s.script("panic the secret reason")
	require.Equal(t, 500, a.StatusCode)
	require.NotContains(t, a.Body, "secret reason")
	require.Contains(t, s.Log.String(), "the secret reason", "it is in the service's log")
	require.Equal(t, 200, s.script("write fine").StatusCode)
}

func TestPassingOnWithNothingBehind(t *testing.T) {
	s := newScriptServer(t, 10*time.Second)
	require.Equal(t, 404, s.script("next").StatusCode)
	a := s.script("status 403", "next")
	require.Equal(t, 403, a.StatusCode, "an answer of the guest's own stands")
}

func TestGuestOutputGoesToTheLogWithinBounds(t *testing.T) {
	s := newScriptServer(t, 10*time.Second)
	s.script("print to stdout", "err to stderr", "log through the host", "print "+strings.Repeat("x", 10000))
	log := s.Log.String()
	for _, want := range []string{`level=INFO msg=guest service=/script`, `line="to stdout"`, `level=ERROR`, `line="to stderr"`,
		`level=WARN`, `line="through the host"`} {
		require.Contains(t, log, want)
	}
	var flood []string
	for range 200 {
		flood = append(flood, "print "+strings.Repeat("y", 1000))
	}
	s.script(flood...)
	log = s.Log.String()
	require.Contains(t, log, "logs too much in one request")
	require.Less(t, strings.Count(log, "y"), 70<<10)
}

func TestClocksRandomnessAndNoFiles(t *testing.T) {
	s := newScriptServer(t, 10*time.Second)
	ms, err := strconv.ParseInt(strings.TrimSpace(s.script("time").Body), 10, 64)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), time.UnixMilli(ms), time.Minute)
	require.NotEqual(t, s.script("random").Body, s.script("random").Body)
	require.Equal(t, "[] []\n", s.script("env").Body, "nothing of the host's environment or arguments")
	require.NotContains(t, s.script("open /etc/passwd").Body, "<nil>")
}

func TestStreamingBothWays(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/echo", guests.Wat(t, "echo"))
	in, out := io.Pipe()
	req, err := http.NewRequest("POST", s.URL+"/echo", in)
	require.NoError(t, err)
	answered := make(chan *http.Response, 1)
	go func() {
		res, err := s.Client().Do(req)
		if err == nil {
			answered <- res
		}
	}()
	fmt.Fprintln(out, "first")
	res := <-answered
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for _, want := range []string{"first\n", "second\n", "third\n"} {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, want, line, "a piece comes back before the next one is sent")
		switch want {
		case "first\n":
			fmt.Fprintln(out, "second")
		case "second\n":
			fmt.Fprintln(out, "third")
		}
	}
	out.Close()
	_, err = lines.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

func TestWritesGoOutBeforeASleep(t *testing.T) {
	s := newScriptServer(t, 20*time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, _ := newRequest("POST", s.URL+"/script", "write event\nsleep 1h")
	res, err := s.Client().Do(req.WithContext(ctx))
	require.NoError(t, err)
	defer res.Body.Close()
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "event\n", line)
	cancel()
	rec := s.Records.Nth(1)
	require.EqualValues(t, "client gone", rec.Outcome, "the guest is stopped when its client goes: %v", rec.Err)
	require.Less(t, rec.TTLB, 20*time.Second)
}

func TestRequestBodyLimit(t *testing.T) {
	s := newServer(t, wasm.Config{MaxBodyBytes: 1000})
	s.add("/echo", guests.Wat(t, "echo"))
	require.Equal(t, 200, s.do("POST", "/echo", strings.Repeat("x", 1000)).StatusCode)
	a := s.do("POST", "/echo", strings.Repeat("x", 1001))
	require.Equal(t, http.StatusRequestEntityTooLarge, a.StatusCode)
	require.Contains(t, a.Body, "larger than 1000 bytes")
	req, err := http.NewRequest("POST", s.URL+"/echo", io.MultiReader(strings.NewReader(strings.Repeat("x", 1001))))
	require.NoError(t, err) // without a length, the limit is detected while the guest reads
	res, err := s.Client().Do(req)
	if err == nil {
		res.Body.Close()
		require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	}
	require.EqualValues(t, "refused", s.Records.Nth(3).Outcome)
}

func TestSlowBodyIsTheClientsFault(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/cat", guests.Wat(t, "cat"), servicetest.WithTimeout(100*time.Millisecond))
	conn, err := net.Dial("tcp", s.Addr)
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprintf(conn, "POST /cat HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nStatus: 200\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestTimeout, res.StatusCode)
	require.Zero(t, s.Status("/cat").InFlight)
}

// A body with an invalid chunk is a bad request, whether the first part of it or a later one is invalid. One that ends early has no answer.
func TestMalformedChunksAreBadRequests(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/cat", guests.Wat(t, "cat"))
	for i, body := range []string{"zz\r\n", "5\r\nhelloX\r\n", "5\r\nhello\r\n-1\r\n", "5\r\nhello\r\nFFFFFFFFFFFFFFFFF\r\n"} {
		conn, err := net.Dial("tcp", s.Addr)
		require.NoError(t, err)
		defer conn.Close()
		fmt.Fprintf(conn, "POST /cat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%sGET /cat HTTP/1.1\r\nHost: x\r\n\r\n", body)
		from := bufio.NewReader(conn)
		res, err := http.ReadResponse(from, nil)
		require.NoError(t, err, "%q", body)
		require.Equal(t, http.StatusBadRequest, res.StatusCode, "%q", body)
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Contains(t, string(text), "chunked coding")
		rest, _ := io.ReadAll(from)
		require.Empty(t, rest, "what follows is no request")
		require.EqualValues(t, "refused", s.Records.Nth(i+1).Outcome)
	}
	require.Zero(t, s.Status("/cat").InFlight)
}

// TestSilentBodyGivesTheSlotBack is like TestSlowBodyIsTheClientsFault, with a service
// deadline that is far away: the minimum rate of the body must end the request.
func TestSilentBodyGivesTheSlotBack(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the silence that a body may have")
	}
	s := newServer(t, wasm.Config{})
	d := s.add("/cat", guests.Wat(t, "cat"), servicetest.WithTimeout(time.Hour))
	conn, err := net.Dial("tcp", s.Addr)
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprintf(conn, "POST /cat HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nStatus: 200\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestTimeout, res.StatusCode)
	require.Zero(t, d.Status().InFlight)
}

// TestSlowReaderDoesNotKeepTheSlot writes more than all buffers hold to a client that
// does not read. The guest must end at its deadline.
func TestSlowReaderDoesNotKeepTheSlot(t *testing.T) {
	s := newServer(t, wasm.Config{MaxBodyBytes: 1 << 20})
	d := s.add("/script", guests.Go(t, "script"), servicetest.WithTimeout(100*time.Millisecond))
	s.get("/script") // loads the module
	conn, err := net.Dial("tcp", s.Addr)
	require.NoError(t, err)
	defer conn.Close()
	body := strings.Repeat("fill 1000000\n", 100)
	fmt.Fprintf(conn, "POST /script HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	rec := s.Records.Nth(2)
	require.EqualValues(t, "deadline", rec.Outcome)
	require.ErrorContains(t, rec.Err, "did not take the answer")
	require.Positive(t, rec.BytesOut)
	require.Less(t, rec.TTLB, 5*time.Second, "there is no grace")
	require.Zero(t, d.Status().InFlight)
	n, _ := io.Copy(io.Discard, conn) // the connection is cut
	require.GreaterOrEqual(t, n, rec.BytesOut/2, "what was handed over before arrives")
}

// TestSlowReaderOfAStream is the same over HTTP/2, where the client's flow control window stays closed.
func TestSlowReaderOfAStream(t *testing.T) {
	s := newServer(t, wasm.Config{MaxBodyBytes: 1 << 20})
	d := s.add("/script", guests.Go(t, "script"), servicetest.WithTimeout(100*time.Millisecond))
	s.get("/script")
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	req, err := newRequest("POST", s.URL+"/script", strings.Repeat("fill 1000000\n", 100))
	require.NoError(t, err)
	res, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer res.Body.Close()
	rec := s.Records.Nth(2)
	require.EqualValues(t, "deadline", rec.Outcome)
	require.Less(t, rec.TTLB, 5*time.Second, "there is no grace")
	require.Zero(t, d.Status().InFlight)
}

func TestAnswersThatBreakOffAreAborted(t *testing.T) {
	s := newScriptServer(t, time.Second)
	for i, end := range []string{"panic too late", "sleep 1h"} {
		res, err := s.Client().Post(s.URL+"/script", "text/plain", strings.NewReader("fill 100000\n"+end))
		if err == nil { // the header may have been sent before the abort
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		require.Error(t, err, "a client can tell a broken answer from a whole one")
		require.NotEqualValues(t, "ok", s.Records.Nth(i+1).Outcome)
	}
}

// TestAnswersThatBreakOffEarlyAreProblems has guests that fail after they begin a
// response, but before any of it is sent.
func TestAnswersThatBreakOffEarlyAreProblems(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/spin", guests.Wat(t, "spin"), servicetest.WithTimeout(100*time.Millisecond))
	for path, want := range map[string]int{"partial": 500, "stall": 504} {
		a := s.get("/spin/" + path)
		require.Equal(t, want, a.StatusCode)
		require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"))
		require.NotContains(t, a.Body, "part\n")
	}
}

func TestHTTP2WithoutTLS(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/headers", guests.Go(t, "headers"))
	transport := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	req, err := http.NewRequest("POST", s.URL+"/headers", strings.NewReader("12345"))
	require.NoError(t, err)
	req.Trailer = http.Header{"X-After": {"later"}}
	res, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0", res.Proto)
	require.Contains(t, string(body), `"protocol":"HTTP/2.0"`)
	require.Contains(t, string(body), `"body_bytes":5`)
	require.Contains(t, string(body), `"x-after":["later"]`, "request trailers")
	require.NotEmpty(t, res.Trailer.Get("X-Trailer"), "response trailers")
}
