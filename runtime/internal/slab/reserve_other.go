//go:build !linux

package slab

// reservation is a promise only: away from Linux each slot is Go memory of its own, made when the slot is first acquired
// and kept for as long as the slab. The ceiling is the same, but nothing is reserved at start, an allocation that the
// system refuses is fatal as every Go allocation is, and the collector counts slots as live heap.
type reservation struct{}

func reserve(int, int) (reservation, error) { return reservation{}, nil }

// slot allocates. A fresh allocation of this size comes zeroed from the system, page by page when it is touched.
func (reservation) slot(_, slotBytes int) []byte { return make([]byte, slotBytes) }

func (reservation) close() error { return nil }
