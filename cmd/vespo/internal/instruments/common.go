package instruments

import (
	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/services/control/follow"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// common returns the metrics of a server whose catalogue is in a common store.
func (s *Sources) common() metrics.Group {
	read := func() cluster.Stats {
		if s.Common != nil {
			return s.Common()
		}
		return cluster.Stats{Store: cluster.StoreStats{Requests: []cluster.RequestStats{{Operation: "read"}}}} // none
	}
	return metrics.Of("Store", read,
		metrics.Field[cluster.Stats]{
			Desc: metrics.Desc{
				Name:   "vespo_store_state",
				Type:   metrics.Gauge,
				Labels: "state",
				Help:   "1 for the state of a server with a store, 0 for the others: starting, current, behind or lost.",
			},
			Emit: func(c cluster.Stats, to *metrics.Sink) {
				for _, state := range [...]string{follow.Starting, follow.Current, follow.Behind, follow.Lost} {
					to.Flag(state == c.Status.State, state)
				}
			},
		},
		metrics.Level("vespo_store_state_since_timestamp_seconds", "Time since which the store is lost, or is not, in Unix seconds.", func(c cluster.Stats) float64 { return unixSeconds(c.Status.Since) }),
		metrics.Level("vespo_store_last_contact_timestamp_seconds", "Time of the last answer of the store, in Unix seconds; 0 before the first.", func(c cluster.Stats) float64 { return unixSeconds(c.Status.LastContact) }),
		metrics.Level("vespo_store_generation", "Latest generation of the catalogue that the store has told of.", func(c cluster.Stats) float64 { return float64(c.Status.PrimaryGeneration) }),
		metrics.Level("vespo_store_served_generation", "Generation that this server serves.", func(c cluster.Stats) float64 { return float64(c.Status.Generation) }),
		metrics.Level("vespo_store_behind_generations", "Generations that the store is ahead.", func(c cluster.Stats) uint64 { return c.Status.Generations }),
		metrics.Level("vespo_store_behind_seconds", "Time since the server was last known to serve the latest generation; 0 while it does.", func(c cluster.Stats) float64 { return c.Status.Behind.Seconds() }),
		metrics.Level("vespo_store_unavailable", "Services of the common catalogue that this server cannot serve.", func(c cluster.Stats) int { return c.Status.Unavailable }),
		metrics.Level("vespo_store_hosts", "Hosts of the catalogue, this one included, when the store has last answered.", func(c cluster.Stats) int { return c.Hosts }),
		metrics.Count("vespo_store_adopted_total", "States of the catalogue that were adopted, of this server and of others.", func(c cluster.Stats) uint64 { return c.Status.Adoptions }),
		metrics.Field[cluster.Stats]{
			Desc: metrics.Desc{
				Name:   "vespo_store_requests_total",
				Type:   metrics.Counter,
				Labels: "operation result",
				Help:   "Requests to the store: ok or failed.",
			},
			Emit: func(c cluster.Stats, to *metrics.Sink) {
				for _, r := range c.Store.Requests {
					to.Value(float64(r.OK), r.Operation, "ok")
					to.Value(float64(r.Failed), r.Operation, "failed")
				}
			},
		},
		metrics.Count("vespo_store_changes_total", "Changes of the catalogue that this server has committed.", func(c cluster.Stats) uint64 { return c.Store.Changes }),
		metrics.Count("vespo_store_writes_total", "Keys that these changes have written.", func(c cluster.Stats) uint64 { return c.Store.Writes }),
		metrics.Field[cluster.Stats]{
			Desc: metrics.Desc{Name: "vespo_store_objects_away", Type: metrics.Gauge, Help: "1 if the object store (--blobs) could not be used at the last attempt."},
			Emit: func(c cluster.Stats, to *metrics.Sink) { to.Flag(c.ObjectsAway) },
		},
		metrics.Count("vespo_store_objects_deleted_total", "Unreferenced modules that this server has deleted from the object store.", func(c cluster.Stats) uint64 { return c.SweptObjects }),
		metrics.Count("vespo_store_objects_deleted_bytes_total", "Size of these.", func(c cluster.Stats) int64 { return c.SweptBytes }),
		metrics.Count("vespo_store_reads_total", "Reads of the whole catalogue: at the start, and after a watch was lost.", func(c cluster.Stats) uint64 { return c.Store.Reads }),
	)
}
