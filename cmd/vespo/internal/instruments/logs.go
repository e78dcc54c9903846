package instruments

import (
	"github.com/vespo-dev/vespo/services/observe/journal"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// logs returns the metrics of the logs of services.
func (s *Sources) logs() metrics.Group {
	read := func() journal.Stats {
		if s.Journal == nil {
			return journal.Stats{}
		}
		return s.Journal.Stats()
	}
	return metrics.Of("Logs of services", read,
		metrics.Field[journal.Stats]{
			Desc: metrics.Desc{
				Name:   "vespo_service_log_entries_total",
				Type:   metrics.Counter,
				Labels: "result",
				Help:   "Entries of the logs that vespo logs shows: written, or lost (the disk did not take them).",
			},
			Emit: func(j journal.Stats, to *metrics.Sink) {
				to.Value(float64(j.Written), "written")
				to.Value(float64(j.Lost), "lost")
			},
		},
		metrics.Level("vespo_service_logs", "Services with a log (--log-size).", func(j journal.Stats) int { return j.Services }),
		metrics.Level("vespo_service_logs_bytes", "Size of all logs (--log-total).", func(j journal.Stats) int64 { return j.Bytes }),
		metrics.Level("vespo_service_log_followers", "Clients that follow logs.", func(j journal.Stats) int { return j.Followers }),
	)
}
