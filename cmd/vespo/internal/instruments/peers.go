package instruments

import (
	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster/travel"
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
	read := func() (p peerStats) {
		if s.Peers != nil {
			p.blobs = s.Peers.Stats()
		}
		if s.PeerCode != nil {
			p.code = s.PeerCode.Stats()
		}
		return p
	}
	return metrics.Of("Hosts", read,
		metrics.Level("vespo_peer_blobs_active", "Blobs that are being fetched from other hosts.", func(p peerStats) int64 { return p.blobs.Active }),
		metrics.Field[peerStats]{
			Desc: metrics.Desc{
				Name:   "vespo_peer_blobs_total",
				Type:   metrics.Counter,
				Labels: "result",
				Help:   fetchedHelp,
			},
			Emit: func(p peerStats, to *metrics.Sink) { emitFetched(p.blobs, to) },
		},
		metrics.Count("vespo_peer_blob_bytes_total", "Bytes of blobs that were received from other hosts.", func(p peerStats) int64 { return p.blobs.Bytes }),
		metrics.Field[peerStats]{
			Desc: metrics.Desc{
				Name:   "vespo_peer_code_total",
				Type:   metrics.Counter,
				Labels: "result",
				Help: "Compiled code and snapshots that were asked of other hosts: received, missing, failed, or refused because a host " +
					"of the catalogue does not send such a thing; and sent to them.",
			},
			Emit: func(p peerStats, to *metrics.Sink) {
				to.Value(float64(p.code.Received), "received")
				to.Value(float64(p.code.Missing), "missing")
				to.Value(float64(p.code.Failed), "failed")
				to.Value(float64(p.code.Refused), "refused")
				to.Value(float64(p.code.Sent), "sent")
			},
		},
		metrics.Field[peerStats]{
			Desc: metrics.Desc{
				Name:   "vespo_peer_code_bytes_total",
				Type:   metrics.Counter,
				Labels: "direction",
				Help:   "Bytes of compiled code and snapshots: received from other hosts, and sent to them.",
			},
			Emit: func(p peerStats, to *metrics.Sink) {
				to.Value(float64(p.code.ReceivedBytes), "received")
				to.Value(float64(p.code.SentBytes), "sent")
			},
		},
	)
}

// peerStats is what a host has exchanged with others.
type peerStats struct {
	blobs peer.Stats
	code  travel.Stats
}
