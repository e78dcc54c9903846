package instruments

import (
	"github.com/vespo-dev/vespo/services/egress/forward"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// forwarding returns the metrics of requests that hosts of one catalogue forward to each other.
func (s *Sources) forwarding() metrics.Group {
	read := func() (f forward.Stats) {
		if s.Forward != nil {
			f = s.Forward.Stats()
		}
		return f
	}
	return metrics.Of("Forwarding", read,
		metrics.Level("vespo_forward_hosts", "Other hosts of the catalogue that forward requests, and serve forwarded ones.", func(f forward.Stats) int { return f.Peers }),
		metrics.Level("vespo_placement_hosts", "Other hosts of the catalogue among which services with a placement choose.", func(f forward.Stats) int { return f.Placing }),
		metrics.Field[forward.Stats]{
			Desc: metrics.Desc{
				Name:   "vespo_forward_requests_total",
				Type:   metrics.Counter,
				Labels: "result",
				Help:   "Requests to services that were not loaded and have another host as their home: served (by that host), declined or unreached (both served here), or failed on the way. Of services with a placement: served, declined or unreached (another host is asked), failed, or unserved (no host has served it).",
			},
			Emit: func(f forward.Stats, to *metrics.Sink) {
				to.Value(float64(f.Forwarded), "served")
				to.Value(float64(f.Declined), "declined")
				to.Value(float64(f.Unreached), "unreached")
				to.Value(float64(f.Failed), "failed")
				to.Value(float64(f.Unserved), "unserved")
			},
		},
		metrics.Field[forward.Stats]{
			Desc: metrics.Desc{
				Name:   "vespo_forward_received_total",
				Type:   metrics.Counter,
				Labels: "result",
				Help:   "Requests that other hosts have forwarded: served, or declined before they have run.",
			},
			Emit: func(f forward.Stats, to *metrics.Sink) {
				to.Value(float64(f.Received), "served")
				to.Value(float64(f.Refused), "declined")
			},
		},
	)
}
