package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
)

// queueRounds is how many faults TestQueueHistory makes.
var queueRounds = flag.Int("queue-rounds", 5, "faults of TestQueueHistory; the long mode is 100")

// queueLease is the lease of the queue. Slow workers answer after its end.
const queueLease = 2 * time.Second

// ask is one request of a client. Its text is unique.
type ask struct {
	text     string
	once     bool   // it must not be handed out twice
	waits    bool   // the client waits for the answer
	status   int    // of the answer to the client; 0: none came
	answer   string // to the client
	location string // of the result, if it was accepted
}

// delivery is a request at a worker.
type delivery struct {
	text   string // of the request
	answer string // unique
	status int    // of the answer to the worker; 0: none came; -1: the worker has not answered
}

// history is what clients and workers have seen.
type history struct {
	mu         sync.Mutex
	asks       []ask      // guarded by mu
	deliveries []delivery // guarded by mu
}

// fleet is several hosts with one engine, which each reaches by a proxy.
type fleet struct {
	*testing.T
	engine  *enginetest.Postgres
	hosts   []*host
	urls    []string // of the engine, by host
	workers []string // address for workers, by host
	apis    []string // URL of the Lambda API, by host
	proxies []*enginetest.Proxy
	client  *http.Client
	history history
}

func newFleet(t *testing.T, hosts int) *fleet {
	c := &fleet{
		T:      t,
		engine: enginetest.StartPostgres(t),
		client: &http.Client{Timeout: 8 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}},
	}
	t.Cleanup(c.client.CloseIdleConnections)
	for range hosts {
		address, api := freeAddress(t), freeAddress(t)
		h, p := newKVHost(t), enginetest.StartProxy(t, c.engine.Address)
		h.args = append(h.args, "--worker-listen", address, "--lambda-listen", api)
		c.apis = append(c.apis, "http://"+api)
		c.hosts, c.proxies, c.workers = append(c.hosts, h), append(c.proxies, p), append(c.workers, "http://"+address)
		c.urls = append(c.urls, "postgres://postgres@"+p.Address+"/postgres?timeout=2s")
	}
	for i, h := range c.hosts {
		h.startQueues(c.urls[i])
		h.addQueue("lease", queueLease.String(), "timeout", "6s", "depth", "100000")
	}
	return c
}

// freeAddress returns an address of this machine that is free.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// asking sends requests to all hosts until ctx ends.
func (c *fleet) asking(ctx context.Context, client int) {
	for n := 0; ctx.Err() == nil; n++ {
		a := ask{text: fmt.Sprintf("%d-%d", client, n), once: rand.IntN(3) == 0}
		method, path := http.MethodPut, "/jobs/x?async=1"
		if a.once {
			method = http.MethodPost
		}
		if rand.IntN(4) == 0 {
			path, a.waits = "/jobs/x", true
		}
		var header http.Header
		a.status, a.answer, header = send(c.client, method, c.hosts[rand.IntN(len(c.hosts))].url+path, a.text)
		if a.status == http.StatusAccepted {
			a.location = header.Get("Location")
		}
		c.history.mu.Lock()
		c.history.asks = append(c.history.asks, a)
		c.history.mu.Unlock()
		pause(ctx, 5*time.Millisecond)
	}
}

