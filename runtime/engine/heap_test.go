package engine

import (
	"context"
	goruntime "runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// liveHeap returns the size of the heap after garbage collection.
func liveHeap() int64 {
	goruntime.GC()
	goruntime.GC() // frees objects released by finalizers
	var s goruntime.MemStats
	goruntime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// TestNothingStaysOfInstancesAndModules creates and closes many of each, with different
// ends, and checks for leaks. Creating one takes microseconds to milliseconds, so there are
// thousands and not a million; the allowed rest is less than a pointer for each.
func TestNothingStaysOfInstancesAndModules(t *testing.T) {
	if testing.Short() {
		t.Skip("counts the heap over thousands of calls, which takes minutes under emulation")
	}
	e := open(t, Config{})
	m := compile(t, e, "state", stateOptions)
	first := prepare(t, m)
	ends := func(entry int, param uint64, want Kind) func() {
		return func() {
			in, out, err := m.Instantiate(t.Context(), soon(), slot(t, e))
			require.NoError(t, err)
			require.True(t, out.Clean())
			require.Equal(t, want, in.Call(context.Background(), soon(), entry, []uint64{param}).Kind)
			require.NoError(t, in.Close())
		}
	}
	for name, test := range map[string]struct {
		times int
		do    func()
	}{
		"call":           {20_000, ends(get, 1, OK)},
		"trap":           {20_000, ends(trap, 0, Trap)},
		"memory":         {500, ends(scramble, 15, OK)},
		"stack":          {300, ends(deep, 1<<40, StackOverflow)},
		"one instance":   {100_000, func() { call(t, first, get, 1) }},
		"reset":          {20_000, func() { call(t, first, scramble, 3); _, err := first.Reset(); require.NoError(t, err) }},
		"module":         {500, func() { closeCompiled(t, e, "state", stateOptions, "") }},
		"outside memory": {500, func() { closeCompiled(t, e, "outofbounds", ModuleOptions{}, "cannot be instantiated") }},
		"invalid module": {500, func() {
			_, err := e.Compile(t.Context(), decoded(t, []byte("\x00asm\x01\x00\x00\x00")), ModuleOptions{})
			require.Error(t, err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 10 { // fill buffers that are reused
				test.do()
			}
			before := liveHeap()
			for range test.times {
				test.do()
			}
			require.Less(t, liveHeap()-before, int64(max(8*test.times, 32<<10)))
		})
	}
}

func closeCompiled(t *testing.T, e *Engine, name string, o ModuleOptions, want string) {
	m, err := e.Compile(t.Context(), decoded(t, guest(t, name)), o)
	require.NoError(t, err)
	in, err := m.Prepare(t.Context(), slot(t, e))
	if want != "" {
		require.ErrorContains(t, err, want)
	} else {
		require.NoError(t, err)
		require.NoError(t, in.Close())
	}
	require.NoError(t, m.Close(t.Context()))
}
