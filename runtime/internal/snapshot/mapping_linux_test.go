package snapshot

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vespo-dev/vespo/runtime/internal/slab"
)

// mappingsIn counts the lines of /proc/self/maps within the n bytes from start.
func mappingsIn(t *testing.T, start, n uint64) (count int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		_, err := fmt.Sscanf(line, "%x-%x ", &from, &to)
		require.NoError(t, err)
		if from < start+n && to > start {
			count++
		}
	}
	return count
}

// imagesHeld counts the mappings and descriptors of images and of /proc/self/pagemap in this process.
func imagesHeld(t *testing.T) (mapped, open int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	mapped = strings.Count(string(maps), "memfd:vespo-image")
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range fds {
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err != nil {
			continue // the descriptor that listed the directory
		}
		if strings.Contains(target, "memfd:vespo-image") || strings.HasSuffix(target, "/pagemap") {
			open++
		}
	}
	return mapped, open
}

func TestNothingLeaks(t *testing.T) {
	mapped, open := imagesHeld(t)
	each(t, func(t *testing.T, r *Restorer) {
		a, b := acquire(t, 4*pageBytes), acquire(t, 4*pageBytes)
		for seed := range byte(5) {
			f, g := start(t, r, a, 2, seed), start(t, r, b, 3, seed)
			f.write(0, len(a), 7, 1)
			f.reset()
			require.NoError(t, r.Map(g.im, a))
			f.finish()
			g.finish()
		}
	})
	mappedAfter, openAfter := imagesHeld(t)
	require.Equal(t, mapped, mappedAfter, "mappings of images")
	require.Equal(t, open, openAfter, "descriptors")
}

// TestMappingsStayFew guards vm.max_map_count: a mapped slot takes at most two mappings, a
// wiped one at most one, and resets add none. Wiped slots that were never written merge,
// because they have the same attributes as the slab's mapping.
func TestMappingsStayFew(t *testing.T) {
	const slots, slotBytes = 16, 4 * pageBytes
	r := openMethod(t, "pagemap_scan")
	s, err := slab.Open(slots+1, slotBytes) // one is never mapped, to merge with
	require.NoError(t, err)
	var cells [][]byte
	for range slots {
		slot, ok := s.Acquire()
		require.True(t, ok)
		defer s.Release(slot)
		cells = append(cells, slot.Bytes())
	}
	count := func() int { return mappingsIn(t, uint64(address(cells[0])), (slots+1)*slotBytes) } // slot 0 is the slab's start
	for _, written := range []bool{false, true} {
		var fixtures []*fixture
		for i, cell := range cells {
			fixtures = append(fixtures, start(t, r, cell, 1+i%3, 1))
		}
		mapped := count()
		require.LessOrEqual(t, mapped, 2*slots+1)
		if written {
			for i, f := range fixtures {
				f.write(0, slotBytes, byte(i), 1)
				f.reset()
				f.write(0, slotBytes, byte(i), 1)
				f.decommit()
			}
			require.Equal(t, mapped, count())
		}
		for _, i := range []int{3, 4, 0, 15, 9, 1, 2, 5, 14, 6, 8, 7, 10, 12, 11, 13} {
			fixtures[i].finish()
		}
		if written {
			require.LessOrEqual(t, count(), slots+1)
		} else {
			require.Equal(t, 1, count())
		}
	}
	require.NoError(t, r.Close())
}

func TestImageIsSealedAndSparse(t *testing.T) {
	r := openMethod(t, "madvise")
	hostPageBytes := unix.Getpagesize()
	mem := make([]byte, 16*pageBytes)
	mem[0], mem[9*pageBytes] = 1, 1
	im, err := r.Capture(mem)
	require.NoError(t, err)
	require.Equal(t, len(mem), im.Size())
	require.Len(t, im.golden.contents, 9*pageBytes+hostPageBytes, "zeros at the end are left out")

	var stat unix.Stat_t
	require.NoError(t, unix.Fstat(im.golden.fd, &stat))
	require.EqualValues(t, 2*hostPageBytes, stat.Blocks*512, "zero pages are holes")

	_, err = unix.Pwrite(im.golden.fd, []byte{2}, 0)
	require.ErrorIs(t, err, unix.EPERM)
	require.ErrorIs(t, unix.Ftruncate(im.golden.fd, 0), unix.EPERM)
	_, err = unix.FcntlInt(uintptr(im.golden.fd), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE)
	require.ErrorIs(t, err, unix.EPERM, "not even seals can be changed")
	require.NoError(t, im.Close())

	zero, err := r.Capture(make([]byte, pageBytes))
	require.NoError(t, err)
	require.Equal(t, -1, zero.golden.fd, "an image of zeros needs no file")
	require.NoError(t, zero.Close())
	require.NoError(t, r.Close())
}

