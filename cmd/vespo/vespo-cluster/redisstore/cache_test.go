package redisstore

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
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

// pair is two stores that share answers by a real engine.
type pair struct {
	t       *testing.T
	engine  *enginetest.Redis
	caches  []*cache.Cache
	sharing *cache.Sharing // of the second store
	first   *cache.Sharing
	before  uint64 // lookups that had no reply in time, at the begin of inTime
}

// slow returns how many lookups since the begin of inTime had no reply in time.
func (p *pair) slow() uint64 {
	a, b := p.first.Stats(), p.sharing.Stats()
	return a.Failed + a.Skipped + b.Failed + b.Skipped - p.before
}

// inTime calls f, again if the machine was too busy for a lookup.
func (p *pair) inTime(f func()) {
	for range 50 {
		require.Eventually(p.t, func() bool { return !p.first.Stats().Away && !p.sharing.Stats().Away }, time.Minute, time.Millisecond)
		p.before = 0
		p.before = p.slow()
		if f(); p.slow() == 0 {
			return
		}
	}
	require.Fail(p.t, "the machine is too busy")
}

// startPair starts a pair, which ends with the test.
func startPair(t *testing.T) *pair {
	p := &pair{t: t, engine: enginetest.StartRedis(t, "--appendonly", "no")}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for range 2 {
		s := cache.NewStore(64 << 20)
		sharing := s.Share(openCacheAt(t, p.engine.Address, nil))
		running.Go(func() { sharing.Run(ctx) })
		p.caches, p.first, p.sharing = append(p.caches, s.OpenShared("/a", "1")), p.sharing, sharing
		require.Eventually(t, func() bool { return !sharing.Stats().Away }, time.Minute, time.Millisecond)
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	require.Eventually(t, func() bool { // the first answer makes the mark of the service alone
		p.ask(1, fmt.Sprint("/warm", time.Now().UnixNano()))
		return p.sharing.Stats().Written > 0
	}, time.Minute, 10*time.Millisecond)
	return p
}

// ask asks a cache for a target. If it has no answer, the answer is the target. shared reports whether it was in the engine.
func (p *pair) ask(of int, target string) (body string, shared bool) {
	r := httptest.NewRequest("GET", target, nil)
	q, ok := cache.NewRequest(r, cache.Key{Authority: "http://h", Target: target}, time.Now())
	require.True(p.t, ok)
	found, err := p.caches[of].Fetch(context.Background(), &q)
	require.NoError(p.t, err)
	if found.Hit == nil {
		h := map[string][]string{"Cache-Control": {"max-age=60"}}
		if strings.Contains(target, "vary") {
			h["Vary"] = []string{"Accept"}
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

// share makes the engine have an answer to a target, and returns its new keys.
func (p *pair) share(target string) (keys []string) {
	before, written := p.keys(), p.sharing.Stats().Written
	p.ask(1, target)
	require.Eventually(p.t, func() bool { return p.sharing.Stats().Written > written || p.slow() > 0 }, time.Minute, time.Millisecond)
	return slices.DeleteFunc(p.keys(), func(key string) bool { return slices.Contains(before, key) })
}

func (p *pair) keys() (keys []string) {
	for _, key := range p.engine.Do(p.t, "KEYS", "{p}:cache:*").([]any) {
		keys = append(keys, key.(string))
	}
	return keys
}

// TestForeignValuesAreMisses replaces values in the engine by others.
func TestForeignValuesAreMisses(t *testing.T) {
	p := startPair(t)
	do := func(command ...any) { p.engine.Do(t, command...) }
	n := 0
	p.inTime(func() {
		n++
		for _, key := range p.share(fmt.Sprint("/valid", n)) {
			do("COPY", key, "{p}:other", "REPLACE")
		}
	})
	for name, replace := range map[string]func(key, old string){
		"torn":       func(key, old string) { do("SET", key, old[:len(old)/2]) },
		"changed":    func(key, old string) { do("SETRANGE", key, len(old)-1, string([]byte{old[len(old)-1] ^ 1})) },
		"empty":      func(key, _ string) { do("SET", key, "") },
		"long":       func(key, old string) { do("SETRANGE", key, 8<<20, old) },
		"of a list":  func(key, _ string) { do("DEL", key); do("LPUSH", key, "x") },
		"of another": func(key, _ string) { do("COPY", "{p}:other", key, "REPLACE") },
		"removed":    func(key, _ string) { do("DEL", key) },
	} {
		for _, kind := range []string{"plain", "vary"} {
			p.inTime(func() {
				n++
				good, bad := fmt.Sprint("/good-", kind, n), fmt.Sprint("/", kind, n)
				keys := p.share(bad)
				for _, key := range keys {
					replace(key, p.engine.Do(t, "GET", key).(string))
				}
				body, shared := p.ask(0, bad)
				require.False(t, shared, "%s %s", name, body)
				p.share(good)
				_, shared = p.ask(0, good)
				require.True(t, shared || p.slow() > 0, name)
			})
		}
	}
}
