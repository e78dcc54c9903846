package ratelimit

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bucket is a token bucket in exact arithmetic: a model of one key. Tokens are counted in parts of 1/period.
type bucket struct{ parts, at int64 }

func (b *bucket) take(now int64, p Policy) bool {
	b.parts = min(b.parts+now-b.at, p.full())
	b.at = now
	if b.parts < int64(p.Period) {
		return false
	}
	b.parts -= int64(p.Period)
	return true
}

// TestAgainstTokenBuckets compares a limiter to one bucket for each key, at random times.
func TestAgainstTokenBuckets(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		p := Policy{Period: time.Duration(1 + random.IntN(1000)), Burst: 1 + random.IntN(10), By: By(random.IntN(2))}
		l := New(p, nil)
		buckets := make(map[Key]*bucket)
		now := int64(0)
		for range 2000 {
			now += random.Int64N(int64(p.Period))
			key := Key{}
			if p.By == ByAddress {
				key = l.OfAddr(netip.AddrFrom4([4]byte{10, 0, 0, byte(random.IntN(5))}))
			}
			b := buckets[key]
			if b == nil {
				b = &bucket{parts: p.full()}
				buckets[key] = b
			}
			wait := l.Take(key, l.start.Add(time.Duration(now)))
			require.Equal(t, b.take(now, p), wait == 0, "seed %d, policy %+v", seed, p)
			require.LessOrEqual(t, wait, p.Period)
			if wait > 0 && random.IntN(4) == 0 { // the wait is exact
				require.NotZero(t, l.Take(key, l.start.Add(time.Duration(now)+wait-1)))
				now += int64(wait)
				require.True(t, b.take(now, p))
				require.Zero(t, l.Take(key, l.start.Add(time.Duration(now))))
			}
		}
	}
}

func TestKeysDiffer(t *testing.T) {
	l := New(Policy{Period: time.Hour, Burst: 1}, nil)
	now := time.Now()
	keys := []Key{
		l.OfAddr(netip.Addr{}), l.OfAddr(netip.MustParseAddr("10.0.0.1")), l.OfAddr(netip.MustParseAddr("10.0.0.2")),
		l.OfText(""), l.OfText("10.0.0.1"), l.OfText("a"),
	}
	for _, key := range keys {
		require.Zero(t, l.Take(key, now))
	}
	for _, key := range keys {
		require.Equal(t, time.Hour, l.Take(key, now))
	}
	require.Equal(t, Stats{Keys: len(keys)}, l.Stats())
}

// TestFullTable fills all places, and adds more keys.
func TestFullTable(t *testing.T) {
	l := New(Policy{Period: time.Hour, Burst: 2}, nil)
	now := l.start
	known := l.OfText("known")
	require.Zero(t, l.Take(known, now))
	require.Zero(t, l.Take(known, now))
	admitted := 0
	for i := range 4 * MaxKeys {
		if l.Take(l.OfText(strconv.Itoa(i)), now) == 0 {
			admitted++
		}
	}
	s := l.Stats()
	require.Equal(t, MaxKeys, s.Keys)
	require.EqualValues(t, 3*MaxKeys+1, s.Shared)
	require.Equal(t, MaxKeys-1+2*shards, admitted, "keys without a place must share one burst for each part")
	require.NotZero(t, l.Take(known, now), "a key in use must stay")
	require.NotZero(t, l.Take(l.OfText("new"), now))

	require.Zero(t, l.Take(known, now.Add(time.Hour)), "a key in use must get what is its own")
	later := now.Add(3 * time.Hour) // all bursts are full
	for i := range shards * 100 {
		require.Zero(t, l.Take(l.OfText("later"+strconv.Itoa(i)), later))
	}
	require.Less(t, l.Stats().Keys, MaxKeys/4, "keys that are not in use must make room")
}

// TestUnusedKeysLeave checks that a table which is not full does not keep the keys of clients that have left.
func TestUnusedKeysLeave(t *testing.T) {
	l := New(Policy{Period: time.Second, Burst: 1}, nil)
	for i := range shards * 100 {
		l.Take(l.OfText(strconv.Itoa(i)), l.start)
	}
	require.Equal(t, shards*100, l.Stats().Keys)
	for i := range shards * 20 {
		l.Take(l.OfText("later"+strconv.Itoa(i)), l.start.Add(2*time.Minute))
	}
	require.Less(t, l.Stats().Keys, shards*30)
}

// TestLimitersWithoutRequestsHaveNoTable checks that many services with a limit and no requests take little memory.
func TestLimitersWithoutRequestsHaveNoTable(t *testing.T) {
	space := NewSpace(10)
	l := New(Policy{Period: time.Second, Burst: 1}, space)
	require.Zero(t, l.Stats())
	require.Empty(t, l.collect(nil))
	space.reclaim(time.Now())
	require.Nil(t, l.table.Load())
	l.Take(l.OfText("a"), time.Now())
	require.Equal(t, Stats{Keys: 1}, l.Stats())
	l.Close()
	require.Zero(t, l.Stats().Keys)
}

// TestHammer counts what goroutines get at once.
func TestHammer(t *testing.T) {
	for _, by := range []By{ByAddress, ByService} {
		l := New(Policy{Period: time.Hour, Burst: 100, By: by}, nil)
		var admitted [8]atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for i := range 8 * 500 {
					key := Key{}
					if by == ByAddress {
						key = l.OfText(strconv.Itoa(i % 8))
					}
					if l.Take(key, l.start) == 0 {
						admitted[i%8].Add(1)
					}
					l.Stats()
				}
			})
		}
		all.Wait()
		sum := int64(0)
		for i := range admitted {
			if sum += admitted[i].Load(); by == ByAddress {
				require.EqualValues(t, 100, admitted[i].Load())
			}
		}
		require.EqualValues(t, map[By]int64{ByAddress: 800, ByService: 100}[by], sum)
	}
}

func TestNewRefusesPolicies(t *testing.T) {
	require.Panics(t, func() { New(Policy{Burst: 1}, nil) })
	require.Panics(t, func() { New(Policy{Period: 1}, nil) })
}

func BenchmarkTake(b *testing.B) {
	addr := netip.MustParseAddr("2001:db8::1")
	for name, take := range map[string]func(*Limiter, time.Time){
		"service": func(l *Limiter, now time.Time) { l.Take(Key{}, now) },
		"address": func(l *Limiter, now time.Time) { l.Take(l.OfAddr(addr), now) },
		"header":  func(l *Limiter, now time.Time) { l.Take(l.OfText("0123456789abcdef0123456789abcdef"), now) },
	} {
		b.Run(name, func(b *testing.B) {
			l := New(Policy{Period: time.Nanosecond, Burst: 1000}, nil)
			b.ReportAllocs()
			for b.Loop() {
				take(l, time.Now())
			}
		})
	}
}
