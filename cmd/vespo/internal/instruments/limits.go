package instruments

import (
	"github.com/vespo-dev/vespo/cmd/vespo/internal/conns"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// Limit is a bound of the server, and the function that reads how often it has acted.
type Limit struct {
	Name string
	Help string
	read func(*Sources) uint64
}

// Limits returns the bounds whose acts are counted.
func Limits() []Limit {
	return []Limit{
		{"client_share", "requests of a client or a connection that had its share of slots and places (--per-client)", (*Sources).shedShares},
		{"tunnels", "requests to switch protocols that found all places taken (--tunnels)",
			func(s *Sources) uint64 { return s.Proxies.Stats().Refused }},
		{"deploys_waiting", "changes of services that found too many others waiting",
			func(s *Sources) uint64 { return s.Deployer.Stats().ChangesRefused }},
		{"start_waiting", "requests to services that are starting, beyond --queue or a quarter of --max-connections",
			func(s *Sources) uint64 { return s.Deployer.Stats().RequestsRefused }},
		{"retiring_versions", "versions that were stopped with open requests (--retire-after, or 16 of one service)",
			func(s *Sources) uint64 { return s.Deployer.Stats().VersionsStopped }},
		{"management_requests", "management requests beyond the number that may run at a time",
			func(s *Sources) uint64 { return s.Admin.Stats().Refused }},
		{"scrapes", "scrapes that had to wait too long for others",
			func(s *Sources) uint64 { return s.Scrapes.Refused() }},
		{"tunnel_share", "connections to switch protocols of a client that had its share (--per-client)",
			func(s *Sources) uint64 { return s.Proxies.Stats().Clients.Shed }},
		{"connections", "idle connections that were closed to make room (--max-connections)",
			func(s *Sources) uint64 { return s.listeners(func(c conns.Stats) uint64 { return c.Evicted }) }},
		{"connections_per_client", "connections of an address that had its share (--per-client)",
			func(s *Sources) uint64 { return s.listeners(func(c conns.Stats) uint64 { return c.Refused }) }},
		{"proxy_protocol", "connections without a valid header (--proxy-protocol)",
			func(s *Sources) uint64 { return s.listeners(func(c conns.Stats) uint64 { return c.Malformed }) }},
		{"header_memory", "requests that found it full (--header-memory)",
			func(s *Sources) uint64 { return s.Router.Stats().Refused }},
		{"code_cache", "files of compiled code that were removed (--code-cache)",
			func(s *Sources) uint64 { return uint64(s.Modules.Stats().Code.Evicted) }},
		{"code_memory", "times that the code and the snapshot of a module were released (--code-memory)",
			func(s *Sources) uint64 { return uint64(s.Modules.Stats().Pools.Trimmed) }},
		{"queue_requests_memory", "requests that found the memory of queues full, or the share of their queue",
			func(s *Sources) uint64 { return s.Queues.Stats().Requests.Refused }},
		{"queue_replies_memory", "answers of workers that found the memory full, or the share of their queue",
			func(s *Sources) uint64 { return s.Queues.Stats().Replies.Refused }},
		{"function_memory", "invocations that found the memory of functions full, or the share of theirs",
			func(s *Sources) uint64 { return s.Functions.Stats().Held.Refused }},
		{"lambda_events", "events that found their store full, or the share of their function",
			withLambda(func(s *Sources) uint64 { return s.Lambda.Stats().Events.Refused })},
		{"lambda_memory", "invocations that found the memory full, or the share of their function",
			withLambda(func(s *Sources) uint64 { return s.Lambda.Stats().Held.Refused })},
		{"traces", "spans that found the queue full (OTEL_BSP_MAX_QUEUE_SIZE)",
			func(s *Sources) uint64 { return s.Traces.Stats().Dropped }},
		{"failure_lines", "log lines about failed requests beyond the rate of their service",
			func(s *Sources) uint64 {
				if s.Failures == nil {
					return 0
				}
				return uint64(s.Failures().Suppressed)
			}},
	}
}

// withLambda returns read for servers with a Lambda API, else 0.
func withLambda(read func(*Sources) uint64) func(*Sources) uint64 {
	return func(s *Sources) uint64 {
		if s.Lambda == nil {
			return 0
		}
		return read(s)
	}
}

// limits returns the metric of all bounds.
func (s *Sources) limits() metrics.Group {
	return metrics.Of("Limits", func() *Sources { return s }, metrics.Field[*Sources]{
		Desc: metrics.Desc{
			Name:   "vespo_limit_acts_total",
			Type:   metrics.Counter,
			Labels: "limit",
			Help:   "How often a bound of the server has acted.",
		},
		Emit: func(s *Sources, to *metrics.Sink) {
			for _, l := range Limits() {
				to.Value(float64(l.read(s)), l.Name)
			}
		},
	})
}

func (s *Sources) shedShares() (n uint64) {
	for _, g := range s.Gates {
		if g.Shares != nil {
			n += g.Shares.Connections.Stats().Shed + g.Shares.Clients.Stats().Shed
		}
	}
	return n
}

func (s *Sources) listeners(value func(conns.Stats) uint64) (n uint64) {
	s.Listeners(func(_ string, c conns.Stats) { n += value(c) })
	return n
}
