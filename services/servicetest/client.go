package servicetest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// Answer is a response whose body has been read.
type Answer struct {
	*http.Response
	Body string
}

// internals are words of errors that only the log may have.
var internals = []string{"127.0.0.1", "dial", "EOF", "malformed", "refused", "reset", "read tcp"}

// RequireProblem checks that the response is a problem of this kind, and that it reveals no internal error.
func (a Answer) RequireProblem(tb testing.TB, kind problem.Kind) {
	tb.Helper()
	require.Equal(tb, kind.Status(), a.StatusCode, a.Body)
	require.Equal(tb, problem.ContentType, a.Header.Get("Content-Type"))
	require.Contains(tb, a.Body, kind.Type())
	for _, internal := range internals {
		require.NotContains(tb, a.Body, internal)
	}
}

// NewRequest returns a request to a server, with header fields given as "Name: value". Names are sent as they are given.
// The request is bound by HangTimeout and by the end of the test.
func NewRequest(tb testing.TB, method, url string, body io.Reader, headers ...string) *http.Request {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), HangTimeout)
	tb.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	require.NoError(tb, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header[name] = append(r.Header[name], value)
	}
	return r
}

// Send sends r over a connection of its own and reads the response.
func Send(r *http.Request) (Answer, error) { return SendOver(newTransport(), r) }

// SendOver is Send over a connection of a transport.
func SendOver(transport http.RoundTripper, r *http.Request) (Answer, error) {
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return Answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	return Answer{Response: resp, Body: string(body)}, errors.Join(err, resp.Body.Close())
}

// newTransport returns a transport that keeps no connection and passes bodies on as they are.
func newTransport() *http.Transport {
	return &http.Transport{DisableKeepAlives: true, DisableCompression: true}
}

// Request returns a request for a path of the server; see NewRequest.
func (s *Server) Request(method, path string, body io.Reader, headers ...string) *http.Request {
	s.tb.Helper()
	return NewRequest(s.tb, method, s.URL+path, body, headers...)
}

// RoundTrip sends r over a connection of its own. The caller closes the body.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	return newTransport().RoundTrip(r)
}

// Do sends r over a connection of its own, and requires a response.
func (s *Server) Do(r *http.Request) Answer {
	s.tb.Helper()
	a, err := Send(r)
	require.NoError(s.tb, err)
	return a
}

// Send sends a request, and requires a response. An empty body is none.
func (s *Server) Send(method, path, body string, headers ...string) Answer {
	s.tb.Helper()
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	return s.Do(s.Request(method, path, from, headers...))
}

// Get requests a path.
func (s *Server) Get(path string, headers ...string) Answer {
	s.tb.Helper()
	return s.Send(http.MethodGet, path, "", headers...)
}

// Begin sends a request whose response comes later. The channel is closed without an answer if there is none.
func (s *Server) Begin(method, path, body string, headers ...string) <-chan Answer {
	s.tb.Helper()
	r := s.Request(method, path, strings.NewReader(body), headers...)
	answered := make(chan Answer, 1)
	s.clients.Go(func() {
		defer close(answered)
		if a, err := Send(r); err == nil {
			answered <- a
		}
	})
	return answered
}

// Await waits for the response to a request of Begin.
func (s *Server) Await(answered <-chan Answer) Answer {
	s.tb.Helper()
	a, ok := <-answered // bounded by the context of the request
	require.True(s.tb, ok, "there was no response")
	return a
}

// Dial opens a connection, which is closed at the end of the test.
func (s *Server) Dial() (*net.TCPConn, *bufio.Reader) {
	s.tb.Helper()
	conn, err := new(net.Dialer).DialContext(s.tb.Context(), "tcp", s.Addr)
	require.NoError(s.tb, err)
	s.tb.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn), bufio.NewReader(conn)
}

// HTTP2 returns a transport that speaks HTTP/2 without TLS. It is closed at the end of the test.
func (s *Server) HTTP2() *http.Transport {
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	transport.Protocols.SetUnencryptedHTTP2(true)
	s.tb.Cleanup(transport.CloseIdleConnections)
	return transport
}

// Call serves a request with a handler that is not routed, such as a closed deployment, and returns the handler's error.
func Call(h router.Handler, method, path string) error {
	r := &router.Request{Request: httptest.NewRequest(method, path, http.NoBody), Rest: path}
	return h.Serve(httptest.NewRecorder(), r, &accesslog.Result{})
}
