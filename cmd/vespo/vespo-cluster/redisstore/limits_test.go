package redisstore

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/router/ratelimit"
)

func openLimitsAt(t testing.TB, address string, log *slog.Logger, options ...string) ratelimit.Engine {
	t.Helper()
	l, err := OpenLimits(t.Context(), ratelimit.Options{URL: "redis://" + address + "?prefix=p&timeout=1s" + strings.Join(options, ""), Log: log})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// TestLimitsAddUp spends, and expects that times add up, run down and expire.
func TestLimitsAddUp(t *testing.T) {
	engine := enginetest.StartRedis(t, "--appendfsync", "no")
	l := openLimitsAt(t, engine.Address, nil)
	spend := func(costs ...ratelimit.Cost) []time.Duration {
		t.Helper()
		ahead, err := l.Spend(t.Context(), costs)
		require.NoError(t, err)
		return ahead
	}
	a, b := ratelimit.Key{1, 2}, ratelimit.Key{3, 4}
	ahead := spend(ratelimit.Cost{Key: a, Time: time.Hour}, ratelimit.Cost{Key: b, Time: 2 * time.Hour}, ratelimit.Cost{Key: a, Time: time.Minute})
	require.Equal(t, []time.Duration{time.Hour, 2 * time.Hour, time.Hour + time.Minute}, ahead)
	engine.Do(t, "SCRIPT", "FLUSH")
	ahead = spend(ratelimit.Cost{Key: a, Time: time.Hour})
	require.Greater(t, ahead[0], 2*time.Hour)
	require.LessOrEqual(t, ahead[0], 2*time.Hour+time.Minute)
	keys := engine.Do(t, "KEYS", "*").([]any)
	require.Len(t, keys, 2)
	for _, key := range keys {
		require.True(t, strings.HasPrefix(key.(string), "{p}:rate:"), key)
		require.Positive(t, engine.Do(t, "PTTL", key))
	}
	require.Equal(t, []time.Duration{1500 * time.Microsecond}, spend(ratelimit.Cost{Key: ratelimit.Key{5}, Time: 1499500}), "it is rounded up to microseconds")
	require.Eventually(t, func() bool { return len(engine.Do(t, "KEYS", "*").([]any)) == 2 }, 10*time.Second, time.Millisecond)
}

func TestLimitsInACluster(t *testing.T) {
	nodes := []*enginetest.Redis{
		enginetest.StartRedis(t, "--cluster-enabled", "yes"), enginetest.StartRedis(t, "--cluster-enabled", "yes"),
	}
	enginetest.JoinCluster(t, nodes...)
	l := openLimitsAt(t, nodes[0].Address+","+nodes[1].Address, nil, "&cluster=true")
	for range 3 {
		_, err := l.Spend(t.Context(), []ratelimit.Cost{{Key: ratelimit.Key{1}, Time: time.Hour}, {Key: ratelimit.Key{2}, Time: time.Hour}})
		require.NoError(t, err)
	}
}

// TestLimitsAway takes the engine away in several ways. Calls end in time, and the log has a line each way.
func TestLimitsAway(t *testing.T) {
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
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			l := openLimitsAt(t, proxy.Address, slog.New(slog.NewTextHandler(&log, nil)))
			spend := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := l.Spend(ctx, []ratelimit.Cost{{Key: ratelimit.Key{1}, Time: time.Millisecond}})
				return err
			}
			require.NoError(t, spend())
			fault.begin()
			for range 3 {
				require.Error(t, spend())
			}
			fault.end()
			enginetest.Eventually(t, spend)
			require.Equal(t, 1, strings.Count(log.String(), "the engine of the rate limits cannot be used"), log.String())
			require.Equal(t, 1, strings.Count(log.String(), "the engine of the rate limits can be used again"), log.String())
		})
	}
}

// TestSharedLimits lets hosts admit as much as they can by a real engine. It logs by how much they exceed the limit.
func TestSharedLimits(t *testing.T) {
	engine := enginetest.StartRedis(t, "--appendonly", "no")
	for _, n := range []int{1, 2, 4} {
		p := ratelimit.Policy{Period: 2 * time.Millisecond, Burst: 100}
		ctx, cancel := context.WithCancel(t.Context())
		var running, clients sync.WaitGroup
		admitted := make([]int, n)
		begin := time.Now()
		for i := range n {
			s := ratelimit.NewSharing(openLimitsAt(t, engine.Address, nil))
			running.Go(func() { s.Run(ctx) })
			clients.Go(func() {
				l := ratelimit.NewShared(p, nil, t.Name()+string(rune('0'+n)), s)
				ticker := time.NewTicker(200 * time.Microsecond)
				defer ticker.Stop()
				for range 1500 {
					if l.Take(l.OfText("key"), time.Now()) == 0 {
						admitted[i]++
					}
					<-ticker.C
				}
			})
		}
		clients.Wait()
		took := time.Since(begin)
		cancel()
		running.Wait()
		sum := 0
		for _, a := range admitted {
			sum += a
		}
		rate := int(took / p.Period)
		t.Logf("%d hosts admitted %d in %s: the limit is %d, so %+d (%+.1f %%)", n, sum, took.Round(time.Millisecond), p.Burst+rate,
			sum-p.Burst-rate, 100*float64(sum-p.Burst-rate)/float64(p.Burst+rate))
		require.LessOrEqual(t, sum, n*(p.Burst+rate))
	}
}
