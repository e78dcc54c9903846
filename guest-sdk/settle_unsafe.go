//go:build wasip1 && !tinygo

package guest

import "unsafe"

// lastPage reports whether an object is in the last host page of its span. Spans are aligned to their size.
func lastPage(object []*byte) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(object)))%spanBytes >= spanBytes-hostPageBytes
}
