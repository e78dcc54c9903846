package snapshot

import "unsafe"

// address returns the address of a memory outside the Go heap, or at least of one that does not move.
func address(b []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))
}
