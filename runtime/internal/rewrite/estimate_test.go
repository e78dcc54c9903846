package rewrite

import (
	"fmt"
	"io/fs"
	"path/filepath"
	goruntime "runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
)

// compiled is the measured cost of compiling a rewritten module: bytes allocated, and bytes of machine code.
func compiled(tb testing.TB, module []byte) (allocated, code int64) {
	tb.Helper()
	dir := tb.TempDir()
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	require.NoError(tb, err)
	config := wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features).WithDebugInfoEnabled(false).WithCompilationCache(cache)
	r := wazero.NewRuntimeWithConfig(tb.Context(), config)
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	m, err := r.CompileModule(tb.Context(), module)
	require.NoError(tb, err)
	goruntime.ReadMemStats(&after)
	require.NoError(tb, m.Close(tb.Context()))
	require.NoError(tb, r.Close(tb.Context()))
	require.NoError(tb, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				code += info.Size()
			}
		}
		return err
	}))
	return int64(after.TotalAlloc - before.TotalAlloc), code
}

// The compiler allocates some memory for any module, and not all allocations live at the same time.
const (
	fixedAllocation = 1 << 20
	livingPart      = 0.4
	fixedCode       = 1 << 10
)

func requireCovered(t *testing.T, bin []byte) {
	t.Helper()
	if goruntime.GOARCH != "amd64" {
		t.Skip("the weights are measured on amd64")
	}
	out, info, err := Rewrite(bin, options())
	require.NoError(t, err)
	allocated, code := compiled(t, out)
	t.Logf("estimate by measure: memory %.2f, code %.2f", float64(info.Cost.MemoryBytes)/float64(allocated), float64(info.Cost.CodeBytes)/float64(code))
	require.GreaterOrEqual(t, info.Cost.CodeBytes+fixedCode, code)
	require.GreaterOrEqual(t, float64(info.Cost.MemoryBytes+fixedAllocation), livingPart*float64(allocated))
}

// TestEstimateCoversFamilies compares the estimate with the compiler's memory and code
// for modules built to be expensive. It does not measure time; BenchmarkEstimate does.
func TestEstimateCoversFamilies(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) { requireCovered(t, f.module(f.sizes[0])) })
	}
}

// TestEstimateCoversInstructions does the same for each instruction of the opcode tables.
func TestEstimateCoversInstructions(t *testing.T) {
	h := newTestHost(t)
	for op, imm := range allOpcodes() {
		if op == opUnreachable {
			continue
		}
		t.Run(fmt.Sprintf("%#04x", op), func(t *testing.T) {
			list := []code{heapCases[op]}
			if _, ok := heapCases[op]; !ok {
				list = validCode(t, h, op, imm)
			}
			for _, c := range list {
				requireCovered(t, heapModule(keepResult(t, h, op, c)))
			}
		})
	}
}

// keepResult stores an instruction's result instead of dropping
// it. Otherwise the compiler would remove the instruction.
func keepResult(t *testing.T, h *testHost, op uint16, c code) code {
	t.Helper()
	if effectOf(op).leaves != 1 || len(c) == 0 || c[len(c)-1] != opDrop {
		return c
	}
	for g := range heapTypes {
		kept := append(c[:len(c)-1:len(c)-1], opGlobalSet, byte(g))
		if m, err := h.runtime.CompileModule(t.Context(), heapModule(kept)); err == nil {
			require.NoError(t, m.Close(t.Context()))
			return kept
		}
	}
	return c
}

