package pool

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// The entries of the guest "state" in the engine's testdata.
const (
	get = iota
	scramble
	trap
	spin
)

type fixture struct {
	engine *engine.Engine
	set    *Set
	module []byte
	loads  atomic.Int32
}

func newFixture(t *testing.T, slots int) *fixture {
	t.Helper()
	return fixtureOf(t, engine.Config{Slots: slots})
}

func fixtureOf(t *testing.T, cfg engine.Config) *fixture {
	t.Helper()
	module, err := os.ReadFile("../engine/testdata/state.wasm")
	require.NoError(t, err)
	cfg.SlotBytes = 100 * engine.PageBytes
	cfg.HostModules = []engine.HostModule{{
		Name: "test",
		Funcs: []engine.HostFunc{
			{Name: "note", Params: []engine.ValueType{engine.I32}, Call: func(*engine.Instance, []uint64) {}},
		},
	}}
	e, err := engine.Open(context.Background(), cfg)
	require.NoError(t, err)
	f := &fixture{engine: e, set: NewSet(e, Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))}), module: module}
	f.set.Start()
	t.Cleanup(func() {
		f.set.Close()
		require.NoError(t, e.Close(context.Background()), "every slot, instance and module came back")
	})
	return f
}

func (f *fixture) load(fresh bool) Loader {
	return func(ctx context.Context) (*engine.Module, error) {
		f.loads.Add(1)
		module, err := f.engine.Decode(f.module)
		if err != nil {
			return nil, err
		}
		return f.engine.Compile(ctx, module, engine.ModuleOptions{
			Fresh:   fresh,
			Init:    []string{"_initialize"},
			Entries: []string{"get", "scramble", "trap", "spin"},
		})
	}
}

func (f *fixture) pool(t *testing.T, fresh bool) *Pool {
	t.Helper()
	p, err := f.set.Open(context.Background(), f.load(fresh))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
	return p
}

func soon() time.Time { return time.Now().Add(time.Minute) }

func acquire(t *testing.T, p *Pool) (*engine.Instance, Start) {
	t.Helper()
	in, start, out, err := p.Acquire(context.Background(), soon())
	require.NoError(t, err)
	require.True(t, out.Clean())
	return in, start
}

func run(in *engine.Instance, entry int, param uint64) (uint64, engine.Kind) {
	stack := []uint64{param}
	out := in.Call(context.Background(), soon(), entry, stack)
	return stack[0], out.Kind
}

func TestWarmInstancesAreTakenLastInFirstOut(t *testing.T) {
	p := newFixture(t, 4).pool(t, false)
	first, start := acquire(t, p)
	require.Equal(t, Warm, start, "a deploy leaves one warm instance")
	second, start := acquire(t, p)
	require.Equal(t, Restored, start)
	p.tight.Store(true) // a shelf has an order of its own
	p.Release(second, true)
	p.Release(first, true)
	again, _ := acquire(t, p)
	require.Same(t, first, again)
	p.Release(again, true)
	require.Equal(t, 2, p.Stats().Warm)
}

func TestInstancesThatFailedAreNotUsedAgain(t *testing.T) {
	f := newFixture(t, 4)
	p := f.pool(t, false)
	bad, _ := acquire(t, p)
	_, kind := run(bad, trap, 0)
	require.Equal(t, engine.Trap, kind)
	p.Release(bad, false)
	require.Eventually(t, func() bool { return p.Stats().Warm == 1 }, 10*time.Second, time.Millisecond, "another takes its place")
	next, start := acquire(t, p)
	require.NotSame(t, bad, next)
	require.Equal(t, Warm, start)
	require.Equal(t, Counts{Warm: 2, Discarded: 1, Refilled: 1}, p.Stats().Counts)
	p.Release(next, true)
}

func TestFreshInstancesAreNeverKept(t *testing.T) {
	p := newFixture(t, 2).pool(t, true)
	require.Zero(t, p.Stats().Warm)
	for range 3 {
		in, start := acquire(t, p)
		require.Equal(t, Restored, start)
		v, _ := run(in, get, 0)
		require.EqualValues(t, 10, v, "it is initialised")
		run(in, scramble, 99)
		p.Release(in, true)
	}
	require.Zero(t, p.Stats().Warm)
	require.Equal(t, Counts{Restored: 3}, p.Stats().Counts)
}

