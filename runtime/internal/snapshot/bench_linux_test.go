package snapshot

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchmarkReset dirties pages spread evenly over an image and resets the cell. The writes are timed as
// well, because with madvise they include the deferred part of a reset (the faults of the next request).
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
	cell := acquire(b, 16<<20)
	im := mapFull(b, r, cell, imageBytes)
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
}

// BenchmarkResident measures the scan of a 2.3 MiB image by the number of host pages read by a guest:
// each present host page must be distinguished from a private one, while others cost next to nothing.
func BenchmarkResident(b *testing.B) {
	const imageBytes, dirty = 37 * pageBytes, 6
	r, err := Open(Options{})
	require.NoError(b, err)
	for _, read := range []int{0, 64, 256, imageBytes / 4096} {
		b.Run(fmt.Sprintf("read=%d", read), func(b *testing.B) {
			cell := acquire(b, imageBytes)
			im := mapFull(b, r, cell, imageBytes)
			require.NoError(b, r.Decommit(im, cell))
			require.Equal(b, read*4096, bytes.Count(cell[:read*4096], []byte{1}))
			var sc Scratch
			for b.Loop() {
				for i := range dirty {
					cell[i*4096]++
				}
				if _, err := r.Reset(im, cell, imageBytes, &sc); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, r.Wipe(cell))
			require.NoError(b, im.Close())
		})
	}
	require.NoError(b, r.Close())
}

// mapFull maps an image without zero pages over cell, and reads it, as a warm guest would have.
func mapFull(b *testing.B, r *Restorer, cell []byte, imageBytes int) *Image {
	mem := bytes.Repeat([]byte{1}, imageBytes)
	im, err := r.Capture(mem)
	require.NoError(b, err)
	require.NoError(b, r.Map(im, cell))
	require.Equal(b, mem, cell[:imageBytes])
	return im
}

// BenchmarkSmall compares a scan with restoring the whole memory, for memories of one to
// four pages that are entirely image or have one host page of it; two host pages are dirty.
// The value of wholeBytes is based on it.
func BenchmarkSmall(b *testing.B) {
	kernel, err := openPagemap()
	require.NoError(b, err)
	m := scanMethod{mappings: mappings{hostPageBytes: unix.Getpagesize()}, pagemap: kernel}
	r := newRestorer(m, nil)
	for _, pages := range []int{1, 2, 4} {
		for _, imageBytes := range []int{4096, pages * pageBytes} {
			cell := acquire(b, pages*pageBytes)
			g, err := m.capture(piecesOf(bytes.Repeat([]byte{1}, imageBytes)))
			require.NoError(b, err)
			for name, reset := range map[string]func(sc *Scratch) (int, error){
				"scan":  func(sc *Scratch) (int, error) { return m.scan(&g, cell, len(cell), sc) },
				"whole": func(*Scratch) (int, error) { return rewrite(g.contents, cell, len(cell)), nil },
			} {
				b.Run(fmt.Sprintf("memory=%dKiB/image=%dKiB/%s", len(cell)>>10, imageBytes>>10, name), func(b *testing.B) {
					require.NoError(b, m.mapOver(&golden{fd: -1}, &g, cell, len(cell)))
					var sc Scratch
					for b.Loop() {
						cell[0]++
						cell[len(cell)-1]++
						if _, err := reset(&sc); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			require.NoError(b, m.wipe(cell))
			require.NoError(b, m.discard(&g))
		}
	}
	require.NoError(b, r.Close())
}
