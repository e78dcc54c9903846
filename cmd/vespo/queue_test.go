package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// addQueue deploys a durable queue, and returns the URL at which its workers fetch requests.
func addQueue(t *testing.T, c *remote.Client) string {
	t.Helper()
	a, err := c.Call(t.Context(), http.MethodPost, "/services/add",
		url.Values{"prefix": {"jobs"}, "queue": {"true"}, "durable": {"true"}, "redeliver": {"true"}, "lease": {"2s"}}, remote.Upload{})
	require.NoError(t, err)
	m := regexp.MustCompile(`workers at (http://[^ "]+)`).FindSubmatch(a.Body)
	require.NotNil(t, m, string(a.Body))
	return string(m[1])
}

// workOn answers requests with their body until ctx ends.
func workOn(ctx context.Context, url string) {
	for ctx.Err() == nil {
		status, text := exchange(ctx, http.MethodGet, url, nil)
		if status != http.StatusOK {
			continue
		}
		var taken struct {
			Identifier string
			Body       []byte
		}
		if json.Unmarshal(text, &taken) == nil {
			answer := fmt.Appendf(nil, `{"identifier":%q,"code":200,"headers":{},"body":%q}`, taken.Identifier, asBase64("did "+string(taken.Body)))
			exchange(ctx, http.MethodPost, url, answer)
		}
	}
}

func asBase64(text string) string {
	quoted, err := json.Marshal([]byte(text))
	if err != nil {
		panic(err)
	}
	return strings.Trim(string(quoted), `"`)
}

// TestKillWithStoredRequests kills a server repeatedly while requests are accepted, leased
// and answered. Every acknowledged request is answered in the end, some by a second worker.
func TestKillWithStoredRequests(t *testing.T) {
	const rounds, clients, acceptedPerRound = 4, 4, 60
	data := t.TempDir()
	results := map[string]string{} // location to the expected result
	for round := range rounds {
		p, c := launch(t, data, "--worker-listen=127.0.0.1:0")
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var mu sync.Mutex
		workers := addQueue(t, c)
		for range 2 {
			all.Go(func() { workOn(ctx, workers) })
		}
		accepted := 0
		for n := range clients {
			all.Go(func() {
				for i := 0; ; i++ {
					body := fmt.Sprint(round, "-", n, "-", i)
					resp, err := http.Post(c.Base()+"/jobs?async=1", "text/plain", strings.NewReader(body))
					if err != nil {
						return
					}
					_ = resp.Body.Close()
					mu.Lock()
					if resp.StatusCode == http.StatusAccepted {
						results[resp.Header.Get("Location")] = "did " + body
						accepted++
					}
					enough := accepted >= acceptedPerRound
					mu.Unlock()
					if enough {
						p.kill()
						stop()
						return
					}
				}
			})
		}
		all.Wait()
		stop()
	}
	require.GreaterOrEqual(t, len(results), rounds*acceptedPerRound)
	requireResults(t, data, results)
}

// TestQueuesLeaveConnections checks that queues without
// workers do not take the connections of other services.
func TestQueuesLeaveConnections(t *testing.T) {
	const connections = 8
	p, c := launch(t, t.TempDir(), "--worker-listen=127.0.0.1:0", fmt.Sprint("--max-connections=", connections))
	_, err := post(t.Context(), c, "/hello", guests.Wat(t, "hello"))
	require.NoError(t, err)
	addQueue(t, c)
	once := &http.Client{Timeout: hangTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) int {
		resp, err := once.Get(c.Base() + path)
		if err != nil {
			return 0
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	var waiting sync.WaitGroup
	for range connections / 2 {
		waiting.Go(func() { get("/jobs") })
	}
	require.Eventually(t, func() bool {
		a, err := c.Get(t.Context(), "/services/inspect", url.Values{"prefix": {"jobs"}})
		return err == nil && strings.Contains(string(a.Body), fmt.Sprintf(`"waiting":%d`, connections/2))
	}, hangTimeout, time.Millisecond)
	for range 3 {
		require.Equal(t, http.StatusServiceUnavailable, get("/jobs"))
		require.Equal(t, http.StatusOK, get("/hello"))
	}
	p.kill()
	waiting.Wait()
}

// TestStopWithQueuedRequests checks that a stopping server lets workers
// fetch and answer its queued requests, even workers that connect only then.
func TestStopWithQueuedRequests(t *testing.T) {
	p, c := launch(t, t.TempDir(), "--worker-listen=127.0.0.1:0")
	workers := addQueue(t, c)
	answered := make(chan string, 1)
	go func() {
		_, text := exchange(context.Background(), http.MethodPost, c.Base()+"/jobs", []byte("work"))
		answered <- string(text)
	}()
	require.Eventually(t, func() bool {
		a, err := c.Get(t.Context(), "/services/inspect", url.Values{"prefix": {"jobs"}})
		return err == nil && strings.Contains(string(a.Body), `"waiting":1`)
	}, hangTimeout, time.Millisecond)
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	require.True(t, p.await(regexp.MustCompile("draining")))
	ctx, stop := context.WithCancel(t.Context())
	var worker sync.WaitGroup
	worker.Go(func() { workOn(ctx, workers) })
	require.Equal(t, "did work", <-answered)
	<-p.exited
	require.Zero(t, p.cmd.ProcessState.ExitCode(), p.stderr)
	stop()
	worker.Wait()
}

// requireResults starts the server again, with workers, and requires all results.
func requireResults(t *testing.T, data string, results map[string]string) {
	t.Helper()
	_, c := launch(t, data, "--worker-listen=127.0.0.1:0")
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	workers := addQueue(t, c)
	for range 2 {
		all.Go(func() { workOn(ctx, workers) })
	}
	for location, want := range results {
		require.Eventually(t, func() bool {
			status, text := exchange(ctx, http.MethodGet, c.Base()+location, nil)
			return status == http.StatusOK && string(text) == want
		}, hangTimeout, 5*time.Millisecond, "%s: %s", location, want)
	}
}
