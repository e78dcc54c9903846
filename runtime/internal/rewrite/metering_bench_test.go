package rewrite

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/api"
)

// benchSlice is a refill of a few hundred microseconds.
const benchSlice = 50_000

// benchPair measures a call plain and rewritten in turn and
// reports the best of each. "x-plain" is the cost of all passes.
func benchPair(b *testing.B, plain, rewritten api.Module, name string, args ...uint64) {
	ctx := context.Background()
	best := [2]time.Duration{1 << 62, 1 << 62}
	functions := [2]api.Function{plain.ExportedFunction(name), rewritten.ExportedFunction(name)}
	stack := make([]uint64, 8)
	for b.Loop() {
		for i, f := range functions {
			copy(stack, args)
			start := time.Now()
			if err := f.CallWithStack(ctx, stack); err != nil {
				b.Fatal(err)
			}
			best[i] = min(best[i], time.Since(start))
		}
	}
	b.ReportMetric(float64(best[1])/float64(best[0]), "x-plain")
	b.ReportMetric(float64(best[0].Nanoseconds()), "plain-ns")
	b.ReportMetric(0, "ns/op") // ns/op mixes both, so it is meaningless
}

func benchModules(b *testing.B, bin []byte) (plain, rewritten api.Module) {
	h, o := newTestHost(b), options()
	h.slice, o.FuelSlice, o.StackBytes = benchSlice, benchSlice, guestStackBytes
	rewritten, _ = h.load(b, bin, o)
	return h.instantiate(b, bin), rewritten
}

// BenchmarkMeteringGo measures real work of a Go guest. Each run has instances of its own: after some hundred calls that allocate 1 MB, a
// Go guest does not end a collection any more, and runs out of memory, rewritten or not.
func BenchmarkMeteringGo(b *testing.B) {
	bin := buildGuest(b, "work")
	for kind, name := range []string{"json", "sort", "regexp", "sha256", "sieve"} {
		b.Run(name, func(b *testing.B) {
			plain, rewritten := benchModules(b, bin)
			benchPair(b, plain, rewritten, "work", uint64(kind))
		})
	}
}

// BenchmarkMeteringTight measures code that does little between checks.
func BenchmarkMeteringTight(b *testing.B) {
	plain, rewritten := benchModules(b, readModule(b, "tight.wasm"))
	b.Run("store", func(b *testing.B) { benchPair(b, plain, rewritten, "store", 1_000_000) })
	b.Run("add", func(b *testing.B) { benchPair(b, plain, rewritten, "add", 1_000_000) })
	b.Run("fib", func(b *testing.B) { benchPair(b, plain, rewritten, "fib", 24) })
	b.Run("indirect", func(b *testing.B) { benchPair(b, plain, rewritten, "indirect", 1_000_000) })
}

// BenchmarkRewrite measures the rewriting itself.
func BenchmarkRewrite(b *testing.B) {
	bin := buildGuest(b, "work")
	b.SetBytes(int64(len(bin)))
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		out, _, err := Rewrite(bin, options())
		require.NoError(b, err)
		size = len(out)
	}
	b.ReportMetric(float64(size)/float64(len(bin)), "x-size")
}
