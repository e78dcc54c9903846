// Command vespo-cluster is vespo with engines that several hosts share: the store of a catalogue in etcd, key-value stores in
// Redis and PostgreSQL, rate limits and kept answers in Redis, durable queues in PostgreSQL, and modules in an object store.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/program"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/server"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdstore"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/pgqueue"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/pgstore"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/redisstore"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/s3store"
	"github.com/vespo-dev/vespo/router/cache"
	"github.com/vespo-dev/vespo/router/ratelimit"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/queues"
)

func main() {
	redisstore.Silence()
	os.Exit(program.Main(server.Openers{Store: etcdstore.OpenURL, KV: openKV, Queues: openQueues, Blobs: s3store.OpenURL, Limits: openLimits, Cache: openCache}))
}

// openKV is a kv.Opener.
func openKV(ctx context.Context, o kv.Options) (engine kv.Engine, err error) {
	scheme, _, _ := strings.Cut(o.URL, "://")
	switch {
	case slices.Contains(redisstore.Schemes(), scheme):
		engine, err = redisstore.OpenURL(ctx, o)
	case slices.Contains(pgstore.Schemes(), scheme):
		engine, err = pgstore.OpenURL(ctx, o)
	default:
		all := append(redisstore.Schemes(), pgstore.Schemes()...)
		err = fmt.Errorf("the URL of the engine must begin with one of %s", strings.Join(all, "://, ")+"://")
	}
	if err != nil {
		return nil, fmt.Errorf("--kv: %w", err)
	}
	return engine, nil
}

// openLimits is a ratelimit.Opener.
func openLimits(ctx context.Context, o ratelimit.Options) (ratelimit.Engine, error) {
	engine, err := redisstore.OpenLimits(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("--limits: %w", err)
	}
	return engine, nil
}

// openCache is a cache.Opener.
func openCache(ctx context.Context, o cache.Options) (cache.Engine, error) {
	engine, err := redisstore.OpenCache(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("--cache-store: %w", err)
	}
	return engine, nil
}

// openQueues is a queues.Opener.
func openQueues(ctx context.Context, o queues.Options) (engine queues.Engine, err error) {
	if scheme, _, _ := strings.Cut(o.URL, "://"); !slices.Contains(pgqueue.Schemes(), scheme) {
		return nil, fmt.Errorf("--queues: the URL of the engine must begin with %s://", pgqueue.Schemes()[0])
	}
	if engine, err = pgqueue.OpenURL(ctx, o); err != nil {
		return nil, fmt.Errorf("--queues: %w", err)
	}
	return engine, nil
}
