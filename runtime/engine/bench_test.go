package engine_test

import (
	"context"
	"crypto/rand"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/wasip1"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/testdata/guests"
)

var benchGuests = []struct {
	name   string
	module func(testing.TB) []byte
}{
	{"tiny", func(tb testing.TB) []byte { return guests.Wat(tb, "hello") }},
	{"gohello", func(tb testing.TB) []byte { return guests.Go(tb, "gohello") }},
	{"gonethttp", func(tb testing.TB) []byte { return guests.Go(tb, "gonethttp") }},
}

// BenchmarkRequest measures a request without HTTP: fresh state and one call of the guest, whose
// host functions do next to nothing. "reset" is one instance of the engine, reset in place; "fresh"
// is a new instance of stock wazero for each call. The code is compiled in advance in both cases.
func BenchmarkRequest(b *testing.B) {
	for _, g := range benchGuests {
		b.Run(g.name+"/reset", func(b *testing.B) { benchReset(b, g.module(b)) })
		b.Run(g.name+"/fresh", func(b *testing.B) { benchFresh(b, g.module(b)) })
	}
}

// benchReset also reports the time of the resets alone, including two reads of the clock.
func benchReset(b *testing.B, module []byte) {
	ctx := context.Background()
	in := benchInstance(b, module)
	stack := make([]uint64, 1)
	deadline := time.Now().Add(time.Hour)
	var resets time.Duration
	dirty := 0
	b.ReportAllocs()
	for b.Loop() {
		if out := in.Call(ctx, deadline, 0, stack); out.Kind != engine.OK {
			b.Fatal(out.Kind, out.Err)
		}
		start := time.Now()
		n, err := in.Reset()
		if err != nil {
			b.Fatal(err)
		}
		resets += time.Since(start)
		dirty += n
	}
	b.ReportMetric(float64(resets.Nanoseconds())/float64(b.N), "reset-ns")
	b.ReportMetric(float64(dirty)/float64(b.N)/1024, "dirty-KiB")
}

// benchModules returns the host modules of benchGuests.
func benchModules() []engine.HostModule {
	handler := engine.HostModule{Name: "http_handler"}
	for _, f := range benchFunctions {
		handler.Funcs = append(handler.Funcs, engine.HostFunc{
			Name:    f.name,
			Params:  f.params,
			Results: f.results,
			Call:    func(in *engine.Instance, p []uint64) { f.call(in.Memory(), p) },
		})
	}
	return []engine.HostModule{wasip1.HostModule(), handler}
}

// bindBench binds the state of WASI to an instance of benchGuests.
func bindBench(in *engine.Instance) {
	s := &wasip1.State{}
	s.Begin(nil, io.Discard, io.Discard)
	in.System = s
}

func benchInstance(b *testing.B, module []byte) *engine.Instance {
	ctx := context.Background()
	e, err := engine.Open(ctx, engine.Config{
		Slots:       1,
		CacheDir:    guests.CodeCache(),
		HostModules: benchModules(),
	})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, e.Close(ctx)) })
	decoded, err := engine.Decode(module)
	require.NoError(b, err)
	m, err := e.Compile(ctx, decoded,
		engine.ModuleOptions{Init: abi.WASIInit(decoded.Info()), Entries: []string{"handle_request"}, Bind: bindBench})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, m.Close(ctx)) })
	slot, ok := e.AcquireSlot()
	require.True(b, ok)
	in, err := m.Prepare(ctx, slot)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, in.Close()) })
	return in
}

func benchFresh(b *testing.B, module []byte) {
	ctx := context.Background()
	dir := filepath.Join(filepath.Dir(guests.CodeCache()), "vespo-test-code-wazero") // engines clear theirs of other files
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	require.NoError(b, err)
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(cache).WithMemoryLimitPages(256))
	b.Cleanup(func() { require.NoError(b, r.Close(ctx)) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	handler := r.NewHostModuleBuilder("http_handler")
	for _, f := range benchFunctions {
		handler.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, m api.Module, p []uint64) {
			memory, _ := m.Memory().Read(0, m.Memory().Size())
			f.call(memory, p)
		}), f.params, f.results).Export(f.name)
	}
	_, err = handler.Instantiate(ctx)
	require.NoError(b, err)
	compiled, err := r.CompileModule(ctx, module)
	require.NoError(b, err)
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize").WithRandSource(rand.Reader)
	stack := make([]uint64, 1)
	b.ReportAllocs()
	for b.Loop() {
		m, err := r.InstantiateModule(ctx, compiled, config)
		if err != nil {
			b.Fatal(err)
		}
		if err := m.ExportedFunction("handle_request").CallWithStack(ctx, stack); err != nil {
			b.Fatal(err)
		}
		if err := m.Close(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

const i32, i64 = engine.I32, engine.I64

// benchFunctions are the host functions imported by the guests, with minimal implementations.
var benchFunctions = []struct {
	name            string
	params, results []engine.ValueType
	call            func(memory []byte, p []uint64)
}{
	{"set_status_code", []engine.ValueType{i32}, nil, nothing},
	{"set_header_value", []engine.ValueType{i32, i32, i32, i32, i32}, nil, nothing},
	{"add_header_value", []engine.ValueType{i32, i32, i32, i32, i32}, nil, nothing},
	{"write_body", []engine.ValueType{i32, i32, i32}, nil, nothing},
	{"get_method", []engine.ValueType{i32, i32}, []engine.ValueType{i32}, put("GET")},
	{"get_uri", []engine.ValueType{i32, i32}, []engine.ValueType{i32}, put("/hello/world")},
	{"read_body", []engine.ValueType{i32, i32, i32}, []engine.ValueType{i64}, func(_ []byte, p []uint64) { p[0] = 1 << 32 }},
}

func nothing([]byte, []uint64) {}

func put(s string) func([]byte, []uint64) {
	return func(memory []byte, p []uint64) {
		copy(memory[uint32(p[0]):], s)
		p[0] = uint64(len(s))
	}
}
