//go:build linux

package snapshot

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapFile replaces memory, which the caller must own, by a private mapping of the beginning of the file.
func mapFile(fd int, memory []byte) error {
	return mapFixed(fd, memory, unix.MAP_PRIVATE|unix.MAP_NORESERVE)
}

// mapAnonymous replaces memory, which the caller must own, by zeroed memory.
func mapAnonymous(memory []byte) error {
	return mapFixed(-1, memory, unix.MAP_PRIVATE|unix.MAP_NORESERVE|unix.MAP_ANON)
}

func mapFixed(fd int, memory []byte, flags int) error {
	_, err := unix.MmapPtr(fd, 0, unsafe.Pointer(unsafe.SliceData(memory)), uintptr(len(memory)),
		unix.PROT_READ|unix.PROT_WRITE, flags|unix.MAP_FIXED)
	if err != nil {
		return fmt.Errorf("map %d bytes (the limit may be vm.max_map_count): %w", len(memory), err)
	}
	return nil
}
