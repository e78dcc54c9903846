package redisstore

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/router/cache"
)

func openCacheAt(t testing.TB, address string, log *slog.Logger, options ...string) cache.Engine {
	t.Helper()
	c, err := OpenCache(t.Context(), cache.Options{URL: "redis://" + address + "?prefix=p&timeout=1s" + strings.Join(options, ""), Log: log})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// requireLog requires what an engine has told since a position, and returns the new one.
func requireLog(t *testing.T, c cache.Engine, after cache.Position, lost bool, notices ...string) cache.Position {
	t.Helper()
	log, err := c.Log(t.Context(), after)
	require.NoError(t, err)
	require.Equal(t, lost, log.Lost)
	require.InDelta(t, time.Now().Unix(), log.At.Unix(), 5)
	var got []string
	for _, n := range log.Notices {
		got = append(got, string(n))
	}
	require.Equal(t, notices, got)
	return log.Position
}

// requireValues requires the values of keys; "": none.
func requireValues(t *testing.T, c cache.Engine, want map[string]string) {
	t.Helper()
	var keys []string
	for key := range want {
		keys = append(keys, key)
	}
	values, at, err := c.Read(t.Context(), keys, 9)
	require.NoError(t, err)
	require.InDelta(t, time.Now().Unix(), at.Unix(), 5)
	for i, key := range keys {
		require.Equal(t, want[key], string(values[i]), key)
	}
}

func exercise(t *testing.T, c cache.Engine) {
	t.Helper()
	record := func(key, value string, isNew bool) cache.Record {
		return cache.Record{Key: key, Value: []byte(value), TTL: time.Hour, New: isNew}
	}
	ctx := t.Context()
	require.NoError(t, c.Write(ctx, []cache.Record{record("a", "1", false), record("b", "2", true), record("b", "3", true), record("a", "4", false), record("long", "0123456789012", false)}))
	requireValues(t, c, map[string]string{"a": "4", "b": "2", "c": "", "long": "0123456789"})
	at := requireLog(t, c, cache.Position{}, true)
	require.NoError(t, c.Remove(ctx, []cache.Removal{
		{Mark: "m", Value: []byte("x"), TTL: time.Hour, Delete: []string{"a", "long"}, Notice: []byte("one")},
		{Mark: "n", Value: []byte("y"), TTL: time.Hour, Notice: []byte("two\x00\xff")},
	}))
	requireValues(t, c, map[string]string{"a": "", "b": "2", "long": "", "m": "x", "n": "y"})
	at = requireLog(t, c, at, false, "one", "two\x00\xff")
	at = requireLog(t, c, at, false)
	require.NoError(t, c.Remove(ctx, []cache.Removal{{Mark: "m", Value: []byte("z"), TTL: time.Hour, Notice: []byte("three")}}))
	requireLog(t, c, at, false, "three")
}

func TestCacheKeepsAndRemoves(t *testing.T) {
	engine := enginetest.StartRedis(t, "--appendfsync", "no")
	c := openCacheAt(t, engine.Address, nil)
	exercise(t, c)
	engine.Do(t, "SCRIPT", "FLUSH")
	at := requireLog(t, c, cache.Position{}, true)
	for _, key := range engine.Do(t, "KEYS", "*").([]any) {
		require.True(t, strings.HasPrefix(key.(string), "{p}:cache"), key)
		if strings.Contains(key.(string), ":cache:") {
			require.Positive(t, engine.Do(t, "PTTL", key))
		}
	}
	many := make([]cache.Removal, 64)
	for i := range many {
		many[i] = cache.Removal{Mark: "m", Value: []byte("x"), TTL: time.Hour, Notice: []byte(strconv.Itoa(i))}
	}
	for range cacheLog / len(many) {
		require.NoError(t, c.Remove(t.Context(), many))
	}
	log, err := c.Log(t.Context(), at)
	require.NoError(t, err)
	require.False(t, log.Lost)
	require.Len(t, log.Notices, cacheLog)
	require.NoError(t, c.Remove(t.Context(), many[:1]))
	at = requireLog(t, c, at, true)
	require.EqualValues(t, cacheLog, engine.Do(t, "LLEN", "{p}:cache/log"))
	for name, lose := range map[string]func(){
		"the log":      func() { engine.Do(t, "DEL", "{p}:cache/log") },
		"its head":     func() { engine.Do(t, "DEL", "{p}:cache/head") },
		"all":          func() { engine.Do(t, "FLUSHALL") },
		"the last one": func() { engine.Do(t, "HINCRBY", "{p}:cache/head", "n", -4) },
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, c.Remove(t.Context(), many[:1]))
			lose()
			require.NoError(t, c.Remove(t.Context(), many[:2]))
			at = requireLog(t, c, at, true)
			require.NoError(t, c.Remove(t.Context(), many[:1]))
			at = requireLog(t, c, at, false, "0")
		})
	}
}

