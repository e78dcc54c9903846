package queue_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest"
)

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// worker fetches and answers requests over HTTP until it is stopped or dies.
type worker struct {
	url     string
	http    *http.Client
	dies    func() bool  // called for each request taken; if true, the request is never answered
	thanked atomic.Int64 // number of accepted answers
}

// work runs the worker. It reports whether the worker has died.
func (w *worker) work(ctx context.Context) (died bool) {
	for ctx.Err() == nil {
		got, ok := w.fetch(ctx)
		if !ok {
			continue
		}
		if w.dies() {
			return true
		}
		resp, err := w.send(got.Identifier, got.Environment["PATH_INFO"]+" "+string(got.Body))
		if err == nil && resp == http.StatusOK {
			w.thanked.Add(1)
		}
	}
	return false
}

func (w *worker) fetch(ctx context.Context) (got taken, ok bool) {
	r, err := http.NewRequestWithContext(ctx, "GET", w.url, nil)
	if err != nil {
		return got, false
	}
	resp, err := w.http.Do(r)
	if err != nil {
		return got, false
	}
	defer resp.Body.Close()
	ok = json.NewDecoder(resp.Body).Decode(&got) == nil && resp.StatusCode == http.StatusOK
	return got, ok
}

func (w *worker) send(id, body string) (int, error) {
	resp, err := w.http.Post(w.url, "application/json", strings.NewReader(reply(id, 200, body)))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// TestStorm sends 10,000 requests to 8 workers. Two of them die at random while
// they hold a request. Each request is answered once by the worker that held
// it, or ends with 504. A request that may be redelivered never ends with 504.
func TestStorm(t *testing.T) {
	requests, clients := 10_000, 200
	if testing.Short() {
		requests = 1000
	}
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{Lease: schema.Period(3 * time.Second), Default: true, Depth: 300}, servicetest.WithTimeout(servicetest.HangTimeout))
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var dead, thanked atomic.Int64
	for n := range 8 {
		left := -1 // requests until it dies; it lives
		if n < 2 {
			left = 1 + rand.IntN(requests/40)
		}
		w := &worker{url: at + "/api/v1/request", http: h.http, dies: func() bool { left--; return left == 0 }}
		all.Go(func() {
			if w.work(ctx) {
				dead.Add(1)
			}
			thanked.Add(w.thanked.Load())
		})
	}
	var asking sync.WaitGroup
	var answered, late atomic.Int64
	for c := range clients {
		asking.Go(func() {
			for n := range requests / clients {
				method, body := []string{"GET", "POST", "PUT"}[n%3], fmt.Sprint(c, "-", n)
				if method == "GET" {
					body = ""
				}
				a, err := h.try(t.Context(), method, fmt.Sprintf("%s/jobs/%d-%d", h.URL, c, n), body)
				switch {
				case err != nil:
					t.Error(err)
				case a.StatusCode == http.StatusOK && a.Body == fmt.Sprintf("/%d-%d %s", c, n, body):
					answered.Add(1)
				case a.StatusCode == http.StatusGatewayTimeout && method == "POST":
					late.Add(1)
				default:
					t.Error(method, a.StatusCode, a.Body)
				}
			}
		})
	}
	asking.Wait()
	stop()
	all.Wait()
	require.EqualValues(t, 2, dead.Load(), "both have died")
	require.EqualValues(t, requests, answered.Load()+late.Load())
	require.LessOrEqual(t, late.Load(), dead.Load(), "honest: each for a worker that has died")
	require.Equal(t, answered.Load(), thanked.Load(), "an accepted answer is an answered request")
	h.awaitStatus("/jobs", 0, 0)
}

// TestReplaceUnderLoad replaces and rolls back a queue under load,
// and changes it to another kind and back. Every request is answered.
func TestReplaceUnderLoad(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{})
	ctx, stop := context.WithCancel(t.Context())
	var workers, clients sync.WaitGroup
	for range 3 {
		w := &worker{url: at + "/api/v1/jobs/request", http: h.http, dies: func() bool { return false }}
		workers.Go(func() { w.work(ctx) })
	}
	h.add("/keeps-the-listener", queue.Document{})
	var done atomic.Bool
	var asked atomic.Int64
	for range 6 {
		clients.Go(func() {
			for !done.Load() {
				a, err := h.try(t.Context(), "POST", h.URL+"/jobs/x", "b")
				if err != nil || a.StatusCode != http.StatusOK || a.Body != "/x b" && a.Body != "plain" {
					t.Errorf("%v %v", a, err)
					return
				}
				asked.Add(1)
			}
		})
	}
	for n := range 15 {
		before := asked.Load()
		var err error
		switch n % 3 {
		case 0:
			_, err = h.Add(t.Context(), spec("/jobs", queue.Document{Depth: 100 + n}))
		case 1:
			_, err = h.Add(t.Context(), servicetest.Module(servicetest.TextKind, "/jobs", []byte("plain")))
		case 2:
			_, err = h.Rollback(t.Context(), routekey.MustParse("/jobs"))
		}
		require.NoError(t, err)
		require.Eventually(t, func() bool { return asked.Load() > before+20 }, servicetest.HangTimeout, time.Millisecond)
	}
	done.Store(true)
	clients.Wait()
	stop()
	workers.Wait()
}
