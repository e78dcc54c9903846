package pool

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// budgeted returns a fixture whose limit has room for n pools. All share their code, so what a pool adds is its snapshot.
func budgeted(t *testing.T, n int64) (f *fixture, unloaded *atomic.Int64) {
	t.Helper()
	f = newFixture(t, 4)
	p := f.pool(t, false)
	one := f.engine.LoadedBytes()
	q := f.pool(t, false)
	snapshot := f.engine.LoadedBytes() - one
	require.Positive(t, snapshot)
	require.NoError(t, p.Close(context.Background()))
	require.NoError(t, q.Close(context.Background()))
	require.Zero(t, f.engine.LoadedBytes())
	unloaded = new(atomic.Int64)
	f.set.options.LoadedBytes = one + (n-1)*snapshot
	f.set.options.Unloaded = func(bytes int64) { unloaded.Add(bytes) }
	return f, unloaded
}

// await waits until the set has as many loaded pools.
func (f *fixture) await(t *testing.T, loaded int) {
	t.Helper()
	require.Eventually(t, func() bool { return f.set.Stats().Loaded == loaded }, time.Minute, time.Millisecond)
	require.LessOrEqual(t, f.engine.LoadedBytes(), f.set.options.LoadedBytes)
}

func use(t *testing.T, p *Pool) {
	t.Helper()
	in, _ := acquire(t, p)
	_, kind := run(in, 0, 0)
	require.Equal(t, engine.OK, kind)
	p.Release(in, true)
}

func TestLeastRecentlyUsedPoolsAreUnloadedBeyondTheLimit(t *testing.T) {
	f, unloaded := budgeted(t, 3)
	a, b, c := f.pool(t, false), f.pool(t, false), f.pool(t, false)
	use(t, b)
	use(t, a)
	f.await(t, 3)
	require.Zero(t, f.set.Stats().Trimmed)
	d := f.pool(t, false)
	f.await(t, 3)
	require.False(t, c.Stats().Loaded, "opened before the others were used")
	require.EqualValues(t, 1, c.Stats().Counts.Unloaded)
	require.EqualValues(t, 1, f.set.Stats().Trimmed)
	require.Positive(t, unloaded.Load())
	use(t, c)
	f.await(t, 3)
	require.False(t, b.Stats().Loaded)
	require.True(t, a.Stats().Loaded && c.Stats().Loaded && d.Stats().Loaded)
}

// Pools in use are not unloaded. As soon as one is free, the limit holds again.
func TestPoolsInUseExceedTheLimit(t *testing.T) {
	f, _ := budgeted(t, 1)
	a, b := f.pool(t, false), f.pool(t, false)
	f.await(t, 1)
	first, _ := acquire(t, a)
	second, _ := acquire(t, b)
	require.Eventually(t, f.set.over.Load, time.Minute, time.Millisecond)
	require.Equal(t, 2, f.set.Stats().Loaded)
	a.Release(first, true)
	f.await(t, 1)
	require.True(t, b.Stats().Loaded)
	b.Release(second, true)
	f.await(t, 1)
}

// TestNumberOfLoadedPools releases the least recently used pools beyond a number, whatever they take.
func TestNumberOfLoadedPools(t *testing.T) {
	f := newFixture(t, 4)
	f.set.options.Loaded = 2
	pools := []*Pool{f.pool(t, false), f.pool(t, false), f.pool(t, false), f.pool(t, false)}
	loaded := func(want int) {
		t.Helper()
		require.Eventually(t, func() bool { return f.set.Stats().Loaded == want }, time.Minute, time.Millisecond)
	}
	loaded(2)
	for range 2 {
		for _, p := range pools {
			use(t, p)
			loaded(2)
			require.True(t, p.Stats().Loaded, "the most recently used one")
		}
	}
	require.Positive(t, f.set.Stats().Trimmed)
}

func TestLimitSmallerThanAPool(t *testing.T) {
	f, _ := budgeted(t, 0)
	p := f.pool(t, false)
	for range 3 {
		f.await(t, 0)
		in, start := acquire(t, p)
		require.Equal(t, Cold, start)
		p.Release(in, true)
	}
}
