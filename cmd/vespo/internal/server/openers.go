package server

import (
	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/router/cache"
	"github.com/vespo-dev/vespo/router/ratelimit"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/queues"
)

// unsupported is the violation of a setting that needs an opener which the program lacks.
const unsupported = "is not supported by this program: use vespo-cluster, which is built from cmd/vespo/vespo-cluster"

// Openers open what a program keeps in engines. Each may be nil: the program has none.
type Openers struct {
	Store  cluster.Opener        // of --store
	KV     kv.Opener             // of --kv
	Queues queues.Opener         // of --queues
	Blobs  cluster.ObjectsOpener // of --blobs
	Limits ratelimit.Opener      // of --limits
	Cache  cache.Opener          // of --cache-store
}

// equip gives the configuration what its program opens.
func (c *Config) equip(open Openers) {
	c.OpenStore, c.OpenKV, c.OpenQueues, c.OpenBlobs = open.Store, open.KV, open.Queues, open.Blobs
	c.OpenLimits, c.OpenCache = open.Limits, open.Cache
}

// openers returns what equip has given.
func (c *Config) openers() Openers {
	return Openers{Store: c.OpenStore, KV: c.OpenKV, Queues: c.OpenQueues, Blobs: c.OpenBlobs, Limits: c.OpenLimits, Cache: c.OpenCache}
}

// alone returns the configuration of a server without other hosts and engines.
func (c *Config) alone() *Config {
	own := *c
	own.anyHost = c.OpenStore != nil
	own.Store, own.Blobs, own.KV, own.Queues, own.Limits, own.CacheStore, own.FollowSettings = "", "", "", "", "", "", FollowSettings{}
	return &own
}
