// Package instruments lists the metrics of a server: the table from which scrapes and docs/metrics.md follow.
//
// The labels of a metric are texts of this package, or come from the catalogue.
package instruments

import (
	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster/travel"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/conns"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/output"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/tracing"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/version"
	"github.com/vespo-dev/vespo/internal/lane"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/cache"
	"github.com/vespo-dev/vespo/router/ratelimit"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/follow"
	"github.com/vespo-dev/vespo/services/control/lambda"
	"github.com/vespo-dev/vespo/services/control/mirror"
	"github.com/vespo-dev/vespo/services/control/scheduler"
	"github.com/vespo-dev/vespo/services/egress/forward"
	"github.com/vespo-dev/vespo/services/egress/peer"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/observe/journal"
	"github.com/vespo-dev/vespo/services/observe/metrics"
	"github.com/vespo-dev/vespo/services/observe/tally"
)

// Sources are the components of a server that are measured. All are safe for concurrent use.
type Sources struct {
	Version      version.Info
	Requests     *tally.Tally
	Scrapes      *metrics.Handler
	Router       *router.Router
	Deployer     *deploy.Deployer
	Gates        []Gate
	Modules      *wasm.Kind
	Proxies      *proxy.Kind
	Queues       *queue.Kind
	Functions    *function.Kind
	Stores       kv.Engine          // nil if they are not open
	Cache        *cache.Store       // nil if no answers of services are kept
	CacheSharing *cache.Sharing     // nil unless answers are shared with other hosts
	Sharing      *ratelimit.Sharing // nil unless rate limits are shared with other hosts
	Schedules    *scheduler.Scheduler
	Mirrors      *mirror.Mirrors
	Feed         *follow.Feed
	Peers        *peer.Fetcher        // nil unless the catalogue is that of several hosts
	PeerCode     *travel.Exchange     // nil unless it exchanges compiled code with others
	Copy         *Copy                // nil unless the server follows another one
	Common       func() cluster.Stats // nil unless the catalogue is in a common store
	Forward      *forward.Forwarder   // nil unless requests are forwarded to other hosts
	Admin        *admin.Handler
	Journal      *journal.Journal                      // nil if no logs of services are kept
	Traces       *tracing.Tracer                       // nil unless requests are traced
	Lambda       *lambda.Handler                       // nil without a Lambda API
	Failures     func() accesslog.FailureStats         // nil if every request has a record
	Listeners    func(yield func(string, conns.Stats)) // by the name of the listener
	Lane         func() lane.Stats                     // of the public listener
	Outputs      func(yield func(string, output.Stats))
}

// Gate is the capacity that some kinds of services share, with the shares of their clients.
type Gate struct {
	Name   string
	Gate   *admission.Gate
	Shares *admission.Shares
}

// Groups returns the table of all metrics. Their values are read from s during scrapes.
func Groups(s *Sources) []metrics.Group {
	return []metrics.Group{
		metrics.Requests(s.Requests),
		s.services(),
		s.admission(),
		s.connections(),
		s.slots(),
		s.code(),
		s.compiler(),
		s.proxies(),
		s.queues(),
		s.functions(),
		s.stores(),
		s.rates(),
		s.cache(),
		s.management(),
		s.feed(),
		s.following(),
		s.peers(),
		s.common(),
		s.forwarding(),
		s.outputs(),
		s.logs(),
		s.traces(),
		s.limits(),
		s.Scrapes.Group(),
	}
}

// build describes the program.
func (s *Sources) build() metrics.Field[[]deploy.Entry] {
	return metrics.Field[[]deploy.Entry]{
		Desc: metrics.Desc{
			Name:   "vespo_build_info",
			Type:   metrics.Gauge,
			Labels: "version commit",
			Help:   "1, with the version of the server.",
		},
		Emit: func(_ []deploy.Entry, to *metrics.Sink) { to.Value(1, s.Version.Version, s.Version.Commit) },
	}
}
