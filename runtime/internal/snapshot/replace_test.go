package snapshot

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// images captures images of some sizes below and above that of copied ones. The fixtures share a cell, which shows none yet.
func images(t *testing.T, r *Restorer, cell []byte) (all []*fixture) {
	for pages := range maxImagePages {
		f := start(t, r, cell, pages, byte(pages+1))
		all = append(all, f)
	}
	small := start(t, r, cell, 0, 1)
	require.NoError(t, small.im.Close())
	for i := range 3 * 4096 { // with fewer host pages than a page has
		small.want[i] = byte(i%251 + 1)
	}
	var err error
	small.im, err = r.Capture(small.want[:2*pageBytes])
	require.NoError(t, err)
	require.NoError(t, r.Wipe(cell))
	return append(all, small)
}

// TestReplace has users of one cell follow each other. Each finds its own image, although only the bytes that were written
// since the cell was mapped are announced, and although the last user has not reset what it has written.
func TestReplace(t *testing.T) {
	each(t, func(t *testing.T, r *Restorer) {
		cell := acquire(t, cellPages*pageBytes)
		all := images(t, r, cell)
		random := rand.New(rand.NewPCG(1, 2))
		written := 0 // since the cell was mapped or wiped
		for range 400 {
			f := all[random.IntN(len(all))]
			require.NoError(t, r.Replace(f.im, cell, written))
			f.same("after Replace")
			f.scratch.Forget()
			f.touched, written = 0, 0
			for range random.IntN(4) {
				from := random.IntN(len(cell)) >> random.IntN(8)
				f.write(from, random.IntN(2*pageBytes), byte(random.Uint32()), byte(random.IntN(2)))
				f.read(random.IntN(len(cell)), pageBytes)
				written = max(written, f.touched)
				switch random.IntN(8) {
				case 0:
					f.scratch.Forget()
					f.decommit()
				case 1:
					require.NoError(t, r.Wipe(cell))
					require.True(t, isZero(cell), "a wiped cell is zero")
					written = 0
					f.scratch.Forget()
					f.remap()
				case 2, 3, 4:
					f.reset()
				}
			}
		}
		require.NoError(t, r.Wipe(cell))
		for _, f := range all {
			require.NoError(t, f.im.Close())
		}
	})
}

func TestReplaceOfUntouchedImages(t *testing.T) {
	each(t, func(t *testing.T, r *Restorer) {
		cell := acquire(t, cellPages*pageBytes)
		all := images(t, r, cell)
		for _, f := range all {
			for _, g := range all {
				require.NoError(t, r.Replace(f.im, cell, 0))
				f.same("after Replace")
				require.NoError(t, r.Replace(g.im, cell, 0))
				g.same("over an image that nobody has written to")
			}
		}
		require.NoError(t, r.Wipe(cell))
		for _, f := range all {
			require.NoError(t, f.im.Close())
		}
	})
}

// halfMapped is a method whose mapOver fails at its end.
type halfMapped struct {
	method
	fails bool
}

func (m *halfMapped) mapOver(before, g *golden, cell []byte, touchedBytes int) error {
	if err := m.method.mapOver(before, g, cell, touchedBytes); err != nil || !m.fails {
		return err
	}
	return errFault
}

// TestReplaceAfterAFailure maps an image over a cell that shows another one than the last that was mapped without an error.
func TestReplaceAfterAFailure(t *testing.T) {
	each(t, func(t *testing.T, r *Restorer) {
		cell := acquire(t, cellPages*pageBytes)
		all := images(t, r, cell)
		m := &halfMapped{method: r.method}
		r.method = m
		for _, f := range all {
			for _, failed := range all {
				for _, g := range all {
					require.NoError(t, r.Replace(f.im, cell, 0))
					m.fails = true
					require.ErrorIs(t, r.Replace(failed.im, cell, 0), errFault)
					m.fails = false
					require.NoError(t, r.Replace(g.im, cell, 0))
					g.same("after a failure")
				}
			}
		}
		require.NoError(t, r.Wipe(cell))
		for _, f := range all {
			require.NoError(t, f.im.Close())
		}
	})
}
