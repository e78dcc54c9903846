package proof

import (
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/proof/history"
)

var (
	figures = flag.Bool("figures", false, "measure in TestFigures")
	deploys = flag.Int("deploys", 300, "deploys of each kind that TestFigures measures")
)

// sizes are the numbers of services that a new host starts with.
var sizes = []int{1000, 10000}

// restTime is how long hosts are measured without a change.
const restTime = 20 * time.Second

// TestFigures prints the table of docs/etcd.md.
func TestFigures(t *testing.T) {
	if !*figures {
		t.Skip("needs -figures, and takes some minutes")
	}
	l := newLab(t, 1)
	l.rest()
	l.spread("a redirect", false)
	l.spread("a module", true)
	for _, h := range l.hosts[1:] {
		h.kill()
	}
	for _, n := range sizes {
		l.fill(n)
		l.join(n)
	}
}

// row prints a row of the table.
func (l *lab) row(what, format string, args ...any) {
	fmt.Printf("| %s | %s |\n", what, fmt.Sprintf(format, args...))
}

// rest compares hosts without services: those of a cluster, and one with a catalogue of its own.
func (l *lab) rest() {
	alone := newHost(l.t, 3, l.network, l.members, l.hosts[0].versions, filepath.Join(l.t.TempDir(), "data"))
	for i := 0; i < len(alone.args); {
		switch alone.args[i] {
		case "--store", "--peer-listen", "--peer-address":
			alone.args = slices.Delete(alone.args, i, i+2)
		default:
			i++
		}
	}
	alone.start()
	defer alone.kill()
	all := append(slices.Clone(l.hosts), alone)
	before := make([]usage, len(all))
	for i, h := range all {
		before[i] = h.used()
	}
	puts := l.revision()
	<-time.After(restTime)
	for i, h := range all {
		u := h.used()
		if h == alone || i == 0 {
			l.row("at rest, "+map[bool]string{true: "a host of a cluster", false: "a host with a catalogue of its own"}[h != alone],
				"%.1f ms of CPU a second, %d MB", float64((u.cpu-before[i].cpu).Milliseconds())/restTime.Seconds(), u.resident>>20)
		}
	}
	l.row("writes of etcd at rest, of three hosts", "%.1f a minute", float64(l.revision()-puts)/restTime.Minutes())
}

func (l *lab) revision() int64 {
	l.t.Helper()
	answer, err := l.etcd.Get(l.t.Context(), "/")
	require.NoError(l.t, err)
	return answer.Header.Revision
}

// spread deploys on each host in turn, and measures the time until all others serve what was acknowledged.
func (l *lab) spread(what string, module bool) {
	idle := l.hosts[2] // takes changes, and makes none
	began, from := idle.used(), l.revision()
	var took []time.Duration
	for n := range *deploys {
		x := l.clients.deploy(l.hosts[n%2], serviceName(0), module)
		require.Equal(l.t, history.Acknowledged, x.Outcome, "%+v", x)
		answered := time.Now()
		for _, h := range l.hosts {
			h.eventually("it serves", func() bool { content, _ := h.call(serviceName(0)); return content == x.Content })
		}
		took = append(took, time.Since(answered))
	}
	ended := idle.used()
	slices.Sort(took)
	l.row(what+", from the answer until all hosts serve it", "median %.0f ms, p99 %.0f ms", milliseconds(took[len(took)/2]), milliseconds(took[len(took)*99/100]))
	writes, bytes := l.written(from)
	l.row(what+", writes of etcd", "%.1f transactions with %.1f keys and %.1f KB", writes.revisions/float64(*deploys), writes.keys/float64(*deploys), bytes/1000/float64(*deploys))
	l.row(what+", on a host that follows", "%.1f ms of CPU", milliseconds(ended.cpu-began.cpu)/float64(*deploys))
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// writes counts changes of etcd.
type writes struct{ revisions, keys float64 }

// written counts what was written below the catalogue since a revision.
func (l *lab) written(since int64) (w writes, bytes float64) {
	head, err := l.etcd.Get(l.t.Context(), catalogueKeys+"generation")
	require.NoError(l.t, err)
	revision := int64(0)
	for answer := range l.etcd.Watch(l.t.Context(), catalogueKeys, clientv3.WithPrefix(), clientv3.WithRev(since+1)) {
		require.NoError(l.t, answer.Err())
		for _, event := range answer.Events {
			if event.Kv.ModRevision != revision {
				revision = event.Kv.ModRevision
				w.revisions++
			}
			w.keys++
			bytes += float64(len(event.Kv.Key) + len(event.Kv.Value))
		}
		if revision >= head.Kvs[0].ModRevision {
			return w, bytes
		}
	}
	require.Fail(l.t, "etcd does not have all revisions")
	return w, bytes
}

// fill deploys services, each with a module of its own, until there are n.
func (l *lab) fill(n int) {
	var running sync.WaitGroup
	var next atomic.Int64
	next.Store(int64(len(l.filled)))
	began, before := time.Now(), len(l.filled)
	contents := make([]string, n)
	copy(contents, l.filled)
	for range 4 {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				for {
					x := l.clients.deploy(l.hosts[0], fmt.Sprintf("f%d", i), true)
					if contents[i] = x.Content; x.Outcome == history.Acknowledged {
						break // else the other hosts are still thought to be there
					}
				}
			}
		})
	}
	running.Wait()
	l.filled = contents
	l.t.Logf("%d services deployed on one host, %.0f a second", n-before, float64(n-before)/time.Since(began).Seconds())
}

// joinTime bounds the start of a new host.
const joinTime = 15 * time.Minute

// join starts a host without data, and measures the time until it serves all.
func (l *lab) join(n int) {
	h := newHost(l.t, 4, l.network, l.members, l.hosts[0].versions, filepath.Join(l.t.TempDir(), "data"))
	h.path = h.versions[0]
	began := time.Now()
	h.run()
	defer h.kill()
	require.True(l.t, within(joinTime, func() bool {
		resp, err := h.client.Get(h.url + "/services/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}), "%s", h.log)
	took := time.Since(began)
	for i, content := range l.filled {
		got, failure := h.call(fmt.Sprintf("f%d", i))
		require.Equal(l.t, content, got, "%s", failure)
	}
	u := h.used()
	l.row(fmt.Sprintf("a new host, until it serves %d services", n), "%.1f s, with %.1f s of CPU; %d MB once all were called", took.Seconds(), u.cpu.Seconds(), u.resident>>20)
}
