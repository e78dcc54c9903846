package rewrite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// unlimited is fuel that no guest of a test uses up.
const unlimited = 1 << 60

// workHost counts the work of a rewritten module as a host does, with refills of any sizes.
type workHost struct {
	*testHost
	module api.Module
	fuel   api.MutableGlobal
	refill func() int64
	given  int64
	work   int64
	yields int
}

// newWorkHost instantiates a module on wazero's compiler or its interpreter.
func newWorkHost(tb testing.TB, config wazero.RuntimeConfig, bin []byte, o Options, refill func() int64) *workHost {
	tb.Helper()
	ctx := context.Background()
	h := &workHost{testHost: &testHost{limit: 1 << 30}, refill: refill, given: o.FuelSlice}
	h.runtime = wazero.NewRuntimeWithConfig(ctx, config.WithCoreFeatures(features).WithMemoryLimitPages(1<<10))
	tb.Cleanup(func() { require.NoError(tb, h.runtime.Close(ctx)) })
	_, err := h.runtime.NewHostModuleBuilder("vespo").NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) {
			if uint32(stack[0]) == YieldStackOverflow {
				panic(errOverflow)
			}
			h.yields++
			h.work += h.given - int64(h.fuel.Get())
			h.given = h.refill()
			stack[0] = uint64(h.given)
		}), []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI64}).Export("yield").Instantiate(ctx)
	require.NoError(tb, err)
	out, info, err := Rewrite(bin, o)
	require.NoError(tb, err)
	h.module = h.instantiate(tb, out)
	h.fuel = h.module.ExportedGlobal(info.FuelExport).(api.MutableGlobal)
	h.module.ExportedGlobal(info.DepthExport).(api.MutableGlobal).Set(uint64(o.StackBytes))
	return h
}

// total returns the work so far.
func (h *workHost) total() int64 { return h.work + h.given - int64(h.fuel.Get()) }

// TestWorkDependsOnTheExecutionAlone runs random programs with refills of random sizes, down to nothing, on both of wazero's
// engines, and compares their work after each call with that of a run without refills.
func TestWorkDependsOnTheExecutionAlone(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			bin, sigs := generate(seed)
			o := options()
			o.StackBytes, o.FuelSlice = 64<<20, unlimited
			want := newWorkHost(t, wazero.NewRuntimeConfigInterpreter(), bin, o, nil)
			random := rand.New(rand.NewPCG(seed, 2))
			refills := map[string]func() int64{
				"nothing": func() int64 { return 0 },
				"one":     func() int64 { return 1 },
				"few":     func() int64 { return random.Int64N(30) },
				"many":    func() int64 { return random.Int64N(2000) },
			}
			hosts := map[string]*workHost{}
			for name, refill := range refills {
				o.FuelSlice = refill()
				hosts[name] = newWorkHost(t, wazero.NewRuntimeConfig(), bin, o, refill)
			}
			for i, s := range sigs {
				name := fmt.Sprintf("f%d", i)
				_, err := observe(want.module, name, s, seed)
				for refill, h := range hosts {
					_, again := observe(h.module, name, s, seed)
					require.Equal(t, err == nil, again == nil)
					require.Equal(t, want.total(), h.total(), "%s with refills of %s", name, refill)
				}
			}
			require.Zero(t, want.yields)
		})
	}
}

// TestWorkOfSpinners checks the loops and calls of spin.wasm: a guest that is stopped in its nth refill has done the
// work of all of them, and what its last check has taken beyond that.
func TestWorkOfSpinners(t *testing.T) {
	bin := readModule(t, "spin.wasm")
	info, err := Inspect(bin)
	require.NoError(t, err)
	for _, e := range info.Exports {
		o := options()
		o.FuelSlice = 1000
		left := 1000
		h := newWorkHost(t, wazero.NewRuntimeConfig(), bin, o, func() int64 {
			if left--; left == 0 {
				panic(errStopped)
			}
			return 1000
		})
		_, err := call(h.module, e.Name)
		require.ErrorIs(t, err, errStopped, e.Name)
		require.InDelta(t, 1000*1000, h.work, 1000*float64(o.tableUnits()), e.Name)
	}
}

func (o Options) tableUnits() int64 { return (&writer{o: o}).tableUnits() }

// TestWorkUnit fails if the work of a program changes. Then raise WorkUnit, and say so in the documentation and the
// changelog: operators charge by it.
func TestWorkUnit(t *testing.T) {
	for name, c := range map[string]struct { // fib(15) is 1973 calls, of which each has two that it pays for
		file, call string
		args       []uint64
		want       int64
	}{
		"loop of stores":       {"tight.wasm", "store", []uint64{1000}, 1000},
		"loop of additions":    {"tight.wasm", "add", []uint64{1000}, 1000},
		"recursion":            {"tight.wasm", "fib", []uint64{15}, 4 * 1973},
		"calls through tables": {"tight.wasm", "indirect", []uint64{1000}, 2 * 1000},
		"a small fill":         {"bulk.wasm", "fill", []uint64{0, 1, smallBytes}, 1 + costBulk/unitCost},
		"a large fill":         {"bulk.wasm", "fill", []uint64{0, 1, 3 * chunkBytes}, 1 + costBulk/unitCost + 3*chunkBytes/bulkUnitBytes},
		"a large copy":         {"bulk.wasm", "copy", []uint64{1, 0, 3*chunkBytes + 1}, 1 + costBulk/unitCost + 4*chunkBytes/bulkUnitBytes},
		"a refused growth":     {"bulk.wasm", "grow", []uint64{100}, 1 + costGrow/unitCost},
	} {
		o := options()
		o.FuelSlice = unlimited
		h := newWorkHost(t, wazero.NewRuntimeConfig(), readModule(t, c.file), o, nil)
		_, err := call(h.module, c.call, c.args...)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, h.total(), name)
	}
	o := options()
	o.FuelSlice = unlimited
	h := newWorkHost(t, wazero.NewRuntimeConfig(), dispatched(
		concat(loopBegin, jumpTo(2, 2)),
		loopBody,
		concat(loopMore, code{opIf, emptyBlock}, jumpTo(1, 1), code{opEnd, opBr, 1})), o, nil)
	_, err := call(h.module, "f", 1000)
	require.NoError(t, err)
	assert.Equal(t, int64(1001), h.total(), "loop of additions in the form of Go's")
	var all []int64
	for seed := range uint64(8) {
		bin, sigs := generate(seed)
		o := options()
		o.FuelSlice, o.StackBytes = unlimited, 64<<20
		h := newWorkHost(t, wazero.NewRuntimeConfig(), bin, o, nil)
		for i, s := range sigs {
			_, _ = observe(h.module, fmt.Sprintf("f%d", i), s, seed)
		}
		all = append(all, h.total())
	}
	assert.Equal(t, []int64{5019, 3590, 1871, 2514, 3087, 3519, 1020, 524476}, all, "random programs")
}
