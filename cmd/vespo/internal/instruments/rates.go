package instruments

import (
	"github.com/vespo-dev/vespo/router/ratelimit"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// rateStats are those of all rate limits.
type rateStats struct {
	ratelimit.Stats
	shared ratelimit.SharingStats
}

// rates returns the metrics of rate limits.
func (s *Sources) rates() metrics.Group {
	read := func() (r rateStats) {
		r.Stats = s.Deployer.RateStats()
		if s.Sharing != nil {
			r.shared = s.Sharing.Stats()
		}
		return r
	}
	return metrics.Of("Rate limits", read,
		metrics.Level("vespo_rate_limit_keys", "Clients, and values of header fields, whose rate is counted.", func(r rateStats) int { return r.Keys }),
		metrics.Count("vespo_rate_limit_crowded_total", "Requests that were counted together with those of other clients, since all places were in use.", func(r rateStats) uint64 { return r.Shared }),
		metrics.Count("vespo_rate_limit_told_total", "Counts that were sent to the engine (--limits).", func(r rateStats) uint64 { return r.shared.Keys }),
		metrics.Count("vespo_rate_limit_lost_total", "Of these, counts that the engine has not confirmed: other hosts may not know them.", func(r rateStats) uint64 { return r.shared.Failed }),
		metrics.Field[rateStats]{
			Desc: metrics.Desc{Name: "vespo_rate_limit_engine_away", Type: metrics.Gauge, Help: "1 if the engine of the rate limits (--limits) could not be used at the last attempt."},
			Emit: func(r rateStats, to *metrics.Sink) { to.Flag(r.shared.Away) },
		},
	)
}
