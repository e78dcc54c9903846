package instruments

import (
	"time"

	"github.com/vespo-dev/vespo/services/control/follow"
	"github.com/vespo-dev/vespo/services/egress/peer"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// Copy is a server that follows another one.
type Copy struct {
	Follower *follow.Follower
	Fetcher  *peer.Fetcher
}

// feed returns the metrics of a server that others may follow.
func (s *Sources) feed() metrics.Group {
	return metrics.Of("Followers", func() follow.FeedStats { return s.Feed.Stats() },
		metrics.Level("vespo_followers_waiting", "Requests of followers that wait for a change of the catalogue.", func(f follow.FeedStats) int64 { return f.Waiting }),
		metrics.Field[follow.FeedStats]{
			Desc: metrics.Desc{
				Name:   "vespo_catalogue_sent_total",
				Type:   metrics.Counter,
				Labels: "form",
				Help:   "Answers to followers: whole (the catalogue) or changes (the difference to a generation).",
			},
			Emit: func(f follow.FeedStats, to *metrics.Sink) {
				to.Value(float64(f.Whole), "whole")
				to.Value(float64(f.Changes), "changes")
			},
		},
		metrics.Count("vespo_catalogue_sent_bytes_total", "Size of these answers.", func(f follow.FeedStats) int64 { return f.Bytes }),
	)
}

// copyStats is the state of a server that follows another one.
type copyStats struct {
	follow follow.Status
	blobs  peer.Stats
}

// following returns the metrics of a server that follows another one.
func (s *Sources) following() metrics.Group {
	read := func() (c copyStats) {
		if s.Copy != nil {
			c.follow, c.blobs = s.Copy.Follower.Status(), s.Copy.Fetcher.Stats()
		}
		return c
	}
	return metrics.Of("Following", read,
		metrics.Field[copyStats]{
			Desc: metrics.Desc{
				Name:   "vespo_follow_state",
				Type:   metrics.Gauge,
				Labels: "state",
				Help:   "1 for the state of a server that follows another one, 0 for the others: starting, current, behind, lost or stopped.",
			},
			Emit: func(c copyStats, to *metrics.Sink) {
				for _, state := range [...]string{follow.Starting, follow.Current, follow.Behind, follow.Lost, follow.Stopped} {
					to.Flag(state == c.follow.State, state)
				}
			},
		},
		metrics.Level("vespo_follow_generation", "Generation of the catalogue of this server.", func(c copyStats) float64 { return float64(c.follow.Generation) }),
		metrics.Level("vespo_follow_behind_generations", "Generations that the primary is ahead.", func(c copyStats) uint64 { return c.follow.Generations }),
		metrics.Level("vespo_follow_behind_seconds", "Time since the server was last known to have the primary's catalogue; 0 while it has.", func(c copyStats) float64 { return c.follow.Behind.Seconds() }),
		metrics.Level("vespo_follow_last_contact_timestamp_seconds", "Time of the last answer of the primary, in Unix seconds; 0 before the first.", func(c copyStats) float64 { return unixSeconds(c.follow.LastContact) }),
		metrics.Level("vespo_follow_unavailable", "Services that this server cannot serve.", func(c copyStats) int { return c.follow.Unavailable }),
		metrics.Count("vespo_follow_adopted_total", "States of the catalogue that were adopted.", func(c copyStats) uint64 { return c.follow.Adoptions }),
		metrics.Level("vespo_follow_blobs_active", "Blobs that are being fetched.", func(c copyStats) int64 { return c.blobs.Active }),
		metrics.Field[copyStats]{
			Desc: metrics.Desc{
				Name:   "vespo_follow_blobs_total",
				Type:   metrics.Counter,
				Labels: "result",
				Help:   fetchedHelp,
			},
			Emit: func(c copyStats, to *metrics.Sink) { emitFetched(c.blobs, to) },
		},
		metrics.Count("vespo_follow_blob_bytes_total", "Bytes of blobs that were received.", func(c copyStats) int64 { return c.blobs.Bytes }),
	)
}

// unixSeconds returns a time in Unix seconds; 0 for none.
func unixSeconds(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixMilli()) / 1000
}
