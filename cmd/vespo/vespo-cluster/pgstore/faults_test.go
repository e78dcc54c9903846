package pgstore

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engineurl"
	"github.com/vespo-dev/vespo/services/kv"
)

// TestFaults loses answers, makes the engine read only, stops it, and ends it.
func TestFaults(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	proxy := enginetest.StartProxy(t, engine.Address)
	s := openAt(t, proxy.Address)
	require.NoError(t, enginetest.Add(t.Context(), s))
	for range 3 {
		proxy.DropReplies(true)
		require.ErrorIs(t, enginetest.Add(t.Context(), s), kv.ErrUncertain)
		proxy.DropReplies(false)
		require.NoError(t, enginetest.Add(t.Context(), s))
	}
	// The cut may come before the engine has run the write, or after it.
	require.LessOrEqual(t, enginetest.Number(t, s), int64(7))
	require.GreaterOrEqual(t, enginetest.Number(t, s), int64(4))
	proxy.Cut()
	require.Positive(t, enginetest.Number(t, s), "reads are sent again")

	engine.Do(t, "ALTER SYSTEM SET default_transaction_read_only = on")
	engine.Do(t, "SELECT pg_reload_conf()")
	enginetest.Eventually(t, func() error {
		if err := enginetest.Add(t.Context(), s); !errors.Is(err, kv.ErrUnavailable) || errors.Is(err, kv.ErrUncertain) {
			return errors.New("not read only yet")
		}
		return nil
	})
	engine.Do(t, "ALTER SYSTEM RESET default_transaction_read_only")
	engine.Do(t, "SELECT pg_reload_conf()")
	enginetest.Eventually(t, func() error { return enginetest.Put(t, s, "k", "v") })

	engine.Kill(t)
	enginetest.Eventually(t, func() error {
		if err := enginetest.Put(t, s, "k", "v"); !errors.Is(err, kv.ErrUnavailable) {
			return err
		}
		return nil
	})
	away := openAt(t, engine.Address)
	err := enginetest.Put(t, away, "k", "v")
	require.ErrorIs(t, err, kv.ErrUnavailable)
	require.NotContains(t, err.Error(), engine.Address, "guests see the error")
	engine.Run(t)
	enginetest.Eventually(t, func() error { return enginetest.Put(t, away, "k", "v") })
	enginetest.Eventually(t, func() error { return enginetest.Put(t, s, "k", "v") })
	require.NoError(t, away.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, enginetest.Put(t, s, "k", "v"), kv.ErrUnavailable)
}

// TestRestarts kills the engine while clients count. All acknowledged writes stay, and all that were refused have no effect.
func TestRestarts(t *testing.T) {
	engine := enginetest.StartPostgres(t, "synchronous_commit=off")
	s := openAt(t, engine.Address)
	enginetest.Restarts(t, s, 4, 2, 50, func() {
		engine.Kill(t)
		engine.Run(t)
	})
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
		return errors.Join(enginetest.Put(t, s, "k", "v"), s.Close())
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