// working takes and answers requests at all hosts until ctx ends. Some workers die, and some are slow.
func (c *fleet) working(ctx context.Context, worker int) {
	for n := 0; ctx.Err() == nil; n++ {
		j, ok := take(c.client, c.workers[rand.IntN(len(c.workers))])
		if !ok {
			pause(ctx, 20*time.Millisecond)
			continue
		}
		d := delivery{text: string(j.Body), answer: fmt.Sprintf("%s by %d-%d", j.Body, worker, n), status: -1}
		switch chance := rand.IntN(40); {
		case chance == 0: // it dies
		case chance == 1:
			pause(context.Background(), queueLease+queueLease/4)
			fallthrough
		default:
			d.status = answer(c.client, c.workers[rand.IntN(len(c.workers))], j, d.answer)
			for again := 0; d.status != http.StatusOK && d.status != http.StatusNotFound && again < 3; again++ {
				pause(ctx, 100*time.Millisecond)
				d.status = answer(c.client, c.workers[rand.IntN(len(c.workers))], j, d.answer)
			}
		}
		c.history.mu.Lock()
		c.history.deliveries = append(c.history.deliveries, d)
		c.history.mu.Unlock()
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// fault makes one fault, and ends it.
func (c *fleet) fault(n int) {
	i := rand.IntN(len(c.hosts))
	h, p := c.hosts[i], c.proxies[i]
	switch n % 5 {
	case 0:
		c.Log("kill a host")
		h.kill()
		pause(c.Context(), 500*time.Millisecond)
		h.startQueues(c.urls[i])
	case 1:
		c.Log("kill the engine")
		c.engine.Kill(c)
		pause(c.Context(), time.Second)
		c.engine.Run(c)
	case 2:
		c.Log("cut connections")
		for range 20 {
			for _, p := range c.proxies {
				p.Cut()
			}
			pause(c.Context(), 50*time.Millisecond)
		}
	case 3:
		c.Log("lose answers of the engine")
		p.DropReplies(true)
		pause(c.Context(), 1500*time.Millisecond)
		p.DropReplies(false)
	case 4:
		c.Log("stop a host for longer than a lease")
		h.pause(queueLease + time.Second)
	}
	pause(c.Context(), 700*time.Millisecond)
}

// TestQueueHistory lets hosts, the engine and their connections fail under clients and workers, and checks what they have seen.
func TestQueueHistory(t *testing.T) {
	c := newFleet(t, 3)
	clients, workers := sync.WaitGroup{}, sync.WaitGroup{}
	asking, stopAsking := context.WithCancel(t.Context())
	working, stopWorking := context.WithCancel(t.Context())
	defer clients.Wait()
	defer workers.Wait()
	defer stopAsking()
	defer stopWorking()
	for n := range 8 {
		clients.Go(func() { c.asking(asking, n) })
	}
	for n := range 8 {
		workers.Go(func() { c.working(working, n) })
	}
	results := make(map[string]result)
	for n := range *queueRounds {
		c.fault(n)
		if n%5 == 4 {
			c.collect(results) // the engine keeps a thousand
		}
	}
	stopAsking()
	clients.Wait()
	c.collect(results)
	stopWorking()
	workers.Wait()
	c.history.summary(t)
	for _, wrong := range c.history.check(results) {
		t.Error(wrong)
	}
	c.order()
}

// result is what one host says of an accepted request.
type result struct {
	status int
	state  string // of Vespo-Result
	body   string
}

// collect waits until all requests that were accepted until now have ended, and adds their results by text. All hosts must agree.
func (c *fleet) collect(all map[string]result) {
	c.history.mu.Lock()
	asks := slices.Clone(c.history.asks)
	c.history.mu.Unlock()
	for _, a := range asks {
		_, known := all[a.text]
		for _, h := range c.hosts {
			if a.location == "" || known {
				break
			}
			var r result
			h.eventually(func() bool {
				var header http.Header
				r.status, r.body, header = send(c.client, http.MethodGet, h.url+a.location, "")
				r.state = header.Get("Vespo-Result")
				return r.status != 0 && r.status != http.StatusServiceUnavailable && r.state != "pending"
			})
			if r.state == "" {
				r.body = "" // problems have an id of their request
			}
			before, other := all[a.text]
			require.True(c, !other || before == r, "%s has the results %v and %v", a.text, before, r)
			all[a.text] = r
		}
	}
}

// summary logs the numbers of answers to clients and workers, by status.
func (h *history) summary(t *testing.T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	clients, workers := map[int]int{}, map[int]int{}
	for _, a := range h.asks {
		clients[a.status]++
	}
	for _, d := range h.deliveries {
		workers[d.status]++
	}
	t.Logf("answers to clients: %v; to workers: %v", clients, workers)
}

// check returns what must not be. A request ends once, with an answer of a worker whose lease lasted.
func (h *history) check(results map[string]result) (wrong []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	confirmed, possible, times := map[string][]string{}, map[string]bool{}, map[string]int{}
	for _, d := range h.deliveries {
		times[d.text]++
		if d.status == http.StatusOK {
			confirmed[d.text] = append(confirmed[d.text], d.answer)
		}
		possible[d.answer] = d.status != http.StatusNotFound && d.status != -1
	}
	sent, accepted, failed := map[string]bool{}, 0, 0
	for _, a := range h.asks {
		sent[a.text] = true
		r := results[a.text]
		answers := confirmed[a.text]
		switch {
		case len(answers) > 1 && !a.waits: // a crash of the engine may take the answer to a client that waits back
			bad("%s has %d confirmed answers: %v", a.text, len(answers), answers)
		case a.once && times[a.text] > 1:
			bad("%s was handed out %d times, and must not be", a.text, times[a.text])
		case times[a.text] > 5:
			bad("%s was handed out %d times", a.text, times[a.text])
		case a.status == http.StatusServiceUnavailable && strings.Contains(a.answer, "was not accepted") && times[a.text] > 0:
			bad("%s was refused, and handed out", a.text)
		case a.status == http.StatusOK && !possible[a.answer]:
			bad("the client of %s got an answer that no worker could give: %s", a.text, a.answer)
		case a.location == "":
			continue
		case len(answers) == 1 && (r.status != http.StatusOK || r.body != answers[0]):
			bad("%s: the answer %s was confirmed, and the result is %v", a.text, answers[0], r)
		case r.status == http.StatusOK && !possible[r.body]:
			bad("%s: the result is not of a worker whose lease lasted: %v", a.text, r)
		case r.status != http.StatusOK && r.status != http.StatusGatewayTimeout:
			bad("%s was accepted, and its result is %v", a.text, r)
		case r.status == http.StatusGatewayTimeout && !a.once && times[a.text] < 3:
			bad("%s was accepted, and given up after %d workers", a.text, times[a.text])
		}
		accepted++
		if r.status == http.StatusGatewayTimeout {
			failed++
		}
	}
	for text := range times {
		if !sent[text] {
			bad("%s was handed out, and not sent", text)
		}
	}
	if accepted < 10**queueRounds || failed*5 > accepted {
		bad("%d requests were accepted, and %d of them failed: the history is too thin", accepted, failed)
	}
	return wrong
}

// order puts requests by all hosts in turn, and takes them by all hosts in turn.
func (c *fleet) order() {
	for n := range 30 {
		h := c.hosts[n%len(c.hosts)]
		h.eventually(func() bool {
			status, _, _ := send(c.client, http.MethodPut, h.url+"/jobs/x?async=1", fmt.Sprint("order ", n))
			return status == http.StatusAccepted
		})
	}
	for n := range 30 {
		at := c.workers[(n/2)%len(c.workers)]
		j, ok := take(c.client, at)
		require.True(c, ok)
		require.Equal(c, fmt.Sprint("order ", n), string(j.Body))
		require.Equal(c, http.StatusOK, answer(c.client, at, j, "x"))
	}
}

// TestHistoryCheck finds what the checker is for.
func TestHistoryCheck(t *testing.T) {
	put, once := ask{text: "a", status: 202, location: "/a"}, ask{text: "a", once: true, status: 202, location: "/a"}
	good := map[string]result{"a": {200, "answered", "a by 1"}}
	for says, c := range map[string]struct {
		asks       []ask
		deliveries []delivery
		results    map[string]result
	}{
		"2 confirmed answers": {[]ask{put}, []delivery{{"a", "a by 1", 200}, {"a", "a by 2", 200}}, good},
		"and must not be":     {[]ask{once}, []delivery{{"a", "a by 1", 200}, {"a", "a by 2", 404}}, good},
		"refused, and handed out": {
			[]ask{{text: "a", status: 503, answer: "and was not accepted"}},
			[]delivery{{"a", "a by 1", 404}},
			nil,
		},
		"no worker could give":       {[]ask{{text: "a", status: 200, answer: "a by 1"}}, []delivery{{"a", "a by 1", 404}}, nil},
		"was confirmed, and the":     {[]ask{put}, []delivery{{"a", "a by 2", 200}}, good},
		"whose lease lasted":         {[]ask{put}, []delivery{{"a", "a by 1", 404}}, good},
		"its result is":              {[]ask{put}, nil, map[string]result{"a": {status: 404}}},
		"given up after 0 workers":   {[]ask{put}, nil, map[string]result{"a": {status: 504}}},
		"handed out, and not sent":   {nil, []delivery{{"b", "b by 1", 200}}, nil},
		"the history is too thin":    {[]ask{put}, []delivery{{"a", "a by 1", 200}}, good},
		"handed out 6 times":         {[]ask{put}, slices.Repeat([]delivery{{"a", "a by 1", 0}}, 6), good},
		"and its result is {0  }":    {[]ask{put}, nil, nil},
		"and 0 of them failed: the ": {[]ask{once}, []delivery{{"a", "a by 1", 0}}, good},
	} {
		h := history{asks: c.asks, deliveries: c.deliveries}
		require.Contains(t, strings.Join(h.check(c.results), "\n"), says)
	}
	waits := history{
		asks:       []ask{{text: "a", waits: true, status: 200, answer: "a by 2"}},
		deliveries: []delivery{{"a", "a by 1", 200}, {"a", "a by 2", 200}},
	}
	require.NotContains(t, strings.Join(waits.check(nil), "\n"), "confirmed answers")
}
