package instruments

import (
	"github.com/vespo-dev/vespo/router/cache"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// cacheStats are those of the memory of this host, and of the engine.
type cacheStats struct {
	cache.Stats
	shared cache.SharingStats
}

// cache returns the metrics of the cache of answers.
func (s *Sources) cache() metrics.Group {
	read := func() (c cacheStats) {
		if s.Cache != nil {
			c.Stats = s.Cache.Stats()
		}
		if s.CacheSharing != nil {
			c.shared = s.CacheSharing.Stats()
		}
		return c
	}
	type stats = cacheStats
	return metrics.Of("Cache of answers", read,
		metrics.Level("vespo_cache_bytes", "Memory of answers of services with a cache: stored ones, and ones in transit.", func(c stats) int64 { return c.UsedBytes }),
		metrics.Level("vespo_cache_limit_bytes", "Limit of that memory (--cache-memory).", func(c stats) int64 { return c.LimitBytes }),
		metrics.Level("vespo_cache_entries", "Stored answers.", func(c stats) int { return c.Entries }),
		metrics.Count("vespo_cache_hits_total", "Requests that were answered from the cache.", func(c stats) uint64 { return c.Hits }),
		metrics.Count("vespo_cache_stale_total", "Of these, requests with an answer that another request was about to renew.", func(c stats) uint64 { return c.Stale }),
		metrics.Count("vespo_cache_misses_total", "Requests for which no stored answer could be used.", func(c stats) uint64 { return c.Misses }),
		metrics.Count("vespo_cache_stale_if_error_total", "Of these, requests with an answer that was too old, as the service failed.", func(c stats) uint64 { return c.Rescued }),
		metrics.Count("vespo_cache_passed_total", "Requests to services with a cache that it is not for, such as those of other methods than GET and HEAD.", func(c stats) uint64 { return c.Passed }),
		metrics.Count("vespo_cache_collapsed_total", "Requests that have waited for the answer to another one.", func(c stats) uint64 { return c.Collapsed }),
		metrics.Count("vespo_cache_stored_total", "Answers that were stored.", func(c stats) uint64 { return c.Stored }),
		metrics.Count("vespo_cache_evicted_total", "Answers that were removed for others.", func(c stats) uint64 { return c.Evicted }),
		metrics.Count("vespo_cache_refused_total", "Answers that were too large, or found no memory.", func(c stats) uint64 { return c.Refused }),
		metrics.Count("vespo_cache_invalidated_total", "Answers that were removed because their target may have changed, or on demand.", func(c stats) uint64 { return c.Invalidated }),
		metrics.Count("vespo_cache_shared_hits_total", "Requests that were answered from the engine (--cache-store). They count as hits, too.", func(c stats) uint64 { return c.shared.Hits }),
		metrics.Count("vespo_cache_shared_misses_total", "Requests for which the engine had no usable answer.", func(c stats) uint64 { return c.shared.Misses }),
		metrics.Count("vespo_cache_shared_failed_total", "Requests that have waited for the engine in vain.", func(c stats) uint64 { return c.shared.Failed }),
		metrics.Count("vespo_cache_shared_skipped_total", "Requests that have not asked the engine, as it could not be used or others waited for it.", func(c stats) uint64 { return c.shared.Skipped }),
		metrics.Count("vespo_cache_shared_written_total", "Answers that were sent to the engine.", func(c stats) uint64 { return c.shared.Written }),
		metrics.Count("vespo_cache_shared_dropped_total", "Answers that were not: too large, no room in the queue, or the engine could not be used.", func(c stats) uint64 { return c.shared.Dropped }),
		metrics.Count("vespo_cache_shared_resets_total", "Times that all stored answers of this host were removed, as it may have missed removals of others.", func(c stats) uint64 { return c.shared.Resets }),
		metrics.Level("vespo_cache_shared_queue_bytes", "Answers that wait to be sent to the engine.", func(c stats) int64 { return c.shared.Queued }),
		metrics.Level("vespo_cache_shared_removals", "Removals that wait to be sent to the engine.", func(c stats) int { return c.shared.Removals }),
		metrics.Field[stats]{
			Desc: metrics.Desc{Name: "vespo_cache_engine_away", Type: metrics.Gauge, Help: "1 if the engine of the cache (--cache-store) is not used, as it has failed or was too slow."},
			Emit: func(c stats, to *metrics.Sink) { to.Flag(c.shared.Away) },
		},
	)
}
