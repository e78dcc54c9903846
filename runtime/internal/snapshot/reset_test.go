package snapshot

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/internal/slab"
)

const (
	maxImagePages = 5
	cellPages     = 8
)

// acquire returns a cell of its own slab. It must be wiped by the end of the test.
func acquire(t testing.TB, cellBytes int) []byte {
	t.Helper()
	s, err := slab.Open(1, int64(cellBytes))
	require.NoError(t, err)
	slot, ok := s.Acquire()
	require.True(t, ok)
	t.Cleanup(func() {
		s.Release(slot)
		require.NoError(t, s.Close())
	})
	return slot.Bytes()
}

// fixture is a cell of a restorer, with its expected contents.
type fixture struct {
	t       testing.TB
	r       *Restorer
	im      *Image
	cell    []byte
	want    []byte // the snapshot: image and zeros
	touched int    // end of the range written since the last reset
	scratch Scratch
	sum     byte // of all bytes read; keeps reads from being removed
}

// start captures an image whose pages are random or, one in three, zero; and maps it.
func start(t testing.TB, r *Restorer, cell []byte, imagePages int, seed byte) *fixture {
	t.Helper()
	f := &fixture{t: t, r: r, cell: cell, want: make([]byte, len(cell))}
	random := rand.New(rand.NewPCG(uint64(seed), uint64(imagePages)))
	const granule = 4096 // the smallest host page
	for from := 0; from < imagePages*pageBytes; from += granule {
		if random.IntN(3) > 0 {
			for i := range granule {
				f.want[from+i] = byte(random.Uint32())
			}
		}
	}
	var err error
	f.im, err = r.Capture(f.want[:imagePages*pageBytes])
	require.NoError(t, err)
	require.Equal(t, imagePages*pageBytes, f.im.Size())
	f.remap()
	return f
}

func (f *fixture) remap() {
	require.NoError(f.t, f.r.Map(f.im, f.cell))
	f.same("after Map")
	f.touched = 0
}

func (f *fixture) same(when string) {
	f.t.Helper()
	if bytes.Equal(f.cell, f.want) {
		return
	}
	for i := range f.want {
		if f.cell[i] != f.want[i] {
			require.FailNow(f.t, "the cell does not show the snapshot", "%s: byte %#x is %#x, want %#x (%s, image of %#x bytes)",
				when, i, f.cell[i], f.want[i], f.r.Method(), f.im.Size())
		}
	}
}

func (f *fixture) reset() Dirty {
	f.t.Helper()
	d, err := f.r.Reset(f.im, f.cell, f.touched, &f.scratch)
	require.NoError(f.t, err)
	f.same("after Reset")
	f.touched = 0
	return d
}

func (f *fixture) decommit() {
	f.t.Helper()
	require.NoError(f.t, f.r.Decommit(f.im, f.cell))
	f.same("after Decommit")
	f.touched = 0
}

// write writes n bytes at an offset; they have one value, often 0, or count up.
func (f *fixture) write(offset, n int, value byte, step byte) {
	end := min(offset+n, len(f.cell))
	for i := offset; i < end; i++ {
		f.cell[i] = value
		value += step
	}
	f.touched = max(f.touched, end)
}

func (f *fixture) read(offset, n int) {
	for _, b := range f.cell[offset:min(offset+n, len(f.cell))] {
		f.sum += b
	}
}

// finish wipes the cell and closes the image.
func (f *fixture) finish() {
	f.t.Helper()
	require.NoError(f.t, f.r.Wipe(f.cell))
	require.True(f.t, isZero(f.cell), "a wiped cell is zero")
	require.NoError(f.t, f.im.Close())
}

// run checks the property that a reset restores the snapshot after any sequence of operations.
// The program's first bytes choose the image, and each following five an operation.
func run(t testing.TB, r *Restorer, cell []byte, program []byte) {
	t.Helper()
	next := func() (b byte) {
		if len(program) > 0 {
			b, program = program[0], program[1:]
		}
		return b
	}
	f := start(t, r, cell, int(next())%(maxImagePages+1), next())
	defer f.finish()
	for len(program) > 0 {
		op, offset, n, value := next(), int(next())<<8|int(next()), int(next()), next()
		offset = offset * len(cell) >> 16
		switch op % 8 {
		case 0, 1:
			f.write(offset, n+1, value, op)
		case 2: // across host pages
			f.write(offset, n*200, value, 0)
		case 3:
			f.write(offset, n*40, 0, 0)
		case 4:
			f.read(offset, n*100)
		case 5: // across the image's end
			f.write(max(f.im.Size()-n, 0), 2*n, value, 1)
		case 6:
			f.reset()
		case 7:
			f.rare(value)
		}
	}
	f.reset()
}

