package rewrite

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/api"
)

// observation is the observable result of a guest's call: results or trap, memory, globals.
type observation struct {
	results []uint64
	trapped bool
	memory  [sha256.Size]byte
	pages   uint32
	globals [5]uint64
}

func observe(m api.Module, name string, s Signature, seed uint64) (o observation, err error) {
	args := make([]uint64, len(s.Params))
	for i, t := range s.Params {
		v := seed*uint64(i+3) + 1
		switch t {
		case I32:
			v &= math.MaxUint32
		case F32:
			v = uint64(math.Float32bits(float32(v % 1000)))
		case F64:
			v = math.Float64bits(float64(v % 1000))
		}
		args[i] = v
	}
	m.ExportedGlobal("g0").(api.MutableGlobal).Set(500)
	o.results, err = call(m, name, args...)
	o.trapped = err != nil
	all, _ := m.Memory().Read(0, m.Memory().Size())
	o.memory, o.pages = sha256.Sum256(all), m.Memory().Size()>>16
	for i := range o.globals {
		o.globals[i] = m.ExportedGlobal(fmt.Sprintf("g%d", i)).Get()
	}
	return o, err
}

// checkSame runs a generated module plain and rewritten and compares the observations.
func checkSame(t *testing.T, seed uint64) {
	bin, sigs := generate(seed)
	h, o := newTestHost(t), options()
	h.slice = int64(seed % 50)
	o.FuelSlice, o.StackBytes, o.Separate = h.slice, 64<<20, seed%2 == 0
	plain := h.instantiate(t, bin)
	m, info := h.load(t, bin, o)
	for i, s := range sigs {
		name := fmt.Sprintf("f%d", i)
		want, _ := observe(plain, name, s, seed)
		m.ExportedGlobal(info.DepthExport).(api.MutableGlobal).Set(uint64(o.StackBytes))
		got, err := observe(m, name, s, seed)
		require.False(t, errors.Is(err, errOverflow), "seed %d", seed)
		require.Equal(t, want, got, "seed %d: %s: %v", seed, name, err)
	}
}

// TestSameResults checks the main property: a rewritten module computes the same as the original.
func TestSameResults(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { checkSame(t, seed) })
	}
}

func FuzzSameResults(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { checkSame(t, seed) })
}

// seedModules returns small modules of many forms by name.
func seedModules(tb testing.TB) map[string][]byte {
	tb.Helper()
	all := make(map[string][]byte)
	files, err := filepath.Glob("testdata/*.wasm")
	require.NoError(tb, err)
	for _, name := range files {
		all[name], err = os.ReadFile(name)
		require.NoError(tb, err)
	}
	for seed := range uint64(8) {
		all[fmt.Sprintf("generated %d", seed)], _ = generate(seed)
	}
	for _, family := range families {
		if bin := family.module(family.sizes[0]); len(bin) < 2<<10 {
			all[family.name] = bin
		}
	}
	return all
}

// FuzzRewrite checks that any input is refused or rewritten without a panic,
// and that wazero still accepts a rewritten module, and its stub, if it accepts the original.
func FuzzRewrite(f *testing.F) {
	for _, bin := range seedModules(f) {
		f.Add(bin)
	}
	f.Fuzz(func(t *testing.T, bin []byte) {
		out, info, err := Rewrite(bin, options())
		if err != nil {
			var e *Error
			require.ErrorAs(t, err, &e)
			require.LessOrEqual(t, e.Offset, len(bin))
			return
		}
		require.NotNil(t, info)
		if len(bin) > 1<<16 {
			return // compiling takes too long
		}
		h := newTestHost(t)
		if compiled, err := h.runtime.CompileModule(t.Context(), bin); err == nil {
			require.NoError(t, compiled.Close(t.Context()))
			for _, bin := range [][]byte{out, Stub(out)} {
				compiled, err := h.runtime.CompileModule(t.Context(), bin)
				require.NoError(t, err)
				require.NoError(t, compiled.Close(t.Context()))
			}
		}
	})
}
