package rewrite

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/testdata/guests"
)

func TestDecodedModulesAreRewrittenAnyNumberOfTimes(t *testing.T) {
	bin := guests.Go(t, "gohello")
	want, info, err := Rewrite(bin, options())
	require.NoError(t, err)
	d, err := Decode(bin)
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			got, again, err := d.Rewrite(options())
			if err != nil || string(got) != string(want) {
				t.Errorf("the output differs: %v", err)
			}
			if len(again.Exports) != len(info.Exports) || again.FuelExport != info.FuelExport {
				t.Error("the description differs")
			}
		})
	}
	all.Wait()
	inspected, err := Inspect(bin)
	require.NoError(t, err)
	require.Equal(t, inspected, d.Info(), "rewriting changes nothing")
}

// A deploy rewrites a decoded module again whenever its code was evicted. Nothing may add up, or be shared.
func TestRewritingDoesNotChangeDecodedModules(t *testing.T) {
	tried := 0
	for name, bin := range seedModules(t) {
		want, err := Decode(bin)
		if err != nil {
			continue // a seed that is refused
		}
		d, err := Decode(bin)
		require.NoError(t, err)
		first, _, refused := d.Rewrite(options())
		second, _, again := d.Rewrite(options())
		require.Equal(t, refused, again, name)
		require.Equal(t, first, second, name)
		require.Equal(t, want, d, name)
		tried++
	}
	require.Greater(t, tried, 10)
}

func TestHeldBytes(t *testing.T) {
	for name, bin := range map[string][]byte{
		"of a toolchain": guests.Go(t, "gohello"),
		"tiny functions": manyFunctions(100_000),
	} {
		t.Run(name, func(t *testing.T) {
			before := heap()
			d, err := Decode(bin)
			require.NoError(t, err)
			held := float64(heap() - before)
			require.InEpsilon(t, held, float64(d.HeldBytes()), 0.2)
			runtime.KeepAlive(d)
		})
	}
}

// heap returns the size of the reachable heap.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// manyFunctions returns a module of n empty functions.
func manyFunctions(n int) []byte {
	bin := append([]byte(nil), preambleModule...)
	bin = appendSection(bin, sectionType, []byte{1, 0x60, 0, 0})
	bin = appendSection(bin, sectionFunction, append(appendU32(nil, uint32(n)), make([]byte, n)...))
	code := appendU32(nil, uint32(n))
	for range n {
		code = append(code, 2, 0, byte(opEnd))
	}
	return appendSection(bin, sectionCode, code)
}
