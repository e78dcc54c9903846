package server

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/conns"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/instruments"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/output"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/version"
	"github.com/vespo-dev/vespo/internal/lane"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/lambda"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/observe/metrics"
	"github.com/vespo-dev/vespo/services/observe/tally"
)

// newSources returns the sources without the services, which are opened later. measure adds those.
func newSources(access access, counts *tally.Tally) *instruments.Sources {
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s := &instruments.Sources{
		Version:  version.Read(),
		Requests: counts,
		Scrapes:  metrics.NewHandler(process),
		Outputs:  access.outputs,
	}
	if access.failures != nil {
		s.Failures = access.failures.Stats
	}
	if s.Outputs == nil {
		s.Outputs = func(func(string, output.Stats)) {}
	}
	return s
}

// measure lets scrapes read the components of the server.
func (c *core) measure(routing *router.Router, management *admin.Handler) {
	s := c.sources
	s.Router, s.Admin, s.Modules = routing, management, c.kind
	s.Deployer, s.Stores, s.Schedules, s.Sharing, s.Cache, s.CacheSharing = c.deployer, c.engine, c.schedules, c.sharing, c.cache, c.cacheSharing
	s.Feed = c.feed
	if c.copied != nil {
		s.Copy = &instruments.Copy{Follower: c.copied.follower, Fetcher: c.copied.fetcher}
	}
	if c.node != nil {
		s.Peers, s.PeerCode = c.node.Fetcher(), c.node.Code()
		s.Common = c.node.Stats
	}
	s.Forward = c.forwarder()
	s.Mirrors, s.Journal = c.mirrors, c.observer.journal
	if api, ok := c.lambda.(*lambda.Handler); ok {
		s.Lambda = api
	}
	s.Listeners, s.Lane, s.Traces = c.listening.stats, c.laneStats, c.traces
	s.Scrapes.Register(instruments.Groups(s))
}

// laneStats returns the state of the fast lane; zero without one.
func (c *core) laneStats() (s lane.Stats) {
	if l := c.lane.Load(); l != nil {
		s = l.Stats()
	}
	return s
}

// listeners remembers the listeners of a server for scrapes, by their flags. It is safe for concurrent use.
type listeners struct {
	mu   sync.Mutex
	last map[string]*conns.Listener // guarded by mu
}

// add adds a listener, which may be closed later. It takes the place of an earlier one of its flag.
func (l *listeners) add(one *conns.Listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = make(map[string]*conns.Listener)
	}
	l.last[strings.TrimPrefix(one.Flag(), "--")] = one
}

// stats yields the state of the listeners.
func (l *listeners) stats(yield func(string, conns.Stats)) {
	l.mu.Lock()
	all := maps.Clone(l.last)
	l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		yield(name, all[name].Stats())
	}
}

// instrumentGates names the gates of a server.
func instrumentGates(slots admission.Limits, gate *admission.Gate, own map[string]deploy.Admission) []instruments.Gate {
	all := []instruments.Gate{{Name: "slots", Gate: gate, Shares: slots.Shares}}
	for _, g := range [...]struct{ name, kind string }{{"connections", proxy.KindName}, {"queues", queue.KindName}} {
		one := own[g.kind]
		all = append(all, instruments.Gate{Name: g.name, Gate: one.Gate, Shares: one.Limits.Shares})
	}
	return all
}
