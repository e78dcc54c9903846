package instruments

import (
	"github.com/vespo-dev/vespo/cmd/vespo/internal/output"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/lambda"
	"github.com/vespo-dev/vespo/services/control/scheduler"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// controlStats is the state of the control plane.
type controlStats struct {
	deploy    deploy.Stats
	admin     admin.Stats
	schedules scheduler.Stats
	lambda    lambda.Stats
}

// management returns the metrics of the control plane.
func (s *Sources) management() metrics.Group {
	read := func() controlStats {
		c := controlStats{deploy: s.Deployer.Stats(), admin: s.Admin.Stats(), schedules: s.Schedules.Stats()}
		if s.Lambda != nil {
			c.lambda = s.Lambda.Stats()
		}
		return c
	}
	return metrics.Of("Control plane", read,
		metrics.Level("vespo_services", "Services in the catalogue.", func(c controlStats) int { return c.deploy.Services }),
		metrics.Level("vespo_services_starting", "Services that are not prepared yet.", func(c controlStats) int { return c.deploy.Starting }),
		metrics.Level("vespo_services_unavailable", "Services that could not be prepared, and answer 503.", func(c controlStats) int { return c.deploy.Unavailable }),
		metrics.Level("vespo_versions_retiring", "Earlier versions that still have requests.", func(c controlStats) int { return c.deploy.Retiring }),
		metrics.Level("vespo_deploys_waiting", "Changes that wait for another one, or for their turn to compile.", func(c controlStats) int { return c.deploy.Changes }),
		metrics.Level("vespo_requests_awaiting_start", "Requests that wait for their service to start.", func(c controlStats) int { return c.deploy.Requests }),
		metrics.Level("vespo_module_fetches", "Modules that are being fetched from their address.", func(c controlStats) int64 { return c.admin.Fetches.Active }),
		metrics.Field[controlStats]{
			Desc: metrics.Desc{
				Name:   "vespo_module_fetches_total",
				Type:   metrics.Counter,
				Labels: "result",
				Help:   "Modules that were fetched from their address: ok or failed.",
			},
			Emit: func(c controlStats, to *metrics.Sink) {
				to.Value(float64(c.admin.Fetches.Fetched), "ok")
				to.Value(float64(c.admin.Fetches.Failed), "failed")
			},
		},
		metrics.Count("vespo_module_fetched_bytes_total", "Size of the fetched modules.", func(c controlStats) int64 { return c.admin.Fetches.Bytes }),
		metrics.Level("vespo_schedules", "Schedules of all services.", func(c controlStats) int { return c.schedules.Schedules }),
		metrics.Level("vespo_schedule_runs_running", "Runs of schedules in progress.", func(c controlStats) int { return c.schedules.Running }),
		metrics.Level("vespo_schedules_waiting", "Schedules whose time has come, and that wait for their turn.", func(c controlStats) int { return c.schedules.Waiting }),
		metrics.Level("vespo_lambda_events", "Accepted events of the Lambda API that are not done.", func(c controlStats) int { return c.lambda.Events.Events }),
		metrics.Level("vespo_lambda_events_limit", "Most of them.", func(c controlStats) int { return c.lambda.Events.MaxEvents }),
		metrics.Level("vespo_lambda_events_bytes", "Size of these events.", func(c controlStats) int64 { return c.lambda.Events.Bytes }),
		metrics.Level("vespo_lambda_events_running", "Events of the Lambda API that this host carries out.", func(c controlStats) int { return c.lambda.Running }),
		metrics.Count("vespo_lambda_events_damaged_total", "Stored events that were damaged and set aside.", func(c controlStats) uint64 { return c.lambda.Events.Damaged }),
		metrics.Field[controlStats]{
			Desc: metrics.Desc{Name: "vespo_lambda_events_away", Type: metrics.Gauge, Help: "1 if the store of events could not be used at the last attempt."},
			Emit: func(c controlStats, to *metrics.Sink) { to.Flag(c.lambda.Events.Away) },
		},
		metrics.Count("vespo_lambda_dead_letters_total", "Events that were given up, and written to the dead letters.", func(c controlStats) uint64 { return c.lambda.DeadLetters }),
		metrics.Level("vespo_lambda_held_bytes", "Payloads and outputs of invocations in progress.", func(c controlStats) int64 { return c.lambda.Held.HeldBytes }),
	)
}

// outputs returns the metrics of standard output and standard error.
func (s *Sources) outputs() metrics.Group {
	type streams = []named[output.Stats]
	per := func(name string, typ metrics.Type, help string, value func(output.Stats) float64) metrics.Field[streams] {
		d := metrics.Desc{Name: name, Type: typ, Labels: "stream", Help: help}
		return perName(d, func(all streams) streams { return all }, value)
	}
	return metrics.Of("Log and access log", func() streams { return collect(s.Outputs) },
		per("vespo_log_lines_total", metrics.Counter, "Lines that were accepted for an output.", func(o output.Stats) float64 { return float64(o.Lines) }),
		per("vespo_log_lines_dropped_total", metrics.Counter, "Lines that were dropped, as the output took none.", func(o output.Stats) float64 { return float64(o.Dropped) }),
		per("vespo_log_waiting_bytes", metrics.Gauge, "Lines that are not written yet.", func(o output.Stats) float64 { return float64(o.Waiting) }),
	)
}
