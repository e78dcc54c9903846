package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
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
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// rounds is the number of faults of TestHistories. The long mode is 300.
var rounds = flag.Int("rounds", 8, "faults of TestHistories")

// deploy is a change of a service as its client has seen it. Times are counts of events.
type deploy struct {
	prefix, to   string
	began, ended int64
	status       int // 0: no answer
	unsure       bool
}

// sight is what a host has served.
type sight struct {
	host, life int // life: the number of starts before
	prefix, to string
}

// history has all that clients see, and the order of the changes in etcd.
type history struct {
	clock atomic.Int64

	mu      sync.Mutex
	deploys []deploy            // guarded by mu
	sights  []sight             // guarded by mu, in the order of time
	order   map[string][]string // guarded by mu: the versions of each service, as committed
}

// watch records all commits until ctx ends.
func (h *history) watch(ctx context.Context, client *clientv3.Client, prefix string, from int64) {
	keys := "/" + prefix + "/catalogue/service"
	for answer := range client.Watch(ctx, keys, clientv3.WithPrefix(), clientv3.WithRev(from)) {
		for _, event := range answer.Events {
			value := event.Kv.Value
			if unpacked, err := gzip.NewReader(bytes.NewReader(value)); err == nil { // a long history
				value, _ = io.ReadAll(unpacked)
			}
			_, rest, _ := strings.Cut(string(value), `"redirect":"https://example.com`)
			to, _, _ := strings.Cut(rest, `"`)
			key := strings.TrimPrefix(string(event.Kv.Key), keys)
			h.mu.Lock()
			h.order[key] = append(h.order[key], to)
			h.mu.Unlock()
		}
	}
}

// client deploys to random hosts until stop is closed.
func (h *history) client(hosts []*life, id int, stop <-chan struct{}) {
	random := rand.New(rand.NewPCG(uint64(id), 7))
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(random.IntN(40)) * time.Millisecond):
		}
		d := deploy{prefix: fmt.Sprintf("/s%d", random.IntN(3)), to: fmt.Sprintf("/%d-%d", id, n), began: h.clock.Add(1)}
		var answer string
		d.status, answer = hosts[random.IntN(len(hosts))].redirect(d.prefix, d.to)
		d.ended = h.clock.Add(1)
		d.unsure = d.status == 0 || strings.Contains(answer, "may have been made")
		h.mu.Lock()
		h.deploys = append(h.deploys, d)
		h.mu.Unlock()
	}
}

// look records what hosts serve until stop is closed.
func (h *history) look(hosts []*life, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
		at := n % len(hosts)
		prefix := fmt.Sprintf("/s%d", n/len(hosts)%3)
		before := hosts[at].starts.Load()
		to := hosts[at].seen(prefix)
		if to != "" && before == hosts[at].starts.Load() {
			h.mu.Lock()
			h.sights = append(h.sights, sight{host: at, life: int(before), prefix: prefix, to: to})
			h.mu.Unlock()
		}
	}
}

// life is a host that ends and starts again.
type life struct {
	*host
	starts atomic.Int64
}

// fault lets something fail for a moment.
func fault(t *testing.T, random *rand.Rand, server *etcdtest.Server, hosts []*life, networks []*proxy) string {
	at := random.IntN(len(hosts))
	moment := time.Duration(200+random.IntN(1000)) * time.Millisecond
	switch random.IntN(6) {
	case 0:
		hosts[at].starts.Add(1)
		hosts[at].kill()
		hosts[at].start()
		return "kill host"
	case 1:
		hosts[at].pause(moment)
		return "pause host"
	case 2:
		networks[at].set(true, 0)
		<-time.After(moment)
		networks[at].set(false, 0)
		return "cut network"
	case 3:
		networks[at].set(false, 20*time.Millisecond)
		<-time.After(moment)
		networks[at].drop()
		networks[at].set(false, 0)
		return "slow network, then lost connections"
	case 4:
		server.Kill(t)
		<-time.After(moment / 4)
		server.Run(t)
		server.Wait(t)
		return "kill etcd"
	}
	server.Pause(t)
	<-time.After(moment)
	server.Resume(t)
	return "pause etcd"
}

