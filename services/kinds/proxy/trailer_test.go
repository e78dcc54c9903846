package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/proxy"
)

// trailing starts an upstream that sends trailers, forbidden ones included. It sends
// the trailers it receives to got.
func trailing(t *testing.T, scheme string, got chan<- http.Header) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got <- r.Trailer.Clone()
		if scheme == "h2c" { // HTTP/2 clients accept only announced trailers
			w.Header().Set("Trailer", "X-Good, Set-Cookie, X-Request-Id, X-Forwarded-For")
		}
		fmt.Fprint(w, "body")
		_ = http.NewResponseController(w).Flush()
		for _, name := range []string{"X-Good", "Set-Cookie", "X-Request-Id", "X-Forwarded-For"} {
			if scheme != "h2c" {
				name = http.TrailerPrefix + name
			}
			w.Header().Set(name, "v")
		}
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(scheme == "http")
	s.Config.Protocols.SetUnencryptedHTTP2(scheme == "h2c")
	s.Start()
	t.Cleanup(s.Close)
	return scheme + strings.TrimPrefix(s.URL, "http")
}

func TestTrailersThatMayNotBe(t *testing.T) {
	for _, scheme := range []string{"http", "h2c"} {
		f := newFront(t, proxy.Config{})
		got := make(chan http.Header, 1)
		f.to("/", trailing(t, scheme, got))
		conn, from := f.Dial()
		_, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Good, X-Forwarded-For\r\n\r\n1\r\nx\r\n0\r\n"+
			"X-Good: v\r\nHost: forged\r\nTransfer-Encoding: chunked\r\nX-Forwarded-For: 1.1.1.1\r\nX_Forwarded_For: 1.1.1.1\r\n\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(from, nil)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "body", string(body))
		require.Equal(t, http.Header{"X-Good": {"v"}}, resp.Trailer, scheme)
		require.Equal(t, http.Header{"X-Good": {"v"}}, <-got, scheme)
	}
}

// TestEarlyAnswerOverHTTP2 is TestAnswerBeforeTheBody for an HTTP/2 upstream, which
// does not close the connection.
func TestEarlyAnswerOverHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	f := newFront(t, proxy.Config{})
	f.to("/", "h2c"+strings.TrimPrefix(s.URL, "http"))
	for range 10 {
		require.Equal(t, http.StatusRequestEntityTooLarge, f.Do(f.Request("POST", "/", strings.NewReader(strings.Repeat("x", 4<<20)))).StatusCode)
	}
}

// TestEncodedDotSegments requests paths above the path of an upstream.
func TestEncodedDotSegments(t *testing.T) {
	f := newFront(t, proxy.Config{})
	paths := make(chan string, 8)
	up := serveHTTP(t, func(_ http.ResponseWriter, r *http.Request) { paths <- r.RequestURI })
	f.to("/based", up.URL+"/v1")
	f.to("/whole", up.URL)
	f.bind("/kept", proxy.Document{Upstreams: []string{up.URL}, KeepPrefix: true})
	status := func(path string) int {
		conn, err := net.Dial("tcp", f.Addr)
		require.NoError(t, err)
		defer conn.Close()
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		return resp.StatusCode
	}
	for _, climb := range []string{"/..%2fadmin", "/..%5cadmin", "/..;/admin", "/a%2f%2e%2e%2f..%2fadmin", "/%252e%252e/admin", "/%2e%2e/admin", "/../admin"} {
		require.Equal(t, 400, status("/based"+climb), climb)
		require.Equal(t, 400, status("/kept"+climb), climb)
	}
	require.Equal(t, 200, status("/based/a%2Fb"))
	require.Equal(t, "/v1/a%2Fb", <-paths)
	require.Equal(t, 200, status("/whole/..%2fadmin"))
	require.Equal(t, "/..%2fadmin", <-paths)
}