// TestCostsAreRefused tests modules that would take too much time, memory or code.
func TestCostsAreRefused(t *testing.T) {
	wide := Signature{many(1000, I64), many(1000, I64)}
	for name, test := range map[string]struct {
		module []byte
		want   string
	}{
		"br_table, 2000 targets with 1000 results":   {brTable(2000, 1000, false), "function 0 takes too long to compile: estimated 8535 ms, the limit is 4203 ms: split the function, or build with -Os"},
		"br_table, 20,000 targets with 1000 results": {brTable(20_000, 1000, false), "function 0 takes too long to compile"},
		"br_table, 65,000 targets with 100 results":  {brTable(65_000, 100, true), "function 0"},
		"3 MB of loads": {single(0, concat(code{opI32Const, 1}, repeat(1_000_000, opI32Load, 0, 0), code{opDrop})), "too much memory"},
		"call_indirect of 1000 parameters": {single(0, concat(repeat(1000, opI64Const, 1), repeat(2000, opI32Const, 0, opCallIndirect, 1, 0), repeat(1000, opDrop)), wide),
			"for a stack frame"},
		"100 functions of 50 wide calls": {wideCalls(100, 50), "and those before it become too much machine code"},
		"br_ifs":                         {family{}.of("br_ifs to one block", 40_000), "takes too long to compile"},
		"blocks":                         {family{}.of("blocks", 100_000), "takes too long to compile"},
		"loops":                          {family{}.of("loops", 8000), "takes too long to compile"},
		"nested loops":                   {family{}.of("nested loops", 8000), "takes too long to compile"},
		"uses far from a definition":     {family{}.of("uses far from a definition", 20_000), "takes too long to compile"},
		"variables in many blocks":       {family{}.of("variables that live in many blocks", 2000), "to compile"},
		"globals":                        {family{}.of("functions beside globals", 45_000), "globals are too many for 45000 functions"},
		"calls beside globals":           {family{}.of("calls beside mutable globals", 5000), "to compile"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Rewrite(test.module, options())
			require.ErrorIs(t, err, ErrLimit)
			require.ErrorContains(t, err, test.want)
		})
	}
}

// of returns a module of the family of that name.
func (family) of(name string, n int) []byte {
	for _, f := range families {
		if f.name == name {
			return f.module(n)
		}
	}
	panic(name)
}

// wideCalls returns functions that pass 1000 values through calls.
func wideCalls(functions, calls int) []byte {
	b := newModule()
	s := Signature{many(1000, I64), many(1000, I64)}
	t := b.typ(Signature{})
	f := b.function(s, nil, code{opUnreachable})
	var body code
	body = append(body, repeat(1000, opI64Const, 1)...)
	for range calls {
		body.call(f)
	}
	body = append(body, repeat(1000, opDrop)...)
	for range functions {
		b.funcs = append(b.funcs, builtFunc{typ: t, body: body})
	}
	return b.bytes()
}

// TestLargeSwitchesAreAccepted covers generated code: a table's cost decides, not its size.
func TestLargeSwitchesAreAccepted(t *testing.T) {
	for _, targets := range []int{24_576, maxBranchTargets} {
		for _, apart := range []bool{false, true} {
			_, info, err := Rewrite(brTable(targets, 0, apart), options())
			require.NoError(t, err)
			require.Less(t, info.Cost.MemoryBytes, limitFunctionMemory.base)
		}
	}
}

func TestGuestsCostAFractionOfTheLimits(t *testing.T) {
	bin := buildGuest(t, "work")
	_, info, err := Rewrite(bin, options())
	require.NoError(t, err)
	require.Less(t, 4*info.Cost.Nanoseconds, limitModuleTime.of(len(bin)))
	require.Less(t, info.Cost.CodeBytes+info.Cost.CodeBytes/3, MaxCodeBytes(len(bin)))
	require.Less(t, 4*info.Cost.MemoryBytes, limitFunctionMemory.most)
}

// TestCostIsOneOfTheModuleAlone checks that the estimator keeps no state between functions.
func TestCostIsOneOfTheModuleAlone(t *testing.T) {
	for _, f := range families {
		bin := f.module(f.sizes[0])
		_, first, err := Rewrite(bin, options())
		require.NoError(t, err)
		_, second, err := Rewrite(bin, options())
		require.NoError(t, err)
		require.Equal(t, first.Cost, second.Cost, f.name)
	}
}

// BenchmarkEstimate compares the estimated time with the compiler's, for the calibration of the weights.
func BenchmarkEstimate(b *testing.B) {
	for _, f := range families {
		bin := f.module(f.sizes[1])
		out, info, err := Rewrite(bin, options())
		if err != nil {
			continue
		}
		b.Run(f.name, func(b *testing.B) {
			for b.Loop() {
				compiled(b, out)
			}
			b.ReportMetric(float64(info.Cost.Nanoseconds)/(float64(b.Elapsed().Nanoseconds())/float64(b.N)), "estimate/time")
		})
	}
}
