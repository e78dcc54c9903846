package pool

import (
	"container/list"
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// useAll makes a request that changes all state of its instance, which must be as after the initialisation. It returns the instance.
func useAll(t *testing.T, p *Pool) *engine.Instance {
	t.Helper()
	in, _ := acquire(t, p)
	v, kind := run(in, get, 0)
	require.Equal(t, engine.OK, kind)
	require.EqualValues(t, 10, v)
	_, kind = run(in, scramble, 7)
	require.Equal(t, engine.OK, kind)
	p.Release(in, true)
	return in
}

func TestReclaimedInstancesSleepAndWake(t *testing.T) {
	f := newFixture(t, 1) // and two spare slots
	var pools []*Pool
	first := map[*Pool]*engine.Instance{}
	for range 6 {
		p := f.pool(t, false)
		pools = append(pools, p)
		first[p] = useAll(t, p)
	}
	for range 3 {
		for _, p := range pools {
			require.Same(t, first[p], useAll(t, p), "the instance is the one that lost its slot")
		}
	}
	stats := f.set.Stats()
	require.Equal(t, 3, stats.Warm)
	require.Equal(t, 3, stats.Asleep)
	require.Equal(t, 6, f.engine.Stats().Instances)
	require.EqualValues(t, 18, stats.Counts.Restored, "each request of the rounds found its pool without a slot")
	require.EqualValues(t, 21, stats.Counts.Reclaimed)
}

// TestAPoolHasOneInstanceAsleep takes all instances of a pool.
func TestAPoolHasOneInstanceAsleep(t *testing.T) {
	f := newFixture(t, 1)
	p := f.pool(t, false)
	var all []*engine.Instance
	for range 3 {
		in, _ := acquire(t, p)
		all = append(all, in)
	}
	for _, in := range all {
		p.Release(in, true)
	}
	others := []*Pool{f.pool(t, false), f.pool(t, false), f.pool(t, false)}
	require.Equal(t, 1, p.Stats().Asleep)
	require.Zero(t, p.Stats().Warm)
	require.Equal(t, 4, f.engine.Stats().Instances)
	for _, o := range others {
		useAll(t, o)
	}
	useAll(t, p)
}

// TestSleepersStayWithinTheirLimit has room for two instances.
func TestSleepersStayWithinTheirLimit(t *testing.T) {
	f := newFixture(t, 1)
	p := f.pool(t, false)
	bytes := useAll(t, p).HostBytes()
	f.set.asleep.limitBytes = 2*bytes + bytes/2
	pools := []*Pool{p}
	for range 6 {
		pools = append(pools, f.pool(t, false))
	}
	for range 2 {
		for _, p := range pools {
			useAll(t, p)
			require.LessOrEqual(t, f.set.Stats().Asleep, 2)
		}
	}
	for i, p := range pools { // the last three are warm
		require.Equal(t, i == 2 || i == 3, p.Stats().Asleep == 1, "those that were asleep for longest are closed: %d", i)
	}
	require.Equal(t, 2*bytes, f.set.asleep.bytes)
	require.Equal(t, 5, f.engine.Stats().Instances)

	f.set.asleep.limitBytes = bytes - 1
	useAll(t, pools[0])
	require.Zero(t, pools[4].Stats().Asleep, "one that exceeds the limit alone is closed, and displaces no other")
	require.Equal(t, 2, f.set.Stats().Asleep)
}

func TestLimitOfSleepersFollowsThatOfCode(t *testing.T) {
	for limit, want := range map[int64]int64{0: 64 << 20, 1 << 40: 64 << 20, 64 << 20: 8 << 20} {
		o := Options{LoadedBytes: limit}
		require.Equal(t, want, o.asleepBytes())
	}
}

func TestShrinkClosesInstancesAsleep(t *testing.T) {
	f := newFixture(t, 1)
	p := f.pool(t, false)
	for _, evict := range []bool{false, true} {
		useAll(t, p)
		others := []*Pool{f.pool(t, false), f.pool(t, false), f.pool(t, false)}
		for range 2 {
			for _, o := range others {
				useAll(t, o)
			}
		}
		require.Equal(t, 1, p.Stats().Asleep)
		require.NoError(t, p.Shrink(context.Background(), evict))
		require.Zero(t, p.Stats().Asleep)
		require.Equal(t, !evict, p.Stats().Loaded)
		useAll(t, p)
	}
	require.Equal(t, f.set.asleep.order.Len(), f.set.Stats().Asleep)
}

// TestSleepersUnderLoad has users of more pools than slots while pools are shrunk, and room for a few instances that are asleep.
func TestSleepersUnderLoad(t *testing.T) {
	f := newFixture(t, 4)
	var pools []*Pool
	for range 12 {
		pools = append(pools, f.pool(t, false))
	}
	f.set.asleep.limitBytes = 5 * useAll(t, pools[0]).HostBytes()
	var users sync.WaitGroup
	for u := range 3 {
		users.Go(func() {
			random := rand.New(rand.NewPCG(uint64(u), 1))
			for range 400 {
				p := pools[random.IntN(len(pools))]
				if random.IntN(20) == 0 {
					if err := p.Shrink(context.Background(), random.IntN(2) == 0); err != nil {
						t.Error(err)
					}
					continue
				}
				in, _, out, err := p.Acquire(context.Background(), soon())
				if err != nil || !out.Clean() {
					t.Errorf("user %d: %v %v", u, out.Kind, err)
					return
				}
				if v, _ := run(in, get, 0); v != 10 {
					t.Errorf("found %d in a global that should be 10", v)
				}
				entry := scramble
				if random.IntN(10) == 0 {
					entry = trap
				}
				_, kind := run(in, entry, 3)
				p.Release(in, kind == engine.OK)
			}
		})
	}
	users.Wait()
	require.Equal(t, f.set.asleep.order.Len(), f.set.Stats().Asleep, "the list and the pools agree")
	require.LessOrEqual(t, f.set.asleep.bytes, f.set.asleep.limitBytes)
	for _, p := range pools {
		require.NoError(t, p.Close(context.Background()))
	}
	require.Zero(t, f.engine.Stats().Instances)
	require.Zero(t, f.set.asleep.bytes)
}

func TestSleepersAreRemovedOnce(t *testing.T) {
	a, b := new(Pool), new(Pool)
	s := sleepers{limitBytes: 10, of: map[*Pool]*list.Element{}}
	displaced, ok := s.put(a, 6)
	require.True(t, ok)
	require.Empty(t, displaced)
	displaced, ok = s.put(b, 6)
	require.True(t, ok)
	require.Equal(t, []*Pool{a}, displaced)
	s.remove(a)
	require.EqualValues(t, 6, s.bytes)
	s.remove(b)
	s.remove(b)
	require.Zero(t, s.bytes)
}

// TestUnusedInstancesOfBusyPoolsAreReclaimedFirst has a pool that is used most, and once had three requests at a time.
func TestUnusedInstancesOfBusyPoolsAreReclaimedFirst(t *testing.T) {
	f := newFixture(t, 4) // and two spare slots
	busy := f.pool(t, false)
	var all []*engine.Instance
	for range 3 {
		in, _ := acquire(t, busy)
		all = append(all, in)
	}
	for _, in := range all {
		busy.Release(in, true)
		gather([]*Pool{busy})
	}
	others := []*Pool{f.pool(t, false), f.pool(t, false), f.pool(t, false)}
	for range 3 {
		for _, p := range others {
			useAll(t, p)
			useAll(t, busy)
			gather([]*Pool{p, busy}) // so that the instance used last is used next, wherever the test runs
		}
	}
	for left := 2; left >= 1; left-- {
		gather(append(others, busy))
		others = append(others, f.pool(t, false))
		for _, p := range others {
			require.Equal(t, 1, p.Stats().Warm, "it was used after the other instances of the busy pool")
		}
		require.Equal(t, left, busy.Stats().Warm)
	}
	useAll(t, busy)
	gather(append(others, busy))
	f.pool(t, false)
	require.Equal(t, 1, busy.Stats().Warm)
	require.Zero(t, others[0].Stats().Warm, "now it is the one that is unused for longest")
}

// gather makes spare instances warm ones, as they may stay on the shelf of a processor that the test has left.
func gather(pools []*Pool) {
	for _, p := range pools {
		p.mu.Lock()
		p.gatherLocked()
		p.mu.Unlock()
	}
}

// TestNewInstancesAreNotTheOldest checks an instance that was made for no request, in the place of one that failed.
func TestNewInstancesAreNotTheOldest(t *testing.T) {
	f := newFixture(t, 1)
	p := f.pool(t, false)
	in := useAll(t, p)
	k := keptWith(in)
	require.Equal(t, time.Duration(k.used.Load()), k.since())
	k.used.Store(0)
	require.Positive(t, k.since())
	require.Equal(t, k.made, k.since())
}
