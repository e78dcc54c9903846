package snapshot

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vespo-dev/vespo/runtime/internal/slab"
)

// BenchmarkReset dirties pages spread evenly over an image and resets the cell: the writes are part of what is timed, as
// with madvise they are what a reset defers (the faults of the next request).
func BenchmarkReset(b *testing.B) {
	for _, image := range []struct {
		name  string
		bytes int
	}{{"64KiB", 64 << 10}, {"128KiB", 128 << 10}, {"2.3MiB", 37 << 16}, {"4.3MiB", 69 << 16}, {"16MiB", 16 << 20}} {
		for _, dirty := range []int{0, 1, 2, 6, 16, 110} {
			if dirty*unix.Getpagesize() > image.bytes {
				continue
			}
			for _, o := range []Options{{}, {DisableScan: true}} {
				r, err := Open(o)
				require.NoError(b, err)
				b.Run(fmt.Sprintf("image=%s/dirty=%d/method=%s", image.name, dirty, r.Method()), func(b *testing.B) {
					benchmarkReset(b, r, image.bytes, dirty)
				})
				require.NoError(b, r.Close())
			}
		}
	}
}

func benchmarkReset(b *testing.B, r *Restorer, imageBytes, dirty int) {
	s, err := slab.Open(1, 16<<20)
	require.NoError(b, err)
	slot, _ := s.Acquire()
	cell := slot.Bytes()
	for i := range imageBytes {
		cell[i] = byte(i>>12) | 1
	}
	im, err := r.Capture(cell[:imageBytes])
	require.NoError(b, err)
	require.NoError(b, r.Map(im, cell))
	var sum byte
	for i := 0; i < imageBytes; i += 4096 { // a warm guest has read its image
		sum += cell[i]
	}
	require.NotZero(b, len(cell)+int(sum))
	stride, total := 0, 0
	if dirty > 0 {
		stride = imageBytes / dirty &^ 4095
	}
	var sc Scratch
	b.ReportAllocs()
	for b.Loop() {
		for i := range dirty {
			cell[i*stride]++
		}
		d, err := r.Reset(im, cell, imageBytes, &sc)
		if err != nil {
			b.Fatal(err)
		}
		total += d.HostPages
	}
	b.ReportMetric(float64(total)/float64(b.N), "pages/op")
	require.NoError(b, r.Wipe(cell))
	require.NoError(b, im.Close())
	s.Release(slot)
	require.NoError(b, s.Close())
}
