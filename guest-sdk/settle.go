//go:build wasip1 && !tinygo

package guest

import (
	"runtime"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// Sizes of settle.
const (
	freeBytes    = 256 << 10 // memory that requests get without growing the heap
	maxSizeClass = 1 << 10   // larger objects are rare in small requests

	spanBytes     = 8 << 10 // of classes up to maxBitmapSize
	maxBitmapSize = 512
	hostPageBytes = 4 << 10
)

// settled keeps the compiler from removing allocations.
var settled struct {
	bytes    []byte
	pointers []*byte
}

// beforeSnapshot is called by the host once, before it takes the snapshot that all requests start from.
//
//go:wasmexport vespo_snapshot
func beforeSnapshot() { settle() }

// settle does once what the Go runtime would do again in each request: it grows the heap, collects the garbage of the
// initialisation, and gets a span for each class of small objects. A request then writes to fewer memory pages, and is
// further from a collection of its own.
func settle() {
	for _, f := range abi.Settle {
		f()
	}
	settled.bytes = make([]byte, freeBytes)
	settled.bytes = nil
	runtime.GC()
	for size := 8; size <= maxSizeClass; size += step(size) {
		settled.bytes = make([]byte, size)
		takeSpan(size)
	}
	settled.bytes, settled.pointers = nil, nil
	for _, f := range abi.Settle {
		f() // the collection has emptied pools
	}
}

// takeSpan gets a span for objects with pointers. For small ones, the runtime keeps a bitmap in the last bytes of the span. It takes
// objects until the next one is in the same page of the host as the bitmap: a request writes to one page then instead of two.
func takeSpan(size int) {
	for range 2 * spanBytes / size {
		settled.pointers = make([]*byte, size/8)
		if size > maxBitmapSize || lastPage(settled.pointers) {
			return
		}
	}
}

// step returns the least distance of the runtime's size classes above size.
func step(size int) int {
	switch {
	case size < 32:
		return 8
	case size < 256:
		return 16
	case size < 512:
		return 32
	}
	return 64
}
