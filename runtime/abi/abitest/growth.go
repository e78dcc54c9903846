package abitest

import (
	"runtime"

	"github.com/vespo-dev/vespo/runtime/engine"
)

const (
	// growthUses is how often a function is used: some take microseconds. One that kept a word for each call would keep 800 KB.
	growthUses = 100_000
	// growthBytes is what a function may keep however often it is called: a header at its bound, say.
	growthBytes = 600 << 10
)

// NothingGrows has a guest use each of the functions over and over within one call, and fails the test for those that make the host
// keep memory. uses has for each function what one use is; run runs code as a guest's. A use that ends the guest, by a panic, is the last.
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
		_ = recover() // the guest is ended: what it could do is done
	}()
	for n = range growthUses {
		use()
	}
	return n
}

// liveHeap is what the collector cannot free.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // frees what finalizers let go
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
