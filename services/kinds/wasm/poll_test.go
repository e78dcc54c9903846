package wasm

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/router"
)

// serveExchange calls use with the exchange of each request, as an instance would that polls. No ABI does yet.
func serveExchange(t *testing.T, use func(x *exchange)) *httptest.Server {
	t.Helper()
	d := &deployment{version: &version{kind: &Kind{cfg: Config{MaxBodyBytes: 8}}}}
	x := newExchange(d)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.begin(w, &router.Request{Request: r}, d, time.Now().Add(time.Minute))
		use(x)
		x.end()
	}))
	t.Cleanup(s.Close)
	return s
}

// begun sends the header of a request with a body, and returns the connection.
func begun(t *testing.T, s *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	require.NoError(t, err)
	return conn
}

func polled(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestBodiesCanBePolled(t *testing.T) {
	waits, done := make(chan struct{}), make(chan string)
	s := serveExchange(t, func(x *exchange) {
		ready := x.Body.Ready()
		early := polled(ready)
		close(waits)
		<-ready
		first := make([]byte, 10)
		n, err := x.Body.Read(first)
		if early || err != nil {
			t.Errorf("early: %v, error: %v", early, err)
		}
		rest, err := io.ReadAll(x.Body)
		if err != nil {
			t.Error(err)
		}
		<-x.Body.Ready() // the end
		done <- string(first[:n]) + "|" + string(rest)
	})
	conn := begun(t, s)
	<-waits
	_, err := io.WriteString(conn, "2\r\nab\r\n")
	require.NoError(t, err)
	_, err = io.WriteString(conn, "2\r\ncd\r\n0\r\n\r\n")
	require.NoError(t, err)
	require.Equal(t, "abcd", strings.Replace(<-done, "|", "", 1))
}

// TestPolledBodiesHaveTheSameLimit checks that polling does not hide why a body failed.
func TestPolledBodiesHaveTheSameLimit(t *testing.T) {
	s := serveExchange(t, func(x *exchange) {
		<-x.Body.Ready()
		if x.body.ended() != client.Open {
			t.Error("the guest has not read it")
		}
		read, err := io.ReadAll(x.Body)
		if len(read) != 8 || err == nil || x.body.ended() != client.TooLarge {
			t.Errorf("%d bytes, error: %v, end: %v", len(read), err, x.body.ended())
		}
	})
	res, err := http.Post(s.URL, "text/plain", strings.NewReader("123456789"))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
}

// TestPolledBodiesThatDoNotArrive checks that the request ends with its guest, and that the next one is served.
func TestPolledBodiesThatDoNotArrive(t *testing.T) {
	s := serveExchange(t, func(x *exchange) {
		if x.request.ContentLength < 0 {
			x.Body.Ready()
		}
		x.response.WriteHeader(http.StatusAccepted)
	})
	conn := begun(t, s)
	answer := make([]byte, len("HTTP/1.1 202"))
	_, err := io.ReadFull(conn, answer)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 202", string(answer))
	res, err := http.Get(s.URL)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusAccepted, res.StatusCode)
}
