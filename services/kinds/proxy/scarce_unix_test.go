//go:build unix

package proxy_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
)

// Without free descriptors, the server answers with 503 and sets no upstream aside.
func TestNoDescriptorsLeft(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up := serveHTTP(t, func(http.ResponseWriter, *http.Request) {})
	f.to("/up", up.URL)
	conn, from := f.Dial()
	get := func(path string) *http.Response {
		_, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(from, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		return resp
	}
	require.Equal(t, http.StatusNotFound, get("/none").StatusCode) // makes the server accept the connection
	release := crashtest.NoDescriptors(t)
	for n := range 3 {
		resp := get("/up")
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		require.Equal(t, "1", resp.Header.Get("Retry-After"))
		require.Equal(t, accesslog.OutcomeNoCapacity, f.Records.Nth(n+2).Outcome)
	}
	require.Equal(t, up.URL, f.Status("/up").Target, "no upstream is set aside")
	release()
	require.Equal(t, http.StatusOK, get("/up").StatusCode)
}
