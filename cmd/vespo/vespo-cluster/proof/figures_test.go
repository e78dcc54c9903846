package proof

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	l := newLab(t, 1, nil)
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
	alone := newHost(l.t, 3, l.network, l.members, l.hosts[0].versions, filepath.Join(l.t.TempDir(), "data"), "")
	for i := 0; i < len(alone.args); {
		switch alone.args[i] {
		case "--store", "--peer-listen", "--peer-address", "--label":
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

// fill starts the first host with a configuration of services, each with a module of its own.
func (l *lab) fill(n int) {
	dir := l.t.TempDir()
	var file strings.Builder
	for i := len(l.filled); i < n; i++ {
		l.filled = append(l.filled, fmt.Sprintf("f%d", i))
	}
	for i, content := range l.filled {
		name := fmt.Sprintf("%d.wasm", i)
		require.NoError(l.t, os.WriteFile(filepath.Join(dir, name), l.clients.moduleOf(content), 0o600))
		fmt.Fprintf(&file, "[[service]]\nprefix = %q\nmodule = %q\n", content, name)
	}
	config := filepath.Join(dir, "vespo.toml")
	require.NoError(l.t, os.WriteFile(config, []byte(file.String()), 0o600))
	h := l.hosts[0]
	h.eventually("the others are not there any more", func() bool { return strings.Count(h.get("/services/hosts"), `"address":`) == 1 })
	h.down(h.terminate)
	i := slices.IndexFunc(h.args, func(arg string) bool {
		return strings.HasPrefix(arg, "--no-config-file") || strings.HasPrefix(arg, "--config-file")
	})
	h.args[i] = "--config-file=" + config
	began := time.Now()
	h.run()
	l.ready(h)
	l.row(fmt.Sprintf("a configuration of %d services, at the start of the only host", n), "%.1f s", time.Since(began).Seconds())
	h.disturbed.Add(1)
	l.serves(h)
}

// ready waits until a host has started all services.
func (l *lab) ready(h *host) {
	l.t.Helper()
	require.True(l.t, within(joinTime, func() bool {
		resp, err := h.client.Get(h.url + "/services/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}), "%s", h.log)
}

// serves requires that a host serves all services of the configuration.
func (l *lab) serves(h *host) {
	l.t.Helper()
	for _, content := range l.filled {
		got, failure := h.call(content)
		require.Equal(l.t, content, got, "%s\n%s", failure, h.log)
	}
}

// joinTime bounds the start of a new host.
const joinTime = 15 * time.Minute

// join starts a host without data, and measures the time until it serves all.
func (l *lab) join(n int) {
	h := newHost(l.t, 4, l.network, l.members, l.hosts[0].versions, filepath.Join(l.t.TempDir(), "data"), "")
	h.path = h.versions[0]
	began := time.Now()
	h.run()
	defer h.kill()
	l.ready(h)
	took := time.Since(began)
	l.serves(h)
	u := h.used()
	l.row(fmt.Sprintf("a new host, until it serves %d services", n), "%.1f s, with %.1f s of CPU; %d MB once all were called", took.Seconds(), u.cpu.Seconds(), u.resident>>20)
}