// TestHistories lets hosts, etcd and the network between them fail under clients that deploy, and checks the history:
// no acknowledged change is lost, none that was refused is made, all hosts serve committed versions in the order of the
// commits, and that order agrees with the time at which clients had their answers.
func TestHistories(t *testing.T) {
	server := etcdtest.Start(t)
	var hosts []*life
	var networks []*proxy
	for range 3 {
		p := newProxy(t, server.Address)
		h := &life{host: newHost(t, "etcd://"+p.address()+"/history?timeout=2s&lease=5s")}
		h.client.Timeout = 20 * time.Second
		h.start()
		hosts, networks = append(hosts, h), append(networks, p)
	}
	h := &history{order: make(map[string][]string)}
	watching, endWatch := context.WithCancel(t.Context())
	var watcher, clients sync.WaitGroup
	watcher.Go(func() { h.watch(watching, server.Client(t), "history", 1) })
	stop := make(chan struct{})
	for id := range 3 {
		clients.Go(func() { h.client(hosts, id, stop) })
	}
	clients.Go(func() { h.look(hosts, stop) })
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range *rounds {
		t.Log(fault(t, random, server, hosts, networks))
		<-time.After(300 * time.Millisecond)
	}
	close(stop)
	clients.Wait()
	h.settle(t, hosts)
	endWatch()
	watcher.Wait()
	h.check(t, seed)
}

// settle makes a last change of each service, and waits until all hosts serve it.
func (h *history) settle(t *testing.T, hosts []*life) {
	for n := range 3 {
		prefix, to := fmt.Sprintf("/s%d", n), fmt.Sprintf("/last-%d", n)
		hosts[0].eventually(func() bool {
			status, _ := hosts[0].redirect(prefix, to)
			return status/100 == 2
		})
		for _, host := range hosts {
			host.eventually(func() bool { return host.seen(prefix) == to })
		}
		require.True(t, within(patience, func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			order := h.order[prefix]
			return len(order) > 0 && order[len(order)-1] == to
		}), "the watch of the test has all changes")
	}
}

// check compares what clients have seen with the order of the commits.
func (h *history) check(t *testing.T, seed uint64) {
	place := make(map[string]int) // of a change among those of its service, from 1
	for _, order := range h.order {
		for i, to := range order {
			if place[to] == 0 {
				place[to] = i + 1
			}
		}
	}
	acknowledged := make(map[string][]deploy)
	refused, unsure := 0, 0
	for _, d := range h.deploys {
		switch {
		case d.status/100 == 2:
			require.NotZero(t, place[d.to], "the acknowledged change %+v is lost (seed %d)", d, seed)
			acknowledged[d.prefix] = append(acknowledged[d.prefix], d)
		case d.unsure:
			unsure++
		default:
			refused++
			require.Zero(t, place[d.to], "the refused change %+v was made (seed %d)", d, seed)
			require.Contains(t, []int{http.StatusServiceUnavailable, http.StatusConflict, http.StatusGatewayTimeout}, d.status, "%+v", d)
		}
	}
	count := 0
	for _, all := range acknowledged {
		count += len(all)
		for _, a := range all {
			for _, b := range all {
				require.False(t, a.ended < b.began && place[a.to] > place[b.to], "%+v was acknowledged before %+v began, and committed after it (seed %d)", a, b, seed)
			}
		}
	}
	type view struct {
		host, life int
		prefix     string
	}
	latest := make(map[view]int)
	for _, s := range h.sights {
		v := view{s.host, s.life, s.prefix}
		require.NotZero(t, place[s.to], "%+v was served and never committed (seed %d)", s, seed)
		require.GreaterOrEqual(t, place[s.to], latest[v], "%+v went back (seed %d)", s, seed)
		latest[v] = place[s.to]
	}
	t.Logf("%d changes acknowledged, %d refused, %d without an answer; %d sights", count, refused, unsure, len(h.sights))
	require.Greater(t, count, *rounds)
	require.Greater(t, len(h.sights), *rounds)
}