// TestReplicasAreNotUsed has an engine that answers, and accepts no removals.
func TestReplicasAreNotUsed(t *testing.T) {
	engine := enginetest.StartRedis(t, "--appendfsync", "no")
	c := openCacheAt(t, engine.Address, nil)
	requireLog(t, c, cache.Position{}, true)
	engine.Do(t, "REPLICAOF", "127.0.0.1", "1")
	_, err := c.Log(t.Context(), cache.Position{})
	require.ErrorContains(t, err, "READONLY")
}

func TestCacheInACluster(t *testing.T) {
	nodes := []*enginetest.Redis{
		enginetest.StartRedis(t, "--cluster-enabled", "yes"), enginetest.StartRedis(t, "--cluster-enabled", "yes"),
	}
	enginetest.JoinCluster(t, nodes...)
	c := openCacheAt(t, nodes[0].Address+","+nodes[1].Address, nil, "&cluster=true")
	exercise(t, c)
	for n := range 3 { // keys stay behind
		enginetest.MoveSlot(t, "{p}", nodes[n%2], nodes...)
		enginetest.Eventually(t, func() error {
			return c.Write(t.Context(), []cache.Record{{Key: "k", Value: []byte("v"), TTL: time.Hour}})
		})
		requireValues(t, c, map[string]string{"k": "v"})
	}
}

// TestCacheAway takes the engine away in several ways. Calls end in time, and the log has a line each way.
func TestCacheAway(t *testing.T) {
	engine := enginetest.StartRedis(t)
	proxy := enginetest.StartProxy(t, engine.Address)
	for name, fault := range map[string]struct{ begin, end func() }{
		"killed":     {engine.Kill, func() { engine.Run(t) }},
		"paused":     {func() { engine.Pause(t) }, func() { engine.Resume(t) }},
		"no replies": {func() { proxy.DropReplies(true) }, func() { proxy.DropReplies(false) }},
		"a replica": {
			func() { engine.Do(t, "REPLICAOF", "127.0.0.1", "1") },
			func() { engine.Do(t, "REPLICAOF", "NO", "ONE") },
		},
		"full": {
			func() { engine.Do(t, "CONFIG", "SET", "maxmemory", "1") },
			func() { engine.Do(t, "CONFIG", "SET", "maxmemory", "0") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c := openCacheAt(t, proxy.Address, slog.New(slog.NewTextHandler(&log, nil)))
			write := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				return c.Write(ctx, []cache.Record{{Key: "k", Value: []byte("v"), TTL: time.Hour}})
			}
			require.NoError(t, write())
			fault.begin()
			for range 2 {
				require.Error(t, write())
			}
			fault.end()
			enginetest.Eventually(t, write)
			require.Equal(t, 1, strings.Count(log.String(), "the engine of the cache cannot be used"), log.String())
			require.Equal(t, 1, strings.Count(log.String(), "the engine of the cache can be used again"), log.String())
		})
	}
}

