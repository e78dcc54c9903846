package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engine"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engineurl"
)

// lossy is a client for data that need not survive the engine, whose settings are not checked.
type lossy struct {
	stores *Stores // for its client
	data   string  // name of the data, for errors and the log
}

// openLossy returns a client for a URL. log may be nil. It does not connect.
func openLossy(data, url, password string, log *slog.Logger) (*lossy, error) {
	cfg, err := Parse(url)
	if err == nil {
		err = cfg.Load(password, engineurl.ReadFile)
	}
	if err != nil {
		return nil, err
	}
	cfg.Durability, cfg.Log = Engine, log
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stores{cfg: cfg, presence: engine.NewPresence(cfg.Log, data, cfg.String())}
	if cfg.Cluster {
		s.cluster = redis.NewClusterClient(cfg.clusterOptions())
	} else {
		s.node = redis.NewClient(cfg.options())
	}
	return &lossy{stores: s, data: data}, nil
}

// on calls f with the node that has the keys. It is called again if another one has them.
func (l *lossy) on(ctx context.Context, f func(*redis.Client) error) error {
	for range 2 {
		node, err := l.stores.master(ctx)
		if err == nil {
			err = f(node)
		}
		if !moved(err) || l.stores.cluster == nil {
			return l.seen(err)
		}
		l.stores.cluster.ReloadState(ctx)
	}
	return l.seen(errors.New("the nodes of the cluster disagree about its slots"))
}

// seen takes the outcome of a call, for the log.
func (l *lossy) seen(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, redis.ErrClosed) {
		return err
	}
	l.stores.presence.Seen(err)
	if err != nil {
		return fmt.Errorf("%s: %w", l.data, err)
	}
	return nil
}

// Close closes the connections.
func (l *lossy) Close() error { return l.stores.closeClient() }
