package redisstore

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/services/kv"
)

func TestForgottenScripts(t *testing.T) {
	engine := enginetest.StartRedis(t)
	s := openAt(t, engine.Address)
	for range 3 {
		engine.Do(t, "SCRIPT", "FLUSH")
		require.NoError(t, enginetest.Add(t.Context(), s))
	}
	engine.Do(t, "SCRIPT", "FLUSH")
	require.Equal(t, "3", enginetest.Value(t, s, "n"))
	require.NoError(t, s.Close())
}

// TestLostAnswers cuts the connection after a write was sent. It was made once, which a read tells.
func TestLostAnswers(t *testing.T) {
	engine := enginetest.StartRedis(t)
	proxy := enginetest.StartProxy(t, engine.Address)
	s := openAt(t, proxy.Address)
	require.NoError(t, enginetest.Add(t.Context(), s))
	for range 5 {
		proxy.DropReplies(true)
		err := enginetest.Add(t.Context(), s)
		require.ErrorIs(t, err, kv.ErrUncertain)
		require.NotErrorIs(t, err, kv.ErrUnavailable)
		proxy.DropReplies(false)
		require.NoError(t, enginetest.Add(t.Context(), s))
	}
	require.Equal(t, "11", enginetest.Value(t, s, "n"))
	proxy.Cut()
	require.Equal(t, "11", enginetest.Value(t, s, "n"), "reads are sent again")
	require.NoError(t, s.Close())
}

// TestRestarts kills the engine while clients count. All acknowledged writes stay, and all that were refused have no effect.
func TestRestarts(t *testing.T) {
	engine := enginetest.StartRedis(t)
	s := openAt(t, engine.Address)
	enginetest.Restarts(t, s, 8, 3, 100, func() {
		engine.Kill()
		engine.Run(t)
	})
	require.NoError(t, s.Close())
}

// TestAway opens the stores of an engine that does not run. They work as soon as it does.
func TestAway(t *testing.T) {
	engine := enginetest.StartRedis(t)
	engine.Kill()
	var log bytes.Buffer
	s := openAt(t, engine.Address, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for range 3 {
		err := enginetest.Put(t, s, "k", "v")
		require.ErrorIs(t, err, kv.ErrUnavailable)
		require.NotErrorIs(t, err, kv.ErrUncertain)
		require.NotContains(t, err.Error(), engine.Address, "guests see the error")
		_, err = s.Get(t.Context(), "a", "k")
		require.ErrorIs(t, err, kv.ErrUnavailable)
		_, err = s.List(t.Context(), "a", kv.Query{Limit: 1})
		require.ErrorIs(t, err, kv.ErrUnavailable)
		_, err = s.All(t.Context())
		require.ErrorIs(t, err, kv.ErrUnavailable)
		require.ErrorIs(t, s.Drop(t.Context(), "a"), kv.ErrUnavailable)
	}
	engine.Run(t)
	enginetest.Eventually(t, func() error { return enginetest.Put(t, s, "k", "v") })
	require.NoError(t, s.Close())
	require.ErrorIs(t, enginetest.Put(t, s, "k", "v"), kv.ErrUnavailable)
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("cannot be used")), log.String())
	require.Contains(t, log.String(), "can be used again")
}

// TestReadOnly makes the engine a replica, as a failover does with the old primary.
func TestReadOnly(t *testing.T) {
	engine, primary := enginetest.StartRedis(t), enginetest.StartRedis(t)
	s := openAt(t, engine.Address)
	require.NoError(t, enginetest.Put(t, s, "k", "v"))
	engine.ReplicaOf(t, primary)
	err := enginetest.Put(t, s, "k", "v")
	require.ErrorIs(t, err, kv.ErrUnavailable)
	require.NotErrorIs(t, err, kv.ErrUncertain)
	engine.Do(t, "REPLICAOF", "NO", "ONE")
	enginetest.Eventually(t, func() error { return enginetest.Put(t, s, "k", "v") })
	require.NoError(t, s.Close())
}

// TestFullMemory fills the memory of the engine. What needs no more of it goes on.
func TestFullMemory(t *testing.T) {
	engine := enginetest.StartRedis(t)
	s := openAt(t, engine.Address)
	require.NoError(t, enginetest.Put(t, s, "k", "value"))
	require.NoError(t, enginetest.Put(t, s, "l", "value"))
	engine.Do(t, "CONFIG", "SET", "maxmemory", "1")
	require.ErrorIs(t, enginetest.Put(t, s, "m", "value"), kv.ErrFull)
	require.ErrorIs(t, enginetest.Put(t, s, "k", "a longer value"), kv.ErrFull)
	require.Equal(t, "value", enginetest.Value(t, s, "k"))
	require.NoError(t, enginetest.Put(t, s, "k", "short"[:1]))
	_, err := s.Write(t.Context(), "a", []kv.Change{{Op: kv.OpDelete, Key: "l"}})
	require.NoError(t, err)
	require.NoError(t, s.Drop(t.Context(), "a"))
	engine.Do(t, "CONFIG", "SET", "maxmemory", "0")
	require.NoError(t, enginetest.Put(t, s, "m", "value"))
	require.NoError(t, s.Close())
}

// TestDeadlines stops the engine. Operations end in time.
func TestDeadlines(t *testing.T) {
	engine := enginetest.StartRedis(t)
	s := openAt(t, engine.Address, func(c *Config) { c.Pool, c.Timeout = 2, 2*time.Second })
	require.NoError(t, enginetest.Put(t, s, "k", "v"))
	engine.Pause(t)
	within, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := enginetest.Add(within, s)
	require.ErrorIs(t, err, kv.ErrUncertain)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	within, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = s.Get(within, "a", "k")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	err = enginetest.Add(t.Context(), s)
	require.ErrorIs(t, err, kv.ErrUnavailable, "after the time limit of operations")
	require.NotErrorIs(t, err, kv.ErrUncertain, "no connection")
	engine.Resume(t)
	enginetest.Eventually(t, func() error { return enginetest.Put(t, s, "k", "v") })
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() { require.NoError(t, enginetest.Add(t.Context(), s), "connections are waited for") })
	}
	group.Wait()
	require.NoError(t, s.Close())
}
