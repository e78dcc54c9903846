package slab

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// reservation is one anonymous mapping over all slots.
type reservation struct {
	all []byte
}

// reserve maps slots*slotBytes without committing memory. MAP_NORESERVE avoids
// reserving swap. Huge pages are disabled: otherwise a single byte written by a guest
// would make 2 MiB resident, which the next reset would have to clear.
func reserve(slots, slotBytes int) (reservation, error) {
	all, err := unix.Mmap(-1, 0, slots*slotBytes, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return reservation{}, fmt.Errorf("slab: cannot reserve %d slots of %d bytes (fewer or smaller slots may fit; "+
			"limits on address space or strict overcommit forbid reservations larger than the memory): %w", slots, slotBytes, err)
	}
	// EINVAL: the kernel has no transparent huge pages.
	if err := unix.Madvise(all, unix.MADV_NOHUGEPAGE); err != nil && !errors.Is(err, unix.EINVAL) {
		return reservation{}, errors.Join(fmt.Errorf("slab: cannot keep huge pages off: %w", err), unix.Munmap(all))
	}
	return reservation{all: all}, nil
}

func (r reservation) slot(i, slotBytes int) []byte {
	return r.all[i*slotBytes : (i+1)*slotBytes : (i+1)*slotBytes]
}

func (r reservation) close() error {
	if err := unix.Munmap(r.all); err != nil {
		return fmt.Errorf("slab: cannot give the reservation back: %w", err)
	}
	return nil
}
