package pool

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// TestSpareInstancesAreFoundByAll checks that instances that are spare at any processor are found when all slots are needed,
// by as many users as there are slots, of one pool and of two.
func TestSpareInstancesAreFoundByAll(t *testing.T) {
	for _, pools := range []int{1, 2} {
		f := newFixture(t, 2)
		all := make([]*Pool, pools)
		for i := range all {
			all[i] = f.pool(t, false)
		}
		const rounds = 500
		slots := f.engine.Stats().Slots
		if pools > 1 {
			slots-- // a slot may leave one pool for the other while a user looks at both
		}
		var users sync.WaitGroup
		for u := range slots {
			users.Go(func() {
				for i := range rounds {
					p := all[(i+u)%pools]
					in, _, out, err := p.Acquire(context.Background(), soon())
					if err != nil || !out.Clean() {
						t.Errorf("user %d, round %d: %v %v", u, i, out.Kind, err)
						return
					}
					if v, _ := run(in, get, 0); v != 10 {
						t.Errorf("found %d in a global that should be 10", v)
					}
					run(in, scramble, 3)
					p.Release(in, true)
				}
			})
		}
		users.Wait()
		stats := f.set.Stats()
		require.Zero(t, stats.InUse)
		require.Equal(t, f.engine.Stats().Instances, stats.Warm+stats.Asleep)
		require.EqualValues(t, slots*rounds, stats.Counts.Warm+stats.Counts.Restored)
	}
}

// TestSpareInstancesEndWithTheirPool checks that a request that ends while its pool is closed leaves no instance behind.
func TestSpareInstancesEndWithTheirPool(t *testing.T) {
	f := newFixture(t, 4)
	for range 50 {
		p, err := f.set.Open(context.Background(), f.load(false))
		require.NoError(t, err)
		var users sync.WaitGroup
		for range 3 {
			users.Go(func() {
				for {
					in, _, _, err := p.Acquire(context.Background(), soon())
					if err != nil {
						require.ErrorIs(t, err, ErrClosed)
						return
					}
					_, kind := run(in, get, 0)
					p.Release(in, kind == engine.OK)
				}
			})
		}
		in, _ := acquire(t, p)
		p.Release(in, true)
		require.NoError(t, p.Close(context.Background()))
		users.Wait()
		require.Zero(t, f.engine.Stats().Instances)
	}
}
