package pgstore

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-etcd/enginetest"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-etcd/engineurl"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/kv/storetest"
)

// add adds 1 to a key of the store "a".
func add(ctx context.Context, s *Stores) error {
	_, err := s.Write(ctx, "a", []kv.Change{{Op: kv.OpAdd, Key: "n", Delta: 1}})
	return err
}

func put(t *testing.T, s *Stores, key, value string) error {
	_, err := s.Write(t.Context(), "a", []kv.Change{storetest.Put(key, value)})
	return err
}

func number(t *testing.T, s *Stores) int64 {
	t.Helper()
	e, err := s.Get(t.Context(), "a", "n")
	require.NoError(t, err)
	n, err := strconv.ParseInt(string(e.Value), 10, 64)
	require.NoError(t, err)
	return n
}

func eventually(t *testing.T, f func() error) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { require.NoError(c, f()) }, time.Minute, 5*time.Millisecond)
}

// TestFaults loses answers, makes the engine read only, stops it, and ends it.
func TestFaults(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	proxy := enginetest.StartProxy(t, engine.Address)
	s := openAt(t, proxy.Address)
	require.NoError(t, add(t.Context(), s))
	for range 3 {
		proxy.DropReplies(true)
		require.ErrorIs(t, add(t.Context(), s), kv.ErrUncertain)
		proxy.DropReplies(false)
		require.NoError(t, add(t.Context(), s))
	}
	// The cut may come before the engine has run the write, or after it.
	require.LessOrEqual(t, number(t, s), int64(7))
	require.GreaterOrEqual(t, number(t, s), int64(4))
	proxy.Cut()
	require.Positive(t, number(t, s), "reads are sent again")

	engine.Do(t, "ALTER SYSTEM SET default_transaction_read_only = on")
	engine.Do(t, "SELECT pg_reload_conf()")
	eventually(t, func() error {
		if err := add(t.Context(), s); !errors.Is(err, kv.ErrUnavailable) || errors.Is(err, kv.ErrUncertain) {
			return errors.New("not read only yet")
		}
		return nil
	})
	engine.Do(t, "ALTER SYSTEM RESET default_transaction_read_only")
	engine.Do(t, "SELECT pg_reload_conf()")
	eventually(t, func() error { return put(t, s, "k", "v") })

	engine.Kill(t)
	eventually(t, func() error {
		if err := put(t, s, "k", "v"); !errors.Is(err, kv.ErrUnavailable) {
			return err
		}
		return nil
	})
	away := openAt(t, engine.Address)
	err := put(t, away, "k", "v")
	require.ErrorIs(t, err, kv.ErrUnavailable)
	require.NotContains(t, err.Error(), engine.Address, "guests see the error")
	engine.Run(t)
	eventually(t, func() error { return put(t, away, "k", "v") })
	eventually(t, func() error { return put(t, s, "k", "v") })
	require.NoError(t, away.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, put(t, s, "k", "v"), kv.ErrUnavailable)
}

// TestRestarts kills the engine while clients count. All acknowledged writes stay, and all that were refused have no effect.
func TestRestarts(t *testing.T) {
	engine := enginetest.StartPostgres(t, "synchronous_commit=off")
	s := openAt(t, engine.Address)
	require.NoError(t, add(t.Context(), s))
	var acknowledged, uncertain atomic.Int64
	acknowledged.Store(1)
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for ctx.Err() == nil {
				switch err := add(t.Context(), s); {
				case err == nil:
					acknowledged.Add(1)
				case errors.Is(err, kv.ErrUncertain):
					uncertain.Add(1)
				default:
					assert.ErrorIs(t, err, kv.ErrUnavailable)
				}
			}
		})
	}
	for range 2 {
		before := acknowledged.Load()
		require.Eventually(t, func() bool { return acknowledged.Load() > before+50 }, time.Minute, time.Millisecond)
		engine.Kill(t)
		engine.Run(t)
	}
	stop()
	group.Wait()
	n := number(t, s)
	require.GreaterOrEqual(t, n, acknowledged.Load())
	require.LessOrEqual(t, n, acknowledged.Load()+uncertain.Load())
	require.NoError(t, s.Close())
}

// TestSettings refuses engines that lose what they acknowledge, roles that are not known, and schemas of newer versions.
func TestSettings(t *testing.T) {
	engine := enginetest.StartPostgres(t, "fsync=off")
	open := func(url string) error {
		cfg, err := Parse(url)
		require.NoError(t, err)
		require.NoError(t, cfg.Load("se-cret", nil))
		s, err := Open(t.Context(), cfg)
		if err != nil {
			require.NotContains(t, err.Error(), "se-cret")
			return err
		}
		return errors.Join(put(t, s, "k", "v"), s.Close())
	}
	url := "postgres://postgres@" + engine.Address + "/postgres"
	require.ErrorContains(t, open(url), "durability=engine")
	require.NoError(t, open(url+"?durability=engine"))
	require.ErrorContains(t, open("postgres://nobody@"+engine.Address+"/postgres"), "does not exist")
	require.ErrorContains(t, open("postgres://postgres@"+engine.Address+"/other"), "does not exist")
	engine.Do(t, "UPDATE vespo.kv_format SET version = 2")
	require.ErrorContains(t, open(url+"?durability=engine"), "has the format 2")
}

func TestParse(t *testing.T) {
	c, err := Parse("postgres://me@a,b:7000/db?schema=x_1&pool=3&timeout=2s&sslmode=require")
	require.NoError(t, err)
	require.Equal(t, []string{"a:5432", "b:7000"}, c.Hosts)
	require.True(t, c.TLS.InsecureSkipVerify)
	require.Equal(t, "postgres://a:5432,b:7000/db", c.String())
	c, err = Parse("postgresql://me@a/db")
	require.NoError(t, err)
	require.False(t, c.TLS.InsecureSkipVerify, "certificates are verified unless the engine is on this machine")
	c, err = Parse("postgres://me@127.0.0.1/db")
	require.NoError(t, err)
	require.Nil(t, c.TLS)
	for url, says := range map[string]string{
		"postgres://a/db":                   "a user and a database",
		"postgres://me@a":                   "a user and a database",
		"postgres://me:secret@a/db":         "VESPO_KV_PASSWORD",
		"postgres://me@a/db?password=se":    "VESPO_KV_PASSWORD",
		"postgres://me@a/db?schema=A":       "a-z",
		"postgres://me@a/db?schema=x;y":     "cannot be read",
		"postgres://me@a/db?sslmode=prefer": "disable, require or verify-full",
		"postgres://me@a/db?host=b":         "the options are",
		"postgres://me@localhost/db?ca=f":   "use sslmode=verify-full",
	} {
		_, err := Parse(url)
		require.ErrorIs(t, err, engineurl.ErrURL, url)
		require.ErrorContains(t, err, says, url)
		require.NotContains(t, err.Error(), "secret")
	}
}