func (f *fixture) rare(choice byte) {
	switch choice % 4 {
	case 0:
		f.decommit()
	case 1:
		require.NoError(f.t, f.r.Wipe(f.cell))
		require.True(f.t, isZero(f.cell), "a wiped cell is zero")
		f.remap()
	case 2:
		f.remap()
	case 3: // the reset covers more than was written
		f.touched = len(f.cell)
		f.reset()
	}
}

// each runs a test with every method available on this system.
func each(t *testing.T, test func(t *testing.T, r *Restorer)) {
	for _, name := range methodNames {
		t.Run(name, func(t *testing.T) {
			r := openMethod(t, name)
			require.Equal(t, name, r.Method())
			test(t, r)
			require.NoError(t, r.Close())
		})
	}
}

func TestResetAfterRandomPrograms(t *testing.T) {
	each(t, func(t *testing.T, r *Restorer) {
		cell := acquire(t, cellPages*pageBytes)
		for seed := range uint64(40) {
			random := rand.New(rand.NewPCG(seed, 0))
			program := make([]byte, 2+5*random.IntN(80))
			for i := range program {
				program[i] = byte(random.Uint32())
			}
			t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { run(t, r, cell, program) })
		}
	})
}

func FuzzReset(f *testing.F) {
	f.Add([]byte{3, 1})                                                       // nothing is written
	f.Add([]byte{0, 1, 0, 200, 0, 9, 9})                                      // no image at all
	f.Add([]byte{2, 7, 4, 0, 0, 255, 0, 3, 0, 0, 255, 0})                     // read, then zeros over the same range
	f.Add([]byte{1, 9, 5, 0, 0, 100, 5, 6, 0, 0, 0, 0, 5, 0, 0, 100, 0})      // twice across the image's end
	f.Add([]byte{5, 3, 2, 0, 0, 255, 1, 7, 0, 0, 0, 0, 2, 128, 0, 255, 1})    // decommit between writes
	f.Add([]byte{4, 4, 0, 255, 255, 0, 1, 7, 0, 0, 0, 1, 0, 255, 255, 0, 1})  // the last byte; wipe and map again
	f.Add([]byte{5, 5, 4, 250, 0, 255, 0, 2, 250, 0, 3, 0, 7, 0, 0, 0, 3, 6}) // zero pages read and written
	f.Fuzz(func(t *testing.T, program []byte) {
		for _, name := range methodNames {
			r := openMethod(t, name)
			run(t, r, acquire(t, cellPages*pageBytes), program)
			require.NoError(t, r.Close())
		}
	})
}

// TestTouchedBytes writes up to sizes that are not multiples of a host page.
func TestTouchedBytes(t *testing.T) {
	each(t, func(t *testing.T, r *Restorer) {
		cell := acquire(t, cellPages*pageBytes)
		f := start(t, r, cell, 3, 1)
		for _, touched := range []int{0, 1, 4095, 4096, 4097, pageBytes - 1, pageBytes, pageBytes + 1, 3*pageBytes - 1,
			3 * pageBytes, 3*pageBytes + 1, 3*pageBytes + 4097, cellPages*pageBytes - 1, cellPages * pageBytes} {
			f.write(0, touched, 0xa5, 1)
			f.reset()
		}
		f.finish()
	})
}

// TestCellsAreIsolated resets, decommits and maps many cells of two images concurrently.
func TestCellsAreIsolated(t *testing.T) {
	const cells, rounds = 8, 25
	each(t, func(t *testing.T, r *Restorer) {
		s, err := slab.Open(cells, cellPages*pageBytes)
		require.NoError(t, err)
		t.Run("cells", func(t *testing.T) {
			for i := range cells {
				slot, ok := s.Acquire()
				require.True(t, ok)
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					t.Parallel()
					defer s.Release(slot)
					hammer(start(t, r, slot.Bytes(), i%2+2, byte(i%2)), rounds, uint64(i))
				})
			}
		})
		require.NoError(t, s.Close())
	})
}

func hammer(f *fixture, rounds int, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	for range rounds {
		for range random.IntN(20) {
			f.write(random.IntN(len(f.cell)), random.IntN(3*pageBytes/2), byte(random.Uint32()), 1)
		}
		if random.IntN(4) > 0 {
			f.reset()
		} else {
			f.rare(byte(random.Uint32()))
		}
	}
	f.reset()
	f.finish()
}

func TestResetAllocatesNothing(t *testing.T) {
	each(t, func(t *testing.T, r *Restorer) {
		f := start(t, r, acquire(t, 4*pageBytes), 2, 1)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			f.cell[pageBytes]++
			if _, err := r.Reset(f.im, f.cell, len(f.cell), &f.scratch); err != nil {
				t.Error(err)
			}
		}))
		f.finish()
	})
}
