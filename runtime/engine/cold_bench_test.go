package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// BenchmarkCold measures the first instance of a module whose code was evicted: its code and its state come from the disk.
func BenchmarkCold(b *testing.B) {
	for _, g := range benchGuests {
		b.Run(g.name, func(b *testing.B) { benchCold(b, g.module(b)) })
	}
}

func benchCold(b *testing.B, module []byte) {
	ctx := b.Context()
	e, err := engine.Open(ctx, engine.Config{
		Slots:         1,
		CacheDir:      b.TempDir(),
		Build:         "bench",
		KeepSnapshots: true,
		HostModules:   benchModules(),
	})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, e.Close(ctx)) })
	first, err := e.Decode(module)
	require.NoError(b, err)
	reference := first.Reference()
	cycle := func() (decode, compile, prepare time.Duration) {
		began := time.Now()
		d, err := e.Recall(b.Context(), reference, func() ([]byte, error) { return module, nil })
		require.NoError(b, err)
		decoded := time.Now()
		m, err := e.Compile(ctx, d, engine.ModuleOptions{Inputs: [32]byte{1}, Init: abi.WASIInit(d.Info()), Entries: []string{"handle_request"}, Bind: bindBench})
		require.NoError(b, err)
		compiled := time.Now()
		slot, ok := e.AcquireSlot()
		require.True(b, ok)
		in, err := m.Prepare(ctx, slot)
		require.NoError(b, err)
		done := time.Now()
		b.StopTimer()
		require.NoError(b, in.Close())
		require.NoError(b, m.Close(ctx))
		b.StartTimer()
		return decoded.Sub(began), compiled.Sub(decoded), done.Sub(compiled)
	}
	cycle()
	least := [3]time.Duration{time.Hour, time.Hour, time.Hour}
	for b.Loop() {
		d, c, p := cycle()
		least = [3]time.Duration{min(least[0], d), min(least[1], c), min(least[2], p)}
	}
	b.ReportMetric(least[0].Seconds()*1000, "decode-ms")
	b.ReportMetric(least[1].Seconds()*1000, "compile-ms")
	b.ReportMetric(least[2].Seconds()*1000, "prepare-ms")
}
