package instruments

import (
	"github.com/vespo-dev/vespo/router/cache"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// cache returns the metrics of the cache of answers.
func (s *Sources) cache() metrics.Group {
	read := func() (stats cache.Stats) {
		if s.Cache != nil {
			stats = s.Cache.Stats()
		}
		return stats
	}
	type stats = cache.Stats
	return metrics.Of("Cache of answers", read,
		metrics.Level("vespo_cache_bytes", "Memory of answers of services with a cache: stored ones, and ones in transit.", func(c stats) int64 { return c.UsedBytes }),
		metrics.Level("vespo_cache_limit_bytes", "Limit of that memory (--cache-memory).", func(c stats) int64 { return c.LimitBytes }),
		metrics.Level("vespo_cache_entries", "Stored answers.", func(c stats) int { return c.Entries }),
		metrics.Count("vespo_cache_hits_total", "Requests that were answered from the cache.", func(c stats) uint64 { return c.Hits }),
		metrics.Count("vespo_cache_stale_total", "Of these, requests with an answer that another request was about to renew.", func(c stats) uint64 { return c.Stale }),
		metrics.Count("vespo_cache_misses_total", "Requests for which no stored answer could be used.", func(c stats) uint64 { return c.Misses }),
		metrics.Count("vespo_cache_passed_total", "Requests to services with a cache that it is not for, such as those of other methods than GET and HEAD.", func(c stats) uint64 { return c.Passed }),
		metrics.Count("vespo_cache_collapsed_total", "Requests that have waited for the answer to another one.", func(c stats) uint64 { return c.Collapsed }),
		metrics.Count("vespo_cache_stored_total", "Answers that were stored.", func(c stats) uint64 { return c.Stored }),
		metrics.Count("vespo_cache_evicted_total", "Answers that were removed for others.", func(c stats) uint64 { return c.Evicted }),
		metrics.Count("vespo_cache_refused_total", "Answers that were too large, or found no memory.", func(c stats) uint64 { return c.Refused }),
		metrics.Count("vespo_cache_invalidated_total", "Answers that were removed because their target may have changed, or on demand.", func(c stats) uint64 { return c.Invalidated }),
	)
}
