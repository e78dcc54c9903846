package ratelimit

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// memory is an Engine in memory, which takes a while for each call.
type memory struct {
	takes time.Duration

	mu    sync.Mutex
	times map[Key]time.Time // guarded by mu
	away  bool              // guarded by mu
	calls int               // guarded by mu
}

var errAway = errors.New("away")

func (m *memory) set(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

func (m *memory) Spend(ctx context.Context, costs []Cost) (ahead []time.Duration, err error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(m.takes):
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.away {
		return nil, errAway
	}
	if m.times == nil {
		m.times = make(map[Key]time.Time)
	}
	now := time.Now()
	for _, c := range costs {
		at := m.times[c.Key]
		if at.Before(now) {
			at = now
		}
		m.times[c.Key] = at.Add(c.Time)
		ahead = append(ahead, at.Add(c.Time).Sub(now))
	}
	return ahead, nil
}

func (m *memory) Close() error { return nil }

// hosts returns limiters that share their counts, each of a host of its own.
func hosts(t *testing.T, n int, p Policy, engine Engine) (all []*Limiter, sharings []*Sharing) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for range n {
		s := NewSharing(engine)
		running.Go(func() { s.Run(ctx) })
		all, sharings = append(all, NewShared(p, nil, "/service", s)), append(sharings, s)
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return all, sharings
}

// TestSharedLimit sends requests to hosts at random for a minute. Together they admit the burst and the rate, and for a short time at
// most what each of them could admit alone.
func TestSharedLimit(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		synctest.Test(t, func(t *testing.T) {
			p := Policy{Period: 10 * time.Millisecond, Burst: 50}
			all, _ := hosts(t, n, p, &memory{takes: 2 * time.Millisecond})
			random := rand.New(rand.NewPCG(1, uint64(n)))
			admitted, begin := 0, time.Now()
			for time.Since(begin) < time.Minute {
				l := all[random.IntN(n)]
				if l.Take(l.OfText("key"), time.Now()) == 0 {
					admitted++
				}
				within := p.Burst*n + int(time.Since(begin)/p.Period)
				require.LessOrEqual(t, admitted, within+n)
				time.Sleep(time.Millisecond)
			}
			exact := p.Burst + int(time.Minute/p.Period)
			require.InDelta(t, exact, admitted, float64(exact)/50, "%d hosts", n)
		})
	}
}

// TestSharedKeysAreApart checks which limiters share what.
func TestSharedKeysAreApart(t *testing.T) {
	s := NewSharing(&memory{})
	p := Policy{Period: time.Second, Burst: 1}
	by := Policy{Period: time.Second, Burst: 1, By: ByHeader, Header: "A"}
	addr := netip.MustParseAddr("192.0.2.1")
	require.Equal(t, NewShared(p, nil, "/a", s).OfAddr(addr), NewShared(p, nil, "/a", s).OfAddr(addr))
	require.Equal(t, NewShared(p, nil, "/a", s).OfAll(), NewShared(p, nil, "/a", s).OfAll())
	keys := make(map[Key]bool)
	for _, l := range []*Limiter{NewShared(p, nil, "/a", s), NewShared(p, nil, "/b", s), NewShared(by, nil, "/a", s)} {
		keys[l.OfAll()], keys[l.OfAddr(addr)], keys[l.OfText("192.0.2.1")] = true, true, true
	}
	require.Len(t, keys, 9)
}

// TestWithoutEngine takes the engine away. Each host has the limit for itself until it is back.
func TestWithoutEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Policy{Period: time.Second, Burst: 10, By: ByService}
		engine := &memory{}
		all, sharings := hosts(t, 2, p, engine)
		take := func() (admitted int) {
			for _, l := range all {
				for range 100 {
					if l.Take(l.OfAll(), time.Now()) == 0 {
						admitted++
					}
				}
				time.Sleep(100 * time.Millisecond) // until the engine knows
				synctest.Wait()
			}
			return admitted
		}
		require.Equal(t, 20, take(), "a host that has not asked for the key knows nothing of it")
		sum := 0
		for range 60 {
			time.Sleep(800 * time.Millisecond)
			sum += take()
		}
		require.InDelta(t, 60-10, sum, 5, "what was too much is made up for")
		time.Sleep(time.Minute)
		engine.set(true)
		require.Equal(t, 20, take())
		require.True(t, sharings[0].Stats().Away)
		time.Sleep(5 * time.Second)
		require.Equal(t, 10, take(), "each host has its own rate")
		engine.set(false)
		time.Sleep(time.Minute)
		take()
		require.False(t, sharings[0].Stats().Away)
		sum = 0
		for range 60 {
			time.Sleep(800 * time.Millisecond)
			sum += take()
		}
		require.InDelta(t, 60-10, sum, 5, "the limit is common again")
	})
}

// TestOnlyActiveKeysAreTold counts what the engine hears.
func TestOnlyActiveKeysAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &memory{}
		all, sharings := hosts(t, 1, Policy{Period: time.Hour, Burst: 1}, engine)
		for i := range 2000 {
			all[0].Take(all[0].OfText(strconv.Itoa(i)), time.Now())
		}
		time.Sleep(time.Minute)
		for i := range 2000 { // refused
			all[0].Take(all[0].OfText(strconv.Itoa(i)), time.Now())
		}
		time.Sleep(time.Minute)
		require.EqualValues(t, 2000, sharings[0].Stats().Keys)
		require.Less(t, engine.calls, 30)
	})
}

// TestSharedHammer uses limiters from many goroutines. What they admitted is what the engine knows at the end.
func TestSharedHammer(t *testing.T) {
	p := Policy{Period: time.Hour, Burst: 1000, By: ByService}
	engine := &memory{}
	all, _ := hosts(t, 2, p, engine)
	admitted := make([]int, 8)
	var users sync.WaitGroup
	for i := range admitted {
		users.Go(func() {
			for range 400 {
				if l := all[i%2]; l.Take(l.OfAll(), time.Now()) == 0 {
					admitted[i]++
				}
			}
		})
	}
	users.Wait()
	sum := 0
	for _, n := range admitted {
		sum += n
	}
	require.LessOrEqual(t, sum, 2000)
	require.GreaterOrEqual(t, sum, 1000)
	require.Eventually(t, func() bool {
		engine.mu.Lock()
		defer engine.mu.Unlock()
		return time.Until(engine.times[all[0].OfAll()]).Round(time.Hour) == time.Duration(sum)*time.Hour
	}, 10*time.Second, time.Millisecond)
}
