package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engine"
	"github.com/vespo-dev/vespo/services/kv"
)

// master returns the client of the node that has the keys.
func (s *Stores) master(ctx context.Context) (*redis.Client, error) {
	if s.node != nil {
		return s.node, nil
	}
	node, err := s.cluster.MasterForKey(ctx, s.key("stores"))
	if err != nil {
		return nil, notSent(err)
	}
	return node, nil
}

// run runs a script that writes. It is sent again only if the engine has refused to run it: another node of the cluster has
// the keys.
func (s *Stores) run(ctx context.Context, script *redis.Script, store string, args ...any) (found any, err error) {
	for range 2 {
		node, err := s.master(ctx)
		if err != nil {
			return nil, err
		}
		found, err = script.Run(ctx, node, s.keys(store), args...).Result()
		if !moved(err) || s.cluster == nil {
			s.seen(err)
			return found, err
		}
		s.cluster.ReloadState(ctx)
	}
	return nil, notSent(errors.New("the nodes of the cluster disagree about its slots"))
}

// moved reports whether another node of the cluster has the keys.
func moved(err error) bool {
	return redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK") || redis.HasErrorPrefix(err, "TRYAGAIN")
}

// tryTwice calls f, which only reads, again if the first connection was broken.
func (s *Stores) tryTwice(ctx context.Context, f func(*redis.Client) error) error {
	for attempt := 1; ; attempt++ {
		node, err := s.master(ctx)
		if err == nil {
			err = f(node)
		}
		var reply redis.Error
		switch {
		case moved(err) && s.cluster != nil && attempt < 3:
			s.cluster.ReloadState(ctx)
		case err == nil || attempt > 1 || errors.As(err, &reply) || engine.Ended(ctx) != nil:
			s.seen(err)
			return err
		}
	}
}

// read runs a script that only reads. The error matches redis.Nil if it returns nothing.
func (s *Stores) read(ctx context.Context, script *redis.Script, store string, args ...any) (list []any, err error) {
	err = s.tryTwice(ctx, func(node *redis.Client) (err error) {
		list, err = script.Run(ctx, node, s.keys(store), args...).Slice()
		return err
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, engine.Unavailable(ctx, err)
	}
	return list, err
}

// seen takes the outcome of an operation, for the log. Refusals of a full engine are not logged.
func (s *Stores) seen(err error) {
	if errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "OOM") || errors.Is(err, context.Canceled) || errors.Is(err, redis.ErrClosed) {
		err = nil
	}
	s.presence.Seen(err)
}

// writeFailed returns the error of a write without a usable reply.
func (s *Stores) writeFailed(ctx context.Context, store string, err error) error {
	var reply redis.Error
	var before notSentError
	switch {
	case redis.HasErrorPrefix(err, "OOM"):
		return kv.Reject(kv.ErrFull, "the memory of the engine is full: the store %q cannot grow", store)
	case errors.As(err, &reply), errors.As(err, &before), errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrClosed),
		errors.Is(err, redis.ErrPoolExhausted):
		return engine.Unavailable(ctx, err)
	}
	return engine.Uncertain(ctx, store)
}

// damaged is the error of a reply that cannot be read.
func (s *Stores) damaged(store string, err error) error {
	s.cfg.Log.Error("a key-value store cannot be read", slog.String("store", store), slog.Any("error", err))
	return kv.Reject(kv.ErrUnavailable, "the store %q is damaged: see the server's log", store)
}

// temporary reports whether a reply of the engine may change soon.
func temporary(err error) bool {
	for _, prefix := range []string{"LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY", "MISCONF", "OOM"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// sweep deletes all expired keys.
func (s *Stores) sweep(ctx context.Context) error {
	all, err := s.All(ctx)
	if err != nil {
		return err
	}
	for _, info := range all {
		for deleted := int64(engine.SweepKeys); deleted == engine.SweepKeys; {
			found, err := s.run(ctx, s.scripts.sweep, info.Name, s.now(), info.Name, kv.EntryOverheadBytes, engine.SweepKeys)
			if err != nil {
				return fmt.Errorf("store %s: %w", info.Name, err)
			}
			deleted, _ = found.(int64)
		}
	}
	return nil
}
