package server

import "github.com/vespo-dev/vespo/router/cache"

// newCache returns the store of answers of services with a cache; nil if none are kept.
func newCache(cfg *Config) *cache.Store {
	if cfg.CacheMemory == 0 {
		return nil
	}
	return cache.NewStore(int64(cfg.CacheMemory))
}
