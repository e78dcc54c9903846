package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/testdata/guests"
)

// logEvent is a server-sent event of a log.
type logEvent struct {
	N         uint64
	RequestID string `json:"request_id"`
	Source    string
}

// followLogs calls f with the events of a stream, until it ends or f returns false.
func followLogs(ctx context.Context, base, query, last string, f func(logEvent) bool) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/services/logs?"+query, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Last-Event-ID", last)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		data, ok := strings.CutPrefix(in.Text(), "data: {\"n\":")
		if !ok {
			continue
		}
		var e logEvent
		if err := json.Unmarshal([]byte("{\"n\":"+data), &e); err != nil {
			return err
		}
		if !f(e) {
			return nil
		}
	}
	return in.Err()
}

// loadHello sends requests until ctx ends or the server is gone. The result waits for that, and checks that none has failed.
func loadHello(ctx context.Context, t *testing.T, base string) (wait func()) {
	var load sync.WaitGroup
	var failed atomic.Int64
	for range 3 {
		load.Go(func() {
			for ctx.Err() == nil {
				resp, err := http.Get(base + "/hello")
				if err != nil {
					return
				}
				if resp.StatusCode != http.StatusOK {
					failed.Add(1)
				}
				_ = resp.Body.Close()
			}
		})
	}
	return func() {
		load.Wait()
		require.Zero(t, failed.Load())
	}
}

// TestLogsAfterAKill kills a server under load, with a follower, several times. Each entry that the follower had received
// is in the log afterwards, once and in the same order, and a follower goes on behind the last one.
func TestLogsAfterAKill(t *testing.T) {
	const rounds, enough = 3, 100
	data := t.TempDir()
	var received []logEvent
	for range rounds {
		p, c := launch(t, data)
		_, err := post(t.Context(), c, "/hello", guests.Wat(t, "hello"))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		unload := loadHello(ctx, t, c.Base())
		last, seen := "", 0
		if n := len(received); n > 0 {
			last = fmt.Sprint(received[n-1].N)
		}
		require.NoError(t, followLogs(ctx, c.Base(), "follow=true&limit=10000", last, func(e logEvent) bool {
			received = append(received, e)
			seen++
			return seen < enough
		}))
		p.kill()
		cancel()
		unload()
	}
	p, c := launch(t, data)
	var kept []logEvent
	require.NoError(t, followLogs(t.Context(), c.Base(), "limit=10000", "", func(e logEvent) bool {
		kept = append(kept, e)
		return true
	}))
	at := map[logEvent]int{}
	for i, e := range kept {
		require.NotContains(t, at, e)
		at[e] = i
	}
	previous := -1
	for _, e := range received {
		i, found := at[e]
		require.True(t, found, "%+v", e)
		require.Greater(t, i, previous)
		previous = i
	}
	requests := 0
	for _, e := range received {
		if e.Source == "request" {
			requests++
		}
	}
	require.Greater(t, requests, enough)

	// All that belongs to one request is found by its id.
	id := received[len(received)-1].RequestID
	if id != "" {
		found := 0
		require.NoError(t, followLogs(t.Context(), c.Base(), url.Values{"id": {id}}.Encode(), "", func(e logEvent) bool {
			require.Equal(t, id, e.RequestID)
			found++
			return true
		}))
		require.Positive(t, found)
	}
	p.kill()
}
