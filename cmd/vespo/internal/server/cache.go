package server

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/cache"
)

// CacheSettings are the settings of a cache of answers that several hosts share, as a part of Config.
type CacheSettings struct {
	CacheStore string `name:"cache-store" placeholder:"URL" env:"VESPO_CACHE_STORE" help:"Engine of the kept answers of services with --cache, such as redis://host (vespo-cluster alone). Without it, each host keeps its own."`

	OpenCache cache.Opener `kong:"-"` // nil: this program has no engines
}

// check returns the violations of the settings.
func (s *CacheSettings) check(memory int64) (violations problem.Violations) {
	switch {
	case s.CacheStore == "":
	case s.OpenCache == nil:
		violations.Add("cache-store", unsupported)
	case memory == 0:
		violations.Add("cache-store", "needs a cache in memory: --cache-memory is 0")
	}
	return violations
}

// strings returns the settings that are given as flags, one per line.
func (s *CacheSettings) strings() string { return engineFlag("cache-store", s.CacheStore) }

// newCache returns the store of answers of services with a cache; nil if none are kept.
func newCache(cfg *Config) *cache.Store {
	if cfg.CacheMemory == 0 {
		return nil
	}
	return cache.NewStore(int64(cfg.CacheMemory))
}

// openCache opens the engine of the kept answers if there is one, and shares them by it.
func (c *core) openCache(ctx context.Context, list *parts.List, cfg *Config, log *slog.Logger) error {
	if cfg.CacheStore == "" {
		return nil
	}
	return openSharing(ctx, list, "the engine of the cache", func(ctx context.Context) (io.Closer, func(context.Context), error) {
		opened, err := cfg.OpenCache(ctx, cache.Options{URL: cfg.CacheStore, Password: os.Getenv(cache.PasswordVariable), Log: log})
		if err != nil {
			return nil, nil, err
		}
		c.cacheSharing = c.cache.Share(opened)
		return opened, c.cacheSharing.Run, nil
	})
}
