package snapshot

import "unsafe"

// address returns where a memory outside the Go heap, or at least one that does not move, begins.
func address(b []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))
}
