package instruments

import (
	"github.com/vespo-dev/vespo/cmd/vespo/internal/tracing"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// traces returns the metrics of the export of spans.
func (s *Sources) traces() metrics.Group {
	return metrics.Of("Traces", func() tracing.Stats { return s.Traces.Stats() },
		metrics.Field[tracing.Stats]{
			Desc: metrics.Desc{
				Name:   "vespo_spans_total",
				Type:   metrics.Counter,
				Labels: "result",
				Help:   "Spans of sampled requests: sent, failed (the receiver did not take them) or dropped (the queue was full).",
			},
			Emit: func(t tracing.Stats, to *metrics.Sink) {
				to.Value(float64(t.Sent), "sent")
				to.Value(float64(t.Failed), "failed")
				to.Value(float64(t.Dropped), "dropped")
			},
		},
		metrics.Level("vespo_spans_waiting", "Spans that wait for their export.", func(t tracing.Stats) int { return t.Waiting }),
		metrics.Level("vespo_spans_waiting_limit", "Most of them.", func(t tracing.Stats) int { return t.Queue }),
	)
}
