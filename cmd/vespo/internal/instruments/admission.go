package instruments

import (
	"github.com/vespo-dev/vespo/cmd/vespo/internal/conns"
	"github.com/vespo-dev/vespo/internal/lane"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// gates are the states of all gates.
type gates = []named[admission.GateStats]

// admission returns the metrics of the places that requests take before they are served.
func (s *Sources) admission() metrics.Group {
	read := func() gates {
		return collect(func(yield func(string, admission.GateStats)) {
			for _, g := range s.Gates {
				yield(g.Name, g.Gate.Stats())
			}
		})
	}
	return metrics.Of("Admission", read,
		perGate("vespo_admission_capacity", "Requests that may be served at a time: of guests by slots, of others by connections.",
			func(g admission.GateStats) float64 { return float64(g.Capacity) }),
		perGate("vespo_admission_in_flight", "Capacity in use.", func(g admission.GateStats) float64 { return float64(g.InFlight) }),
		perGate("vespo_admission_waiting", "Requests that wait to be admitted.", func(g admission.GateStats) float64 { return float64(g.Queued) }),
	)
}

func perGate(name, help string, value func(admission.GateStats) float64) metrics.Field[gates] {
	d := metrics.Desc{Name: name, Type: metrics.Gauge, Labels: "gate", Help: help}
	return perName(d, func(all gates) gates { return all }, value)
}

// connStats is the state of the listeners, and of what open requests hold.
type connStats struct {
	listeners []named[conns.Stats]
	lane      lane.Stats
	router    router.Stats
}

// connections returns the metrics of the listeners.
func (s *Sources) connections() metrics.Group {
	read := func() connStats { return connStats{collect(s.Listeners), s.Lane(), s.Router.Stats()} }
	return metrics.Of("Connections", read,
		perListener("vespo_connections_open", metrics.Gauge, "Open connections.", func(l conns.Stats) float64 { return float64(l.Open) }),
		perListener("vespo_connections_waiting", metrics.Gauge, "Accepted connections that wait for a place.", func(l conns.Stats) float64 { return float64(l.Waiting) }),
		perListener("vespo_connections_total", metrics.Counter, "Connections that got a place.", func(l conns.Stats) float64 { return float64(l.Admitted) }),
		metrics.Level("vespo_fast_lane_open", "Open connections in the fast lane (--fast-lane).", func(c connStats) int { return c.lane.Open }),
		metrics.Count("vespo_fast_lane_total", "Connections that began in the fast lane.", func(c connStats) uint64 { return c.lane.Accepted }),
		metrics.Field[connStats]{
			Desc: metrics.Desc{Name: "vespo_fast_lane_left_total", Type: metrics.Counter, Labels: "reason", Help: "Connections that went on to net/http."},
			Emit: func(c connStats, to *metrics.Sink) {
				for reason, n := range c.lane.Left {
					to.Value(float64(n), lane.Reason(reason).String())
				}
			},
		},
		metrics.Level("vespo_requests_held_bytes", "Estimated memory of open requests, mainly headers.", func(c connStats) int64 { return c.router.HeldBytes }),
		metrics.Level("vespo_requests_held_limit_bytes", "Limit of that memory (--header-memory).", func(c connStats) int64 { return c.router.LimitBytes }),
	)
}

func perListener(name string, typ metrics.Type, help string, value func(conns.Stats) float64) metrics.Field[connStats] {
	d := metrics.Desc{Name: name, Type: typ, Labels: "listener", Help: help}
	return perName(d, func(c connStats) []named[conns.Stats] { return c.listeners }, value)
}