// TestPrivateSetGrowsUntilDecommit shows the numbers on which the pool bases its decisions.
func TestPrivateSetGrowsUntilDecommit(t *testing.T) {
	r := openMethod(t, "pagemap_scan")
	hostPageBytes := unix.Getpagesize()
	f := start(t, r, acquire(t, 32*pageBytes), 20, 1)
	touch := func(pages ...int) int {
		for _, page := range pages {
			f.write(page*hostPageBytes, 1, f.cell[page*hostPageBytes]^0xff, 0)
		}
		f.touched = len(f.cell)
		return f.reset().HostPages
	}
	beyond := 20 * pageBytes / hostPageBytes
	require.Equal(t, 0, touch())
	f.read(0, len(f.cell))
	require.Equal(t, 0, touch(), "what is only read is not private")
	require.Equal(t, 3, touch(0, 1, 5))
	require.Equal(t, 3, touch(0), "pages stay private")
	require.Equal(t, 6, touch(7, beyond, beyond+9))
	f.decommit()
	require.Equal(t, 0, touch())
	require.Equal(t, 2, touch(beyond-1, beyond), "neighbours across the image's end")
	f.finish()
	require.NoError(t, r.Close())
}

// TestResetOfPagedOutMemory asks the kernel to page dirty memory out. That depends on swap,
// but the snapshot must be restored in any case.
func TestResetOfPagedOutMemory(t *testing.T) {
	for _, name := range []string{"pagemap_scan", "madvise"} {
		t.Run(name, func(t *testing.T) {
			r := openMethod(t, name)
			f := start(t, r, acquire(t, 64*pageBytes), 32, 1)
			f.write(5*pageBytes, 50*pageBytes, 0xd1, 0)
			require.NoError(t, unix.Madvise(f.cell, unix.MADV_PAGEOUT))
			t.Logf("%d host pages are swapped out", swapped(t, f.cell))
			d := f.reset()
			if name == "pagemap_scan" {
				require.Equal(t, 50*pageBytes/unix.Getpagesize(), d.HostPages)
			}
			f.finish()
			require.NoError(t, r.Close())
		})
	}
}

// swapped counts the pages of memory with the swap bit in /proc/self/pagemap.
func swapped(t *testing.T, memory []byte) (count int) {
	t.Helper()
	file, err := os.Open("/proc/self/pagemap")
	require.NoError(t, err)
	defer file.Close()
	entries := make([]byte, 8*len(memory)/unix.Getpagesize())
	_, err = file.ReadAt(entries, 8*int64(address(memory))/int64(unix.Getpagesize()))
	require.NoError(t, err)
	for ; len(entries) > 0; entries = entries[8:] {
		if binary.NativeEndian.Uint64(entries)>>62&1 == 1 {
			count++
		}
	}
	return count
}

func TestOpenChoosesTheMethod(t *testing.T) {
	r, err := Open(Options{DisableScan: true})
	require.NoError(t, err)
	require.Equal(t, "madvise", r.Method())
	require.ErrorContains(t, r.Fallback(), "disabled")
	require.NoError(t, r.Close())

	r = openMethod(t, "pagemap_scan")
	require.NoError(t, r.Fallback())
	require.NoError(t, r.Close())
	_, err = r.Reset(&Image{owner: r}, make([]byte, 2*pageBytes), 2*pageBytes, new(Scratch))
	require.ErrorIs(t, err, unix.EBADF, "a closed restorer resets nothing")
}
