//go:build !linux

package slab

// reservation reserves nothing on systems other than Linux. Each slot is Go memory, allocated
// when the slot is first acquired and kept as long as the slab. The limit is the same, but an
// allocation refused by the system is fatal, as for all Go memory, and slots count as live heap.
type reservation struct{}

func reserve(int, int) (reservation, error) { return reservation{}, nil }

// slot allocates a slot. Allocations of this size are zeroed by the system, page by
// page when they are touched.
func (reservation) slot(_, slotBytes int) []byte { return make([]byte, slotBytes) }

func (reservation) close() error { return nil }
