package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/bench/internal/peer"
	"github.com/vespo-dev/vespo/bench/internal/work"
)

// TestSharedPeerPassesHeaders asks stock wazero for a workload with net/http, whose guest answers only with a Content-Length.
func TestSharedPeerPassesHeaders(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a guest with net/http")
	}
	b := &bench{root: "..", keep: t.TempDir(), modules: map[string]string{}}
	file, err := b.module(t.Context(), work.Echo)
	require.NoError(t, err)
	module, err := os.ReadFile(file)
	require.NoError(t, err)
	h, closer, err := peer.Handler(t.Context(), peer.Config{Kind: peer.Shared, Service: work.Echo, Module: module, CacheDir: t.TempDir()})
	require.NoError(t, err)
	defer closer.Close()
	server := httptest.NewServer(h)
	defer server.Close()
	for range 2 {
		res, err := http.Post(server.URL+"/echo", "application/octet-stream", strings.NewReader("a body"))
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, "a body", string(body))
	}
}
