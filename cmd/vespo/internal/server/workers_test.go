package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
)

// TestSilentConnectionsOfWorkers checks that silent connections to the listener
// for workers keep no worker out, and that busy connections stay open.
func TestSilentConnectionsOfWorkers(t *testing.T) {
	r := runDemo(t, "--slots=2", "--max-connections=8", "--worker-listen=127.0.0.1:0", "--data="+t.TempDir())
	c, err := remote.NewClient(r.url, "")
	require.NoError(t, err)
	a, err := c.Call(t.Context(), http.MethodPost, "/services/add", url.Values{"prefix": {"jobs"}, "queue": {"true"}}, remote.Upload{})
	require.NoError(t, err)
	found := regexp.MustCompile(`workers at (http://[^ "]+)`).FindSubmatch(a.Body)
	require.NotNil(t, found, string(a.Body))
	at, err := url.Parse(string(found[1]))
	require.NoError(t, err)
	busy, err := net.Dial("tcp", at.Host)
	require.NoError(t, err)
	defer busy.Close()
	fmt.Fprintf(busy, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n", at.Path, at.Host)
	interim := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	_, err = io.ReadFull(busy, interim)
	require.NoError(t, err)
	for range 8 {
		silent, err := net.Dial("tcp", at.Host)
		require.NoError(t, err)
		defer silent.Close()
	}
	worker := &http.Client{Timeout: headerTimeout / 2} // before the silent connections reach the limit for a header
	resp, err := worker.Get("http://" + at.Host + "/no-queue")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	_, err = io.WriteString(busy, "{}")
	require.NoError(t, err)
	answer, err := io.ReadAll(busy)
	require.NoError(t, err)
	require.Contains(t, string(answer), "HTTP/1.1 404 ")
}
