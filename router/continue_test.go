package router

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
)

// serveOn returns the address of a server with one service, at /a.
func serveOn(t *testing.T, h HandlerFunc) string {
	t.Helper()
	rt := New(Config{})
	limiter := admission.NewGate(1).NewLimiter(admission.Limits{})
	table, err := BuildTable([]*Route{NewRoute(Binding{Key: routekey.Key{Prefix: "/a"}, Service: "a", Limiter: limiter, Handler: h})})
	require.NoError(t, err)
	rt.Publish(table)
	server := start(rt)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// A client that sends Expect gets a refusal without sending its body.
func TestRefusalComesBeforeTheBody(t *testing.T) {
	address := serveOn(t, func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		w.WriteHeader(http.StatusForbidden)
		return nil
	})
	for path, status := range map[string]string{"/nothing": "404 Not Found", "/a": "403 Forbidden"} {
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", path)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.Equal(t, status, resp.Status)
	}
}

// Trailers that were not announced reach the handler, too.
func TestTrailersReachTheHandler(t *testing.T) {
	got := make(chan http.Header, 1)
	address := serveOn(t, func(_ http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		_, err := io.Copy(io.Discard, r.Body)
		got <- r.Trailer
		return err
	})
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.Copy(conn, strings.NewReader("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nSum: 1\r\n\r\n"))
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, "200 OK", resp.Status)
	require.Equal(t, http.Header{"Sum": {"1"}}, <-got)
}
