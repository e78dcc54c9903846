package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

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
		case err == nil || attempt > 1 || errors.As(err, &reply) || ended(ctx) != nil:
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
		return nil, s.readFailed(ctx, err)
	}
	return list, err
}

// seen logs when the engine can no longer be used, and when it can be used again. Refusals of a full engine are not logged.
func (s *Stores) seen(err error) {
	if errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "OOM") || errors.Is(err, context.Canceled) || errors.Is(err, redis.ErrClosed) {
		err = nil
	}
	if err == nil && s.away.Load() && s.away.CompareAndSwap(true, false) {
		s.cfg.Log.Info("the engine of the key-value stores can be used again", slog.String("engine", s.cfg.String()))
	}
	if err != nil && s.away.CompareAndSwap(false, true) {
		s.cfg.Log.Error("the engine of the key-value stores cannot be used", slog.String("engine", s.cfg.String()), slog.Any("error", err))
	}
}

// reason is the error that callers see. It matches errors of this package, but does not have their texts.
type reason struct {
	error
	cause error
}

func (r reason) Unwrap() []error { return []error{r.error, r.cause} }

// readFailed returns the error of a read.
func (s *Stores) readFailed(ctx context.Context, err error) error {
	if ended := ended(ctx); ended != nil {
		return ended
	}
	return reason{kv.Reject(kv.ErrUnavailable, "the engine of the key-value stores cannot be used: see the server's log"), err}
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
		return s.readFailed(ctx, err)
	}
	return errors.Join(kv.Reject(kv.ErrUncertain, "the engine did not answer the write of the store %q", store), ended(ctx))
}

// ended returns the error of a context, also when its deadline has ended the operation just before the context.
func ended(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
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

// sweepAll deletes expired keys until ctx ends.
func (s *Stores) sweepAll(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Log.Debug("expired keys could not be deleted", slog.Any("error", err))
			}
		}
	}
}

// sweep deletes all expired keys.
func (s *Stores) sweep(ctx context.Context) error {
	all, err := s.All(ctx)
	if err != nil {
		return err
	}
	for _, info := range all {
		for deleted := int64(sweepKeys); deleted == sweepKeys; {
			found, err := s.run(ctx, s.scripts.sweep, info.Name, s.now(), info.Name, kv.EntryOverheadBytes, sweepKeys)
			if err != nil {
				return fmt.Errorf("store %s: %w", info.Name, err)
			}
			deleted, _ = found.(int64)
		}
	}
	return nil
}
