package server

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// added deploys a service by the management API, which must succeed.
func added(t *testing.T, url string, fields map[string]any) {
	t.Helper()
	body, err := json.Marshal(fields)
	require.NoError(t, err)
	resp, err := http.Post(url+"/services/add", "application/json", strings.NewReader(string(body)))
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Less(t, resp.StatusCode, 300, "%s", text)
}

// requireAnswer sends a request, and checks the status.
func requireAnswer(t *testing.T, status int, url string) *http.Response {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, status, resp.StatusCode)
	return resp
}

// TestServicesServeAsManyRequestsAsTheySay holds one request to an upstream and one to a guest.
func TestServicesServeAsManyRequestsAsTheySay(t *testing.T) {
	taken, done := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			taken <- struct{}{}
			<-done
		}
	}))
	defer upstream.Close()
	cfg, err := parse(t, "--listen=127.0.0.1:0", "--slots=4", "--memory=1MiB", "--queue-wait=50ms", "--allow-private-sources", "--data="+t.TempDir())
	require.NoError(t, err)
	_, url := listening(t, cfg)
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		module, err := os.ReadFile("../../../../testdata/guests/wat" + r.URL.Path)
		if err == nil {
			_, err = w.Write(module)
		}
		require.NoError(t, err)
	}))
	defer files.Close()

	atATime := func(n int) {
		added(t, url, map[string]any{"prefix": "up", "upstream": []string{upstream.URL}, "concurrency": n})
		added(t, url, map[string]any{"prefix": "echo", "source": files.URL + "/echo.wasm", "concurrency": n})
	}
	atATime(1)
	added(t, url, map[string]any{"prefix": "other", "source": files.URL + "/hello.wasm"})
	go func() { _, _ = http.Get(url + "/up/hold") }() // ended by done
	<-taken
	body, rest := io.Pipe()
	defer rest.Close()
	held := make(chan struct{})
	go func() {
		defer close(held)
		_, _ = http.Post(url+"/echo", "text/plain", body)
	}()
	go func() { // ended by the end of the body
		for written := error(nil); written == nil; <-time.After(100 * time.Millisecond) { // a guest waits for 5 s
			_, written = rest.Write([]byte("."))
		}
	}()
	require.Eventually(t, func() bool {
		resp, err := http.Get(url + "/echo")
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusServiceUnavailable
	}, time.Minute, 10*time.Millisecond)
	for _, path := range []string{"/up", "/echo"} {
		require.NotEmpty(t, requireAnswer(t, http.StatusServiceUnavailable, url+path).Header.Get("Retry-After"))
	}
	requireAnswer(t, http.StatusOK, url+"/other")

	atATime(2)
	requireAnswer(t, http.StatusOK, url+"/up")
	requireAnswer(t, http.StatusOK, url+"/echo")
	close(done)
	require.NoError(t, rest.Close())
	<-held
	atATime(1)
	requireAnswer(t, http.StatusOK, url+"/up")
	requireAnswer(t, http.StatusOK, url+"/echo")
}