// TestForeignValuesAreMisses lets stores share answers by a real engine, and replaces all values by others.
func TestForeignValuesAreMisses(t *testing.T) {
	engine := enginetest.StartRedis(t, "--appendonly", "no")
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var caches []*cache.Cache
	var sharing *cache.Sharing
	for range 2 {
		s := cache.NewStore(64 << 20)
		sharing = s.Share(openCacheAt(t, engine.Address, nil))
		running.Go(func() { sharing.Run(ctx) })
		caches = append(caches, s.OpenShared("/a", "1"))
		require.Eventually(t, func() bool { return !sharing.Stats().Away }, time.Minute, time.Millisecond)
	}
	ask := func(c *cache.Cache, target string) (body string, shared bool) {
		r := httptest.NewRequest("GET", target, nil)
		q, ok := cache.NewRequest(r, cache.Key{Authority: "http://h", Target: target}, time.Now())
		require.True(t, ok)
		found, err := c.Fetch(t.Context(), &q)
		require.NoError(t, err)
		if found.Hit == nil {
			h := r.Header
			h.Set("Cache-Control", "max-age=60")
			if strings.Contains(target, "vary") {
				h.Set("Vary", "Accept")
			}
			found.Fill.Answer(200, h, time.Now())
			_, _ = found.Fill.Write([]byte(target))
			found.Fill.End(true, h)
			return "", false
		}
		defer found.Hit.Release()
		_, kept := found.Hit.Answer(map[string][]string{})
		return string(kept), found.Shared
	}
	require.Eventually(t, func() bool {
		ask(caches[1], fmt.Sprint("/warm", time.Now().UnixNano()))
		return sharing.Stats().Written > 0
	}, time.Minute, 10*time.Millisecond)
	n := 0
	engine.Do(t, "SET", "{p}:other", "x")
	for name, replace := range map[string]func(key any, old string){
		"torn":       func(key any, old string) { engine.Do(t, "SET", key, old[:len(old)/2]) },
		"changed":    func(key any, old string) { engine.Do(t, "SETRANGE", key, len(old)-1, string(old[len(old)-1]^1)) },
		"empty":      func(key any, _ string) { engine.Do(t, "SET", key, "") },
		"long":       func(key any, old string) { engine.Do(t, "SETRANGE", key, 8<<20, old) },
		"of a list":  func(key any, _ string) { engine.Do(t, "DEL", key); engine.Do(t, "LPUSH", key, "x") },
		"of another": func(key any, _ string) { engine.Do(t, "COPY", "{p}:other", key, "REPLACE") },
	} {
		for _, kind := range []string{"plain", "vary"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				n++
				target := fmt.Sprint("/", kind, n)
				before := engine.Do(t, "KEYS", "{p}:cache:*").([]any)
				written := sharing.Stats().Written
				ask(caches[1], target)
				require.Eventually(t, func() bool { return sharing.Stats().Written > written }, time.Minute, time.Millisecond)
				for _, key := range engine.Do(t, "KEYS", "{p}:cache:*").([]any) {
					old := false
					for _, b := range before {
						old = old || b == key
					}
					if !old {
						replace(key, engine.Do(t, "GET", key).(string))
					}
				}
				body, shared := ask(caches[0], target)
				require.False(t, shared, body)
			})
			target := fmt.Sprint("/good", n)
			written := sharing.Stats().Written
			ask(caches[1], target)
			require.Eventually(t, func() bool { return sharing.Stats().Written > written }, time.Minute, time.Millisecond)
			body, shared := ask(caches[0], target)
			require.True(t, shared)
			require.Equal(t, target, body)
			for _, key := range engine.Do(t, "KEYS", "{p}:cache:*").([]any) { // a valid value of another key
				if text, ok := engine.Do(t, "TYPE", key).(string); ok && text == "string" && engine.Do(t, "STRLEN", key).(int64) > 64 {
					engine.Do(t, "COPY", key, "{p}:other", "REPLACE")
				}
			}
		}
	}
	require.Zero(t, sharing.Stats().Failed)
}
