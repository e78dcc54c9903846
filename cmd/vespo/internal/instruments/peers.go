package instruments

import (
	"github.com/vespo-dev/vespo/services/egress/peer"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// fetchedHelp describes the counts of emitFetched.
const fetchedHelp = "Blobs that were fetched: ok or failed; resumed, corrupt and slow (given up for another host) count single transfers."

func emitFetched(s peer.Stats, to *metrics.Sink) {
	to.Value(float64(s.Fetched), "ok")
	to.Value(float64(s.Failed), "failed")
	to.Value(float64(s.Resumed), "resumed")
	to.Value(float64(s.Corrupt), "corrupt")
	to.Value(float64(s.Slow), "slow")
}

// peers returns the metrics of a host among others with one catalogue.
func (s *Sources) peers() metrics.Group {
	read := func() (blobs peer.Stats) {
		if s.Peers != nil {
			blobs = s.Peers.Stats()
		}
		return blobs
	}
	return metrics.Of("Hosts", read,
		metrics.Level("vespo_peer_blobs_active", "Blobs that are being fetched from other hosts.", func(b peer.Stats) int64 { return b.Active }),
		metrics.Field[peer.Stats]{
			Desc: metrics.Desc{
				Name:   "vespo_peer_blobs_total",
				Type:   metrics.Counter,
				Labels: "result",
				Help:   fetchedHelp,
			},
			Emit: emitFetched,
		},
		metrics.Count("vespo_peer_blob_bytes_total", "Bytes of blobs that were received from other hosts.", func(b peer.Stats) int64 { return b.Bytes }),
	)
}
