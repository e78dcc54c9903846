package snapshot

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// watched runs use on one thread, and calls Faultless for the next Reset if there was no fault.
func (f *fixture) watched(use func()) (faultless bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := ThreadFaults()
	use()
	if faultless = ThreadFaults() == before; faultless {
		f.scratch.Faultless()
	}
	return faultless
}

func openWatching(t *testing.T, verify bool) *Restorer {
	t.Helper()
	r, err := Open(Options{Verify: verify})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	if !r.WatchesFaults(2 * pageBytes) {
		t.Skip("this kernel has no PAGEMAP_SCAN, or does not count faults")
	}
	return r
}

// TestFaultlessResets uses a memory like guests do, most requests the same pages, with changing sizes, and
// lets resets rely on the count of faults. Each reset must restore everything, and some must skip the scan.
func TestFaultlessResets(t *testing.T) {
	for _, verify := range []bool{false, true} {
		r := openWatching(t, verify)
		f := start(t, r, acquire(t, 8*pageBytes), 4, 7)
		random := rand.New(rand.NewPCG(3, 4))
		spared, scanned := 0, 0
		for range 600 {
			pages := 2 + random.IntN(3) // the memory's size in this request
			if random.IntN(20) == 0 {
				pages = 8
			}
			faultless := f.watched(func() {
				for range random.IntN(4) {
					at := random.IntN(3) * unix.Getpagesize()
					if random.IntN(10) == 0 {
						at = random.IntN(pages * pageBytes)
					}
					f.write(min(at, pages*pageBytes-64), 64, byte(random.Uint32()), 1)
				}
			})
			f.touched = pages * pageBytes
			if faultless && f.scratch.known {
				spared++
			} else {
				scanned++
			}
			f.reset()
			if random.IntN(100) == 0 {
				f.decommit()
				f.scratch.Forget()
			}
		}
		require.Greater(t, spared, 100)
		require.Greater(t, scanned, 20)
		f.finish()
	}
}

// TestFaultlessGrowthIntoOldPages shrinks a memory with private pages beyond the new end,
// scans the rest, and grows it again: the guest then writes to the old pages without a fault.
func TestFaultlessGrowthIntoOldPages(t *testing.T) {
	f := start(t, openWatching(t, false), acquire(t, 8*pageBytes), 2, 1)
	f.write(7*pageBytes, 10, 1, 0)
	f.touched = 8 * pageBytes
	f.reset()
	f.write(pageBytes, 10, 1, 0) // a fault, in a memory of two pages
	f.touched = 2 * pageBytes
	f.reset()
	require.True(t, f.watched(func() { f.write(7*pageBytes, 10, 2, 0) }))
	f.touched = 8 * pageBytes
	f.reset()
	f.finish()
}

// TestFaultlessAfterASmallReset makes pages private by restoring a memory of one page whole.
func TestFaultlessAfterASmallReset(t *testing.T) {
	f := start(t, openWatching(t, false), acquire(t, 4*pageBytes), 2, 1)
	f.write(pageBytes, 10, 1, 0)
	f.reset()
	require.True(t, f.watched(func() {}))
	f.touched = 2 * pageBytes
	f.reset()
	f.touched = pageBytes // now its first page is restored whole, and becomes private
	f.reset()
	require.True(t, f.watched(func() { f.write(5*unix.Getpagesize(), 10, 2, 0) }))
	f.touched = 2 * pageBytes
	f.reset()
	f.finish()
}

// TestVerifyFindsBrokenPromises calls Faultless although there was a fault.
func TestVerifyFindsBrokenPromises(t *testing.T) {
	f := start(t, openWatching(t, true), acquire(t, 4*pageBytes), 2, 1)
	f.write(pageBytes, 10, 1, 0)
	f.reset()
	f.write(3*pageBytes, 10, 1, 0)
	f.scratch.Faultless()
	_, err := f.r.Reset(f.im, f.cell, 4*pageBytes, &f.scratch)
	require.ErrorContains(t, err, "the host page at 0x30000 has become private without a fault")
	f.finish()
}
