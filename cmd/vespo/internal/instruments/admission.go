package instruments

import (
	"github.com/vespo-dev/vespo/cmd/vespo/internal/conns"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// gateStats is the state of a gate.
type gateStats struct {
	name string
	admission.GateStats
}

// admission returns the metrics of the places that requests take before they are served.
func (s *Sources) admission() metrics.Group {
	read := func() (all []gateStats) {
		for _, g := range s.Gates {
			all = append(all, gateStats{g.Name, g.Gate.Stats()})
		}
		return all
	}
	return metrics.Of("Admission", read,
		perGate("vespo_admission_capacity", "Requests that may be served at a time: of guests by slots, of others by connections.",
			func(g gateStats) int { return g.Capacity }),
		perGate("vespo_admission_in_flight", "Capacity in use.", func(g gateStats) int { return g.InFlight }),
		perGate("vespo_admission_waiting", "Requests that wait to be admitted.", func(g gateStats) int { return g.Queued }),
	)
}

func perGate(name, help string, value func(gateStats) int) metrics.Field[[]gateStats] {
	return metrics.Field[[]gateStats]{
		Desc: metrics.Desc{
			Name:   name,
			Type:   metrics.Gauge,
			Labels: "gate",
			Help:   help,
		},
		Emit: func(all []gateStats, to *metrics.Sink) {
			for _, g := range all {
				to.Value(float64(value(g)), g.name)
			}
		},
	}
}

// connStats is the state of the listeners, and of what open requests hold.
type connStats struct {
	names     []string
	listeners []conns.Stats
	router    router.Stats
}

// connections returns the metrics of the listeners.
func (s *Sources) connections() metrics.Group {
	read := func() (c connStats) {
		s.Listeners(func(name string, stats conns.Stats) {
			c.names, c.listeners = append(c.names, name), append(c.listeners, stats)
		})
		c.router = s.Router.Stats()
		return c
	}
	return metrics.Of("Connections", read,
		perListener("vespo_connections_open", metrics.Gauge, "Open connections.", func(l conns.Stats) float64 { return float64(l.Open) }),
		perListener("vespo_connections_waiting", metrics.Gauge, "Accepted connections that wait for a place.", func(l conns.Stats) float64 { return float64(l.Waiting) }),
		perListener("vespo_connections_total", metrics.Counter, "Connections that got a place.", func(l conns.Stats) float64 { return float64(l.Admitted) }),
		metrics.Level("vespo_requests_held_bytes", "Estimated memory of open requests, mainly headers.", func(c connStats) int64 { return c.router.HeldBytes }),
		metrics.Level("vespo_requests_held_limit_bytes", "Limit of that memory (--header-memory).", func(c connStats) int64 { return c.router.LimitBytes }),
	)
}

func perListener(name string, typ metrics.Type, help string, value func(conns.Stats) float64) metrics.Field[connStats] {
	return metrics.Field[connStats]{
		Desc: metrics.Desc{
			Name:   name,
			Type:   typ,
			Labels: "listener",
			Help:   help,
		},
		Emit: func(c connStats, to *metrics.Sink) {
			for i, l := range c.listeners {
				to.Value(value(l), c.names[i])
			}
		},
	}
}
