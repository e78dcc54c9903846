package main

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// TestCompiledCode deploys on one host, and serves on a new one without a compilation. A host that does not exchange code
// compiles.
func TestCompiledCode(t *testing.T) {
	server := etcdtest.Start(t)
	first, second, careful := newHost(t, server.URL("code")), newHost(t, server.URL("code")), newHost(t, server.URL("code"))
	first.args, second.args = append(first.args, "--peer-code"), append(second.args, "--peer-code")
	first.start()
	for _, prefix := range []string{"one", "two"} {
		status, answer := first.post("/services/add", url.Values{"prefix": {prefix}}, guest(t, "hello"))
		require.Equal(t, http.StatusCreated, status, answer)
	}
	first.eventually(func() bool { return first.count("vespo_code_cache_files") == 1 })

	second.start()
	require.Equal(t, "hello from vespo", second.body("/one"))
	require.Equal(t, "hello from vespo", second.body("/two"))
	require.Zero(t, second.count("vespo_code_cache_requests_total{result=\"miss\"}"))
	require.Positive(t, second.count(`vespo_peer_code_total{result="received"}`))
	require.Zero(t, second.count(`vespo_peer_code_total{result="refused"}`))
	second.eventually(func() bool { return second.count(`vespo_peer_blobs_total{result="ok"}`) == 1 })

	status, answer := first.post("/services/add", url.Values{"prefix": {"known"}}, guest(t, "hello"))
	require.Equal(t, http.StatusCreated, status, answer) // now it knows the second one

	// A deploy is compiled once, by the host that takes it in.
	status, answer = second.post("/services/add", url.Values{"prefix": {"three"}}, guest(t, "echo"))
	require.Equal(t, http.StatusCreated, status, answer)
	first.eventually(func() bool { return first.count(`vespo_peer_code_total{result="received"}`) > 0 })

	careful.start()
	require.Equal(t, "hello from vespo", careful.body("/one"))
	require.Positive(t, careful.count("vespo_code_cache_requests_total{result=\"miss\"}"))
	require.Zero(t, careful.count(`vespo_peer_code_total{result="received"}`))
}

// count returns a value of the host's metrics; -1 if there is none.
func (h *host) count(series string) float64 {
	value, err := strconv.ParseFloat(h.metric(series), 64)
	if err != nil {
		return -1
	}
	return value
}
