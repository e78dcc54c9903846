package pool

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/spare"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// TestColdestIsThatOfAllPools compares the heap with a look at all pools, while these are used, loaded, unloaded and closed.
func TestColdestIsThatOfAllPools(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	clock := time.Now()
	heap := newColdHeap((*Pool).idleLoaded)
	set := &Set{spare: spare.New[engine.Instance]()}
	pools := make([]*Pool, 30)
	for i := range pools {
		pools[i] = &Pool{set: set, opened: clock.Add(time.Duration(i))}
	}
	naive := func(tried map[*Pool]bool) (coldest *Pool) {
		var oldest time.Time
		for _, p := range pools {
			since, loaded, idle := p.idleLoaded()
			if loaded && idle && !tried[p] && (coldest == nil || since.Before(oldest)) {
				coldest, oldest = p, since
			}
		}
		return coldest
	}
	for range 20_000 {
		p := pools[r.IntN(len(pools))]
		switch r.IntN(6) {
		case 0:
			p.inUse = r.IntN(2)
		case 1:
			clock = clock.Add(time.Second)
			p.lastUsed = clock
		case 2:
			p.module = nil
		case 3:
			p.closed = r.IntN(8) == 0
		default:
			p.module = &engine.Module{}
		}
		tried := map[*Pool]bool{pools[r.IntN(len(pools))]: true}
		if _, loaded, _ := p.idleLoaded(); loaded {
			heap.put(p)
		}
		require.Same(t, naive(tried), heap.coldest(tried))
		require.LessOrEqual(t, len(heap.entries), len(pools))
		require.Len(t, heap.of, len(heap.entries))
	}
}

// TestManyPoolsAreNotSearchedForASlot checks the pools in which a slot is sought: those with one, however many there are.
func TestManyPoolsAreNotSearchedForASlot(t *testing.T) {
	f := newFixture(t, 2)
	var pools []*Pool
	for range 20 {
		pools = append(pools, f.pool(t, false))
	}
	for _, p := range pools {
		use(t, p)
	}
	f.set.mu.Lock()
	defer f.set.mu.Unlock()
	require.LessOrEqual(t, len(f.set.holding.entries), f.engine.Stats().Slots+1)
	require.Len(t, f.set.loaded.entries, len(pools))
}

// TestFailedPoolsAreForgotten leaves nothing behind of a pool whose guest cannot be initialised.
func TestFailedPoolsAreForgotten(t *testing.T) {
	f := newFixture(t, 2)
	_, err := f.set.Open(context.Background(), func(ctx context.Context) (*engine.Module, error) {
		module, err := f.engine.Decode(f.module)
		if err != nil {
			return nil, err
		}
		return f.engine.Compile(ctx, module, engine.ModuleOptions{Init: []string{"trap"}})
	})
	var refused *engine.ModuleError
	require.True(t, errors.As(err, &refused), err)
	f.set.mu.Lock()
	defer f.set.mu.Unlock()
	require.Empty(t, f.set.holding.entries)
	require.Empty(t, f.set.loaded.entries)
}
