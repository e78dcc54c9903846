package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
)

// eventRounds is how many faults TestEventHistory makes.
var eventRounds = flag.Int("event-rounds", 5, "faults of TestEventHistory; the long mode is 100")

// receiver is an upstream that records the bodies of its requests. Each takes some time.
type receiver struct {
	*httptest.Server

	mu       sync.Mutex
	began    map[string]int // guarded by mu; by body
	running  map[string]int // guarded by mu
	overlaps []string       // guarded by mu: bodies that two hosts had at a time
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{began: make(map[string]int), running: make(map[string]int)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		text, err := io.ReadAll(in.Body)
		if err != nil {
			return // the host was killed
		}
		body := string(text)
		r.mu.Lock()
		r.began[body]++
		if r.running[body]++; r.running[body] > 1 {
			r.overlaps = append(r.overlaps, body)
		}
		r.mu.Unlock()
		pause(in.Context(), time.Duration(rand.IntN(40))*time.Millisecond)
		r.mu.Lock()
		r.running[body]--
		r.mu.Unlock()
	}))
	t.Cleanup(r.Close)
	return r
}

// addReceiver deploys an upstream as /fn.
func (h *host) addReceiver(upstream string) {
	h.t.Helper()
	status, answer := h.post("/services/add", url.Values{"prefix": {"fn"}, "upstream": {upstream}}, nil)
	require.Contains(h.t, []int{http.StatusCreated, http.StatusOK}, status, answer)
}

// invoke invokes /fn by a Lambda API. kind is the type of the invocation.
func invoke(client *http.Client, api, kind, body string) (status int, answer string) {
	payload := fmt.Sprintf(`{"version":"2.0","rawPath":"/","requestContext":{"http":{"method":"POST"}},"body":%q}`, body)
	status, answer, _ = send(client, http.MethodPost, api+"/2015-03-31/functions/fn/invocations", payload, "X-Amz-Invocation-Type: "+kind)
	return status, answer
}

// TestEventHistory lets hosts, the engine and their connections fail while events are accepted and carried out. Each accepted event is
// carried out, by one host at a time, and no refused one is.
func TestEventHistory(t *testing.T) {
	c, upstream := newFleet(t, 3), newReceiver(t)
	for _, h := range c.hosts {
		h.addReceiver(upstream.URL)
	}
	var mu sync.Mutex
	statuses, accepted, refused := map[int]int{}, map[string]bool{}, map[string]bool{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	for n := range 6 {
		clients.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				body := fmt.Sprintf("%d-%d", n, i)
				status, answer := invoke(c.client, c.apis[rand.IntN(len(c.apis))], "Event", body)
				mu.Lock()
				statuses[status]++
				switch {
				case status == http.StatusAccepted:
					accepted[body] = true
				case status == http.StatusServiceUnavailable && strings.Contains(answer, "cannot be accepted"):
					refused[body] = true
				}
				mu.Unlock()
				pause(ctx, 10*time.Millisecond)
			}
		})
	}
	for n := range *eventRounds {
		c.fault(n)
	}
	stop()
	clients.Wait()
	require.Greater(t, len(accepted), 20**eventRounds, "the history is too thin: %v", statuses)
	c.hosts[0].eventually(func() bool {
		return strings.Contains(c.hosts[0].body("/services/metrics"), "\nvespo_lambda_events 0\n")
	})
	upstream.mu.Lock()
	defer upstream.mu.Unlock()
	repeated := 0
	for body := range accepted {
		times := upstream.began[body]
		if times == 0 {
			t.Errorf("%s was accepted, and not carried out", body)
		}
		if times > 1 {
			repeated++
		}
	}
	for body := range refused {
		if upstream.began[body] > 0 {
			t.Errorf("%s was refused, and carried out", body)
		}
	}
	require.Empty(t, upstream.overlaps, "two hosts had them at a time")
	require.Less(t, repeated, len(accepted)/2)
	t.Logf("answers to clients: %v; %d events were carried out more than once", statuses, repeated)
}

// TestEventsWithoutTheEngine refuses events while the engine is away, and serves synchronous invocations. An accepted event is
// run by another host than the one that has accepted it, which is gone.
func TestEventsWithoutTheEngine(t *testing.T) {
	engine, upstream := enginetest.StartPostgres(t), newReceiver(t)
	address := "postgres://postgres@" + engine.Address + "/postgres?timeout=2s"
	hosts, apis := []*host{newKVHost(t), newKVHost(t)}, []string{freeAddress(t), freeAddress(t)}
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	for i, h := range hosts {
		h.startQueues(address, "--lambda-listen", apis[i])
		if i == 0 {
			h.addReceiver(upstream.URL)
		}
		apis[i] = "http://" + apis[i]
	}
	a, b := hosts[0], hosts[1]
	b.addReceiver(upstream.URL)
	engine.Kill(t)
	a.eventually(func() bool {
		status, answer := invoke(client, apis[0], "Event", "refused")
		return status == http.StatusServiceUnavailable && strings.Contains(answer, "cannot be accepted at present") &&
			!strings.Contains(answer, engine.Address)
	})
	status, answer := invoke(client, apis[0], "RequestResponse", "at once")
	require.Equal(t, http.StatusOK, status, answer)
	require.Contains(t, a.log.String(), engine.Address, "the log names the engine")
	require.Contains(t, a.body("/services/metrics"), "\nvespo_lambda_events_away 1\n")
	engine.Run(t)
	b.kill()
	a.eventually(func() bool {
		status, _ := invoke(client, apis[0], "Event", "kept")
		return status == http.StatusAccepted
	})
	a.kill()
	b.startQueues(address, "--lambda-listen", strings.TrimPrefix(apis[1], "http://"))
	b.eventually(func() bool {
		upstream.mu.Lock()
		defer upstream.mu.Unlock()
		return upstream.began["kept"] > 0
	})
	upstream.mu.Lock()
	defer upstream.mu.Unlock()
	require.Equal(t, 1, upstream.began["at once"])
	require.Zero(t, upstream.began["refused"])
}
