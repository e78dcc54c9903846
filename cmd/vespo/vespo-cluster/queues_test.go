package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
)

// startQueues starts a host with an engine for durable queues.
func (h *host) startQueues(engine string, args ...string) {
	h.t.Helper()
	before := h.args
	h.args = append(append(slices.Clone(before), "--queues", engine), args...)
	h.start()
	h.args = before
}

// addQueue deploys the durable queue /jobs.
func (h *host) addQueue(fields ...string) {
	h.t.Helper()
	query := url.Values{"prefix": {"jobs"}, "queue": {"true"}, "durable": {"true"}}
	for i := 0; i < len(fields); i += 2 {
		query.Set(fields[i], fields[i+1])
	}
	status, answer := h.post("/services/add", query, nil)
	require.Contains(h.t, []int{http.StatusCreated, http.StatusOK}, status, answer)
}

// workersAt returns the address of the host's listener for workers.
func (h *host) workersAt() (at string) {
	h.t.Helper()
	pattern := regexp.MustCompile(`workers can connect" address=(\S+)`)
	h.eventually(func() bool {
		if m := pattern.FindStringSubmatch(h.log.String()); m != nil {
			at = "http://" + m[1]
		}
		return at != ""
	})
	return at
}

// job is a request as a worker gets it.
type job struct {
	Identifier  string
	Environment map[string]string
	Body        []byte
}

// send sends a request, and returns the status, the body and the header of the answer; 0 if there is none.
func send(client *http.Client, method, url, body string, headers ...string) (status int, answer string, header http.Header) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, err.Error(), nil
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error(), nil
	}
	return resp.StatusCode, string(text), resp.Header
}

// take takes a request of /jobs as a worker. It returns false if there is none now.
func take(client *http.Client, at string) (j job, ok bool) {
	status, text, _ := send(client, http.MethodGet, at+"/api/v1/jobs/request", "")
	return j, status == http.StatusOK && json.Unmarshal([]byte(text), &j) == nil
}

// answer answers a request as a worker, and returns the status.
func answer(client *http.Client, at string, j job, body string) int {
	text, err := json.Marshal(map[string]any{"identifier": j.Identifier, "code": 200, "headers": map[string]string{}, "body": []byte(body)})
	if err != nil {
		return 0
	}
	status, _, _ := send(client, http.MethodPost, at+"/api/v1/jobs/response", string(text))
	return status
}

// TestSharedQueues lets a worker of one host answer the requests of another.
func TestSharedQueues(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	url := "postgres://postgres@" + engine.Address + "/postgres"
	a, b := newKVHost(t), newKVHost(t)
	for _, h := range []*host{a, b} {
		h.startQueues(url)
		h.addQueue()
	}
	worker := &http.Client{}
	defer worker.CloseIdleConnections()
	for n := range 3 {
		answered := make(chan string, 1)
		go func() {
			status, text, _ := send(a.client, http.MethodPost, a.url+"/jobs/x", fmt.Sprint("waiting ", n))
			answered <- fmt.Sprint(status, " ", text)
		}()
		var j job
		b.eventually(func() bool {
			var ok bool
			j, ok = take(worker, b.workersAt())
			return ok
		})
		require.Equal(t, fmt.Sprint("waiting ", n), string(j.Body))
		require.Equal(t, http.StatusOK, answer(worker, b.workersAt(), j, "by b"))
		require.Equal(t, "200 by b", <-answered)
	}
	status, text, header := send(a.client, http.MethodPost, a.url+"/jobs/x?async=1", "later")
	require.Equal(t, http.StatusAccepted, status, text)
	for _, h := range []*host{a, b} {
		h.eventually(func() bool {
			text := h.body("/services/metrics")
			return strings.Contains(text, "\nvespo_queue_stored 4\n") && strings.Contains(text, "\nvespo_queue_engine_away 0\n") &&
				strings.Contains(text, `vespo_queue_waiting{service="/jobs"} 1`)
		})
	}
	a.kill()
	j, ok := take(worker, b.workersAt())
	require.True(t, ok)
	require.Equal(t, "later", string(j.Body))
	require.Equal(t, "/x?async=1", j.Environment["PATH_INFO"])
	require.Equal(t, http.StatusOK, answer(worker, b.workersAt(), j, "by b"))
	b.kill()
	a.startQueues(url)
	status, text, header = send(a.client, http.MethodGet, a.url+header.Get("Location"), "")
	require.Equal(t, http.StatusOK, status, text)
	require.Equal(t, "by b", text)
	require.Equal(t, "answered", header.Get("Vespo-Result"))
}

// TestWithoutTheEngine serves clients that wait by workers of their own host, and refuses what needs the engine.
func TestWithoutTheEngine(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	url := "postgres://postgres@" + engine.Address + "/postgres?timeout=2s"
	a := newKVHost(t)
	a.startQueues(url)
	a.addQueue()
	worker := &http.Client{}
	defer worker.CloseIdleConnections()
	status, text, header := send(a.client, http.MethodPost, a.url+"/jobs/x?async=1", "kept")
	require.Equal(t, http.StatusAccepted, status, text)
	location := header.Get("Location")
	engine.Kill(t)
	for range 2 {
		a.eventually(func() bool {
			status, text, header = send(a.client, http.MethodPost, a.url+"/jobs/x?async=1", "refused")
			return status == http.StatusServiceUnavailable && strings.Contains(text, "was not accepted")
		})
		require.Equal(t, "1", header.Get("Retry-After"))
		status, text, _ = send(a.client, http.MethodGet, a.url+location, "")
		require.Equal(t, http.StatusServiceUnavailable, status, text)
		require.NotContains(t, text, engine.Address)
		answered := make(chan string, 1)
		go func() {
			_, text, _ := send(a.client, http.MethodPost, a.url+"/jobs/x", "waits")
			answered <- text
		}()
		var j job
		a.eventually(func() bool {
			var ok bool
			j, ok = take(worker, a.workersAt())
			return ok
		})
		require.Equal(t, "waits", string(j.Body))
		require.Equal(t, http.StatusOK, answer(worker, a.workersAt(), j, "here"))
		require.Equal(t, "here", <-answered)
		require.Contains(t, a.body("/services/metrics"), "\nvespo_queue_engine_away 1\n")
		a.kill()
		a.startQueues(url)
	}
	engine.Run(t)
	var j job
	a.eventually(func() bool {
		var ok bool
		j, ok = take(worker, a.workersAt())
		return ok
	})
	require.Equal(t, "kept", string(j.Body))
	require.Equal(t, http.StatusOK, answer(worker, a.workersAt(), j, "late, but here"))
	status, text, _ = send(a.client, http.MethodGet, a.url+location, "")
	require.Equal(t, "late, but here", text, status)
}
