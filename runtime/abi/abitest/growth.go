package abitest

import (
	"runtime"

	"github.com/vespo-dev/vespo/runtime/engine"
)

const (
	// growthUses is the number of uses of each function; some take
	// microseconds. Keeping one word per call adds up to 800 KB.
	growthUses = 100_000
	// growthBytes is the memory that a function may keep in total, such as a header of the maximal size.
	growthBytes = 600 << 10
)

// NothingGrows uses each host function many times within one call of a guest, and fails
// the test if host memory grows. uses has one use by function name; run runs code as a
// guest. A use that ends the guest, by a panic, is the last one of its function.
func NothingGrows(tb TB, functions []engine.HostFunc, uses map[string]func(), run func(code func())) {
	tb.Helper()
	for _, f := range functions {
		use, ok := uses[f.Name]
		if !ok {
			tb.Fatalf("no use of the host function %s is known", f.Name)
		}
		run(func() {
			before := liveHeap()
			n := useOften(use)
			if grown := liveHeap() - before; grown > growthBytes {
				tb.Fatalf("%s: the host keeps %d bytes after %d uses", f.Name, grown, n)
			}
		})
	}
}

func useOften(use func()) (n int) {
	defer func() {
		_ = recover() // the use ended the guest
	}()
	for n = range growthUses {
		use()
	}
	return n
}

// liveHeap returns the bytes of reachable heap.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // the second one frees objects released by finalizers
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
