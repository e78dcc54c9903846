package slab_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vespo-dev/vespo/runtime/internal/slab"
)

// mappingsIn counts the lines of /proc/self/maps within b, and returns their kernel flags from smaps.
func mappingsIn(t *testing.T, b []byte) (count int, flags []string) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	var from, to uintptr
	start := addressOf(b)
	inside := false
	for line := range strings.Lines(string(smaps)) {
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			if inside = from < start+uintptr(len(b)) && to > start; inside {
				count++
			}
		}
		if vm, ok := strings.CutPrefix(line, "VmFlags:"); ok && inside {
			flags = append(flags, strings.Fields(vm)...)
		}
	}
	return count, flags
}

func addressOf(b []byte) (a uintptr) {
	_, err := fmt.Sscanf(fmt.Sprintf("%p", b), "0x%x", &a)
	if err != nil {
		panic(err)
	}
	return a
}

// tellsOfHugePages reports whether smaps shows MADV_NOHUGEPAGE. Kernels without huge pages
// and QEMU's user mode do not.
func tellsOfHugePages(t *testing.T) bool {
	t.Helper()
	probe, err := unix.Mmap(-1, 0, 64<<10, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(probe)) }()
	if err := unix.Madvise(probe, unix.MADV_NOHUGEPAGE); err != nil {
		return false
	}
	_, flags := mappingsIn(t, probe)
	return slices.Contains(flags, "nh")
}

func TestReservationIsOneMappingWithoutHugePages(t *testing.T) {
	const slots, slotBytes = 64, 16 << 20
	s := open(t, slots, slotBytes)
	first := acquire(t, s)
	count, flags := mappingsIn(t, first.Bytes())
	require.Equal(t, 1, count)
	require.Contains(t, flags, "nr", "no swap is set aside")
	if tellsOfHugePages(t) {
		require.Contains(t, flags, "nh", "no huge pages")
	}
	s.Release(first)
	require.NoError(t, s.Close())
	_, flags = mappingsIn(t, first.Bytes())
	require.NotContains(t, flags, "nr", "the reservation is given back")
}

func TestOpenExplainsARefusedReservation(t *testing.T) {
	_, err := slab.Open(1<<20, slab.MaxSlotBytes) // 4 PiB: more than any amd64 or arm64 process can map by default
	require.ErrorContains(t, err, "fewer or smaller slots may fit")
}