// TestAdmittedRequestsAlwaysFindASlot checks the guarantee that makes a second queue unnecessary: with
// as many users as slots, more services than slots, crashes, refills and shrinking, no Acquire fails.
func TestAdmittedRequestsAlwaysFindASlot(t *testing.T) {
	const slots = 4
	f := newFixture(t, slots)
	var pools []*Pool
	for i := range 7 {
		pools = append(pools, f.pool(t, i == 6))
	}
	rounds := 400
	if testing.Short() {
		rounds = 50
	}
	var users, shrinker sync.WaitGroup
	var stop atomic.Bool
	shrinker.Go(func() {
		for i := 0; !stop.Load(); i++ {
			if err := pools[i%len(pools)].Shrink(context.Background(), i%3 == 0); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Millisecond)
		}
	})
	for u := range slots {
		users.Go(func() {
			for i := range rounds {
				p := pools[(i*(u+1)+u)%len(pools)]
				in, _, out, err := p.Acquire(context.Background(), soon())
				if err != nil || !out.Clean() {
					t.Errorf("user %d, round %d: %v %v", u, i, out.Kind, err)
					return
				}
				if v, _ := run(in, get, 0); v != 10 {
					t.Errorf("found %d in a global that should be 10", v)
				}
				entry := scramble
				if i%7 == 0 {
					entry = trap
				}
				_, kind := run(in, entry, uint64(i))
				p.Release(in, kind == engine.OK)
			}
		})
	}
	users.Wait()
	stop.Store(true)
	shrinker.Wait()
	s := f.engine.Stats()
	all := f.set.Stats()
	require.LessOrEqual(t, s.Instances-all.Asleep, s.Slots)
	require.Equal(t, len(pools), all.Pools)
	require.Zero(t, all.InUse)
	require.EqualValues(t, slots*rounds, all.Counts.Warm+all.Counts.Restored+all.Counts.Cold, "each request is counted once")
	require.Positive(t, all.Counts.Reclaimed, "there are more services than slots")
}

func TestCountsOutliveTheirPool(t *testing.T) {
	f := newFixture(t, 4)
	p, other := f.pool(t, false), f.pool(t, false)
	for range 3 {
		in, _ := acquire(t, p)
		p.Release(in, true)
	}
	require.Equal(t, SetStats{Pools: 2, Loaded: 2, Warm: 2, Counts: Counts{Warm: 3}}, f.set.Stats())
	require.NoError(t, p.Close(context.Background()))
	require.NoError(t, p.Close(context.Background()))
	require.NoError(t, other.Shrink(context.Background(), true))
	require.Equal(t, SetStats{Pools: 1, Counts: Counts{Warm: 3, Unloaded: 1}}, f.set.Stats())
}

func TestTooManyUsersAreABrokenPromise(t *testing.T) {
	f := newFixture(t, 1)
	p := f.pool(t, false)
	var held []*engine.Instance
	for range f.engine.Stats().Slots {
		in, _ := acquire(t, p)
		held = append(held, in)
	}
	_, _, _, err := p.Acquire(context.Background(), soon())
	require.ErrorIs(t, err, ErrNoSlot)
	for _, in := range held {
		p.Release(in, true)
	}
	require.Zero(t, p.Stats().InUse)
}

func TestEvictedCodeIsLoadedOnceByTheNextRequests(t *testing.T) {
	f := newFixture(t, 8)
	p := f.pool(t, false)
	require.EqualValues(t, 1, f.loads.Load())
	require.NoError(t, p.Shrink(context.Background(), true))
	require.False(t, p.Stats().Loaded)
	require.Zero(t, f.engine.Stats().Modules)
	require.Zero(t, f.engine.Stats().ImageBytes, "the snapshot is gone too")

	var wg sync.WaitGroup
	var cold atomic.Int32
	for range 8 {
		wg.Go(func() {
			in, start, out, err := p.Acquire(context.Background(), soon())
			if err != nil || !out.Clean() {
				t.Error(err, out)
				return
			}
			if start == Cold {
				cold.Add(1)
			}
			p.Release(in, true)
		})
	}
	wg.Wait()
	require.EqualValues(t, 2, f.loads.Load())
	require.Positive(t, cold.Load())
}

func TestCloseStopsWhatRuns(t *testing.T) {
	p := newFixture(t, 2).pool(t, false)
	in, _ := acquire(t, p)
	ended, returned := make(chan engine.Kind), make(chan struct{})
	go func() {
		_, kind := run(in, spin, 0)
		<-returned
		p.Release(in, false)
		ended <- kind
	}()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, p.Close(ctx), context.Canceled, "it does not wait longer than asked")
	close(returned)
	require.Equal(t, engine.Canceled, <-ended)
	_, _, _, err := p.Acquire(context.Background(), soon())
	require.ErrorIs(t, err, ErrClosed)
	<-p.drained
}
