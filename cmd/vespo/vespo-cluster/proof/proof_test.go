package proof

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/proof/history"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/proof/mesh"
)

var (
	rounds = flag.Int("rounds", 20, "faults of TestProof; the long mode is 300")
	seed   = flag.Uint64("seed", 0, "of TestProof; 0: a random one")
)

// settleRounds is the number of rounds after which all hosts have to agree.
const settleRounds = 20

// lab is a cluster with its clients.
type lab struct {
	t       *testing.T
	random  *rand.Rand // of the faults
	network *mesh.Mesh
	members []*member
	etcd    *clientv3.Client
	hosts   []*host
	disk    string // of the last host; empty: it has none of its own
	clients *clients
	engine  *enginetest.Postgres // of events; nil: none
	events  *eventClients        // nil: none

	tried   map[string]int // by name of the fault
	flipped int            // bits
	idle    int            // partitions that nothing has met
	filled  []string       // contents of the services of TestFigures
}

// newLab starts a cluster. Its hosts share the events in an engine, unless that is nil.
func newLab(t *testing.T, seed uint64, engine *enginetest.Postgres) *lab {
	t.Helper()
	l := &lab{t: t, random: rand.New(rand.NewPCG(seed, 0)), network: mesh.New(), disk: mountDisk(t), engine: engine, tried: make(map[string]int)}
	link := ""
	if engine != nil {
		var err error
		link, err = l.network.Link(engineName, engine.Address)
		require.NoError(t, err)
	}
	versions := build(t)
	t.Cleanup(l.network.Close)
	l.members = startMembers(t, l.network)
	l.etcd = dial(t, l.members)
	healthy(t, l.etcd, l.members)
	for number := range 3 {
		data := filepath.Join(t.TempDir(), "data")
		if number == 2 && l.disk != "" {
			data = filepath.Join(l.disk, "data")
		}
		h := newHost(t, number, l.network, l.members, versions, data, link)
		h.start()
		l.hosts = append(l.hosts, h)
	}
	l.clients = newClients(t, l.hosts)
	if engine != nil {
		l.events = newEventClients(t, l.clients)
	}
	return l
}

// TestProof lets each part of a cluster fail under clients, and checks what they have seen.
func TestProof(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	var engine *enginetest.Postgres
	if enginetest.HasPostgres() {
		engine = enginetest.StartPostgres(t)
	} else {
		t.Log("no events: there is no PostgreSQL")
	}
	l := newLab(t, *seed, engine)
	l.settle() // a host without a copy of the catalogue cannot start without etcd
	for done := 0; done < *rounds; {
		n := min(settleRounds, *rounds-done)
		l.rounds(n)
		l.settle()
		done += n
		if found := l.history().Check(); len(found) > 0 {
			l.report(found)
			return
		}
	}
	l.report(nil)
}

// rounds tries a number of faults under clients.
func (l *lab) rounds(n int) {
	stop := make(chan struct{})
	var running sync.WaitGroup
	defer func() {
		close(stop)
		running.Wait()
	}()
	for range 3 {
		random := rand.New(rand.NewPCG(l.random.Uint64(), 1))
		running.Go(func() { l.clients.run(random, stop) })
	}
	for _, h := range l.hosts {
		running.Go(func() { l.clients.look(h, ownServices(), stop) })
		running.Go(func() { l.clients.look(h, placedServices(), stop) })
		if l.events != nil {
			running.Go(func() { l.events.run(h, stop) })
		}
	}
	for range n {
		f := l.draw()
		began := time.Now()
		f.run(l)
		healthy(l.t, l.etcd, l.members)
		l.t.Logf("%s (%s)", f.name, time.Since(began).Round(time.Millisecond))
		<-time.After(200 * time.Millisecond)
	}
}

// draw returns one of the faults that were tried least.
func (l *lab) draw() fault {
	all := slices.DeleteFunc(faults(), func(f fault) bool { return f.lacks(l) != "" })
	least := slices.MinFunc(all, func(a, b fault) int { return l.tried[a.name] - l.tried[b.name] })
	all = slices.DeleteFunc(all, func(f fault) bool { return l.tried[f.name] > l.tried[least.name] })
	f := all[l.random.IntN(len(all))]
	l.tried[f.name]++
	return f
}

// settle makes a last change of each service, and waits until all hosts serve it and are announced.
func (l *lab) settle() {
	l.t.Helper()
	for n, service := range allServices() {
		from := l.hosts[n%len(l.hosts)]
		var last history.Change
		from.eventually("a change without a fault", func() bool {
			last = l.clients.deploy(from, service, n%2 == 0)
			return last.Outcome == history.Acknowledged
		})
		for _, h := range l.hosts {
			h.eventually(fmt.Sprintf("it serves %+v", last), func() bool { return l.clients.see(h, service) == last.Content })
		}
	}
	if l.events != nil {
		l.events.settle()
	}
	l.hosts[0].eventually("all hosts are announced, and serve all", func() bool {
		hosts := l.hosts[0].get("/services/hosts")
		return strings.Count(hosts, `"lag":0`) == len(l.hosts) && strings.Count(hosts, `"failing":`) == strings.Count(hosts, `"failing":0`)
	})
}

// history returns what was seen until now, with the commits.
func (l *lab) history() *history.History {
	l.clients.mu.Lock()
	defer l.clients.mu.Unlock()
	h := l.clients.history
	h.Commits = commits(l.t, l.etcd, l.clients.contents)
	if l.events != nil {
		h.Events = l.events.all()
	}
	return &h
}

// maxReported bounds the violations that are printed.
const maxReported = 10

// report prints the counts and the violations.
func (l *lab) report(found []string) {
	l.t.Helper()
	h := l.history()
	for _, f := range faults() {
		if why := f.lacks(l); why != "" {
			l.t.Logf("%4d x %s: %s", l.tried[f.name], f.name, why)
		} else {
			l.t.Logf("%4d x %s", l.tried[f.name], f.name)
		}
	}
	l.t.Logf("%+v; %d bits flipped; links %+v, %d partitions met no data", h.Counts(), l.flipped, l.network.Stats(), l.idle)
	for i, text := range found {
		if i == maxReported {
			l.t.Logf("and %d more", len(found)-i)
			break
		}
		l.t.Errorf("seed %d: %s", *seed, text)
	}
	odd := strange(h.Changes)
	for _, x := range odd[:min(len(odd), maxReported)] {
		l.t.Errorf("seed %d: a change was refused with an unexpected status: %+v", *seed, x)
	}
	if l.t.Failed() {
		for _, x := range l.hosts {
			l.t.Logf("%s: %s", x.name, x.log)
		}
		return
	}
	counts := h.Counts()
	require.Greater(l.t, counts.Acknowledged, *rounds)
	require.Greater(l.t, counts.Sights, 10**rounds)
	require.True(l.t, l.events == nil || counts.Accepted > *rounds)
}
