package rewrite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

var (
	errStopped  = errors.New("stopped by the test host")
	errOverflow = errors.New("call stack overflow")
)

// features are the core features that the host enables.
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

func options() Options {
	return Options{
		YieldModule:      "vespo",
		YieldName:        "yield",
		FuelSlice:        10_000,
		StackBytes:       2 << 20,
		MaxTableElements: 1 << 16,
	}
}

// testHost provides the imports of rewritten and plain modules.
type testHost struct {
	runtime wazero.Runtime
	yields  int
	limit   int   // yields after which the guest is stopped
	slice   int64 // refill
	back    func(ctx context.Context, m api.Module, n uint32) uint32
}

func newTestHost(tb testing.TB) *testHost {
	tb.Helper()
	ctx := context.Background()
	config := wazero.NewRuntimeConfig().WithCoreFeatures(features).WithMemoryLimitPages(1 << 10)
	h := &testHost{runtime: wazero.NewRuntimeWithConfig(ctx, config), limit: 1 << 30, slice: options().FuelSlice}
	tb.Cleanup(func() { require.NoError(tb, h.runtime.Close(ctx)) })
	i32, i64 := []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI64}
	_, err := h.runtime.NewHostModuleBuilder("vespo").NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(h.yield), i32, i64).Export("yield").Instantiate(ctx)
	require.NoError(tb, err)
	b := h.runtime.NewHostModuleBuilder("env")
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
		stack[0] = uint64(h.back(ctx, m, uint32(stack[0])))
	}), i32, i32).Export("call_back")
	_, err = b.Instantiate(ctx)
	require.NoError(tb, err)
	wasi_snapshot_preview1.MustInstantiate(ctx, h.runtime)
	return h
}

func (h *testHost) yield(_ context.Context, _ api.Module, stack []uint64) {
	if uint32(stack[0]) == YieldStackOverflow {
		panic(errOverflow)
	}
	if h.yields++; h.yields > h.limit {
		panic(errStopped)
	}
	stack[0] = uint64(h.slice)
}

func (h *testHost) instantiate(tb testing.TB, bin []byte) api.Module {
	tb.Helper()
	ctx := context.Background()
	compiled, err := h.runtime.CompileModule(ctx, bin)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, compiled.Close(ctx)) })
	m, err := h.runtime.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").
		WithRandSource(rand.Reader).WithStartFunctions("_initialize"))
	require.NoError(tb, err)
	return m
}

// load rewrites and instantiates a module.
func (h *testHost) load(tb testing.TB, bin []byte, o Options) (api.Module, *Info) {
	tb.Helper()
	d, err := Decode(bin)
	require.NoError(tb, err)
	out, info, err := d.Rewrite(o)
	require.NoError(tb, err)
	m := h.instantiate(tb, out)
	if o.Separate {
		require.NoError(tb, apply(d, m))
	}
	return m, info
}

// apply applies the separate part of a module to an instance as the host does.
func apply(d *Decoded, m api.Module) error {
	s := d.Separate()
	if s == nil || d.m.memory == nil {
		return nil
	}
	if _, ok := m.Memory().Grow(s.MinPages); !ok {
		return fmt.Errorf("the memory does not grow to %d pages", s.MinPages)
	}
	memory, _ := m.Memory().Read(0, m.Memory().Size())
	return s.Apply(memory)
}

func call(m api.Module, name string, args ...uint64) ([]uint64, error) {
	return m.ExportedFunction(name).Call(context.Background(), args...)
}

// top makes a top-level call as the host does: with the whole stack.
func top(m api.Module, info *Info, o Options, name string, args ...uint64) ([]uint64, error) {
	m.ExportedGlobal(info.DepthExport).(api.MutableGlobal).Set(uint64(o.StackBytes))
	return call(m, name, args...)
}

func readModule(tb testing.TB, name string) []byte {
	tb.Helper()
	bin, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(tb, err)
	return bin
}
