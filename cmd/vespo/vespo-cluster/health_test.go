package main

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// status returns the status of an answer; 0 if there is none.
func (h *host) status(path string) int {
	resp, err := h.client.Get(h.url + path)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// storeState is what a host says of its store.
type storeState struct {
	URL, State, Problem string
	Generation          uint64
	StoreGeneration     uint64  `json:"store_generation"`
	SecondsBehind       float64 `json:"seconds_behind"`
}

func (h *host) storeState() storeState {
	var answer struct{ Store storeState }
	_ = json.Unmarshal([]byte(h.body("/services/list")), &answer) // empty: not reached
	return answer.Store
}

// metric returns the value of a metric, with its labels, as text.
func (h *host) metric(name string) string {
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (.*)$`).FindStringSubmatch(h.body("/services/metrics"))
	if found == nil {
		return ""
	}
	return found[1]
}

// TestStoreHealth takes etcd away and gives it back. Hosts say so once, in their log, and in what they answer; only the one
// with --max-lag is not ready meanwhile.
func TestStoreHealth(t *testing.T) {
	server := etcdtest.Start(t)
	url := server.URL("health")
	strict, other := newHost(t, url+"?timeout=1s"), newHost(t, url+"?timeout=1s")
	strict.args = append(strict.args, "--max-lag", "2s")
	all := []*host{strict, other}
	for _, h := range all {
		h.start()
	}
	status, answer := strict.redirect("/a", "/1")
	require.Equal(t, http.StatusCreated, status, answer)
	for _, h := range all {
		h.eventually(func() bool {
			return h.storeState() == storeState{URL: url, State: "current", Generation: 1, StoreGeneration: 1}
		})
		h.eventually(func() bool { return h.status("/services/ready") == http.StatusOK })
		require.Equal(t, "1", h.metric(`vespo_store_state{state="current"}`))
		require.Equal(t, "1", h.metric("vespo_store_served_generation"))
		require.Equal(t, "0", h.metric("vespo_store_behind_seconds"))
		require.Equal(t, "2", h.metric("vespo_store_hosts"))
	}
	require.Equal(t, "1", strict.metric("vespo_store_changes_total"))
	require.Equal(t, "2", strict.metric("vespo_store_writes_total"), "the service and the head")
	require.Equal(t, "0", other.metric("vespo_store_changes_total"))

	server.Kill(t)
	for _, h := range all {
		h.eventually(func() bool { return h.storeState().State == "lost" })
		require.NotEmpty(t, h.storeState().Problem)
		require.Contains(t, h.body("/services/health"), `"store":"lost"`)
		require.Equal(t, "1", h.metric(`vespo_store_state{state="lost"}`))
		h.eventually(func() bool {
			return h.metric(`vespo_store_requests_total{operation="transaction",result="failed"}`) != "0"
		})
	}
	strict.eventually(func() bool { return strict.status("/services/ready") == http.StatusServiceUnavailable })
	require.Equal(t, http.StatusOK, other.status("/services/ready"))
	require.Equal(t, "/1", strict.seen("/a"))
	status, answer = other.redirect("/a", "/2")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, answer, url)
	out, err := other.vespo("", "list")
	require.NoError(t, err, out)
	require.Contains(t, out, "store "+url+": lost at generation 1")

	server.Run(t)
	for _, h := range all {
		h.eventually(func() bool { return h.storeState().State == "current" })
		h.eventually(func() bool { return h.status("/services/ready") == http.StatusOK })
		require.Equal(t, 1, strings.Count(h.log.String(), "the store of the catalogue is lost"), "%s", h.log)
		require.Equal(t, 1, strings.Count(h.log.String(), "the store of the catalogue is back"), "%s", h.log)
	}
	other.eventually(func() bool { status, _ := other.redirect("/a", "/3"); return status == http.StatusOK })
	strict.eventually(func() bool { return strict.seen("/a") == "/3" })
}
