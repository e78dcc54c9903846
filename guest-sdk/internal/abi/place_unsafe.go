package abi

import "unsafe"

const (
	hostPageBytes = 4 << 10  // of most hosts
	scratchBytes  = 2 << 10  // up to half a page
	textsBytes    = 512      // enough for the texts of a small request
	placeBytes    = 10 << 10 // what Place can return
)

// block is the memory that every request writes, without pointers. The host pays for the pages that a request has written,
// and a short one writes to the first of these pages alone.
type block struct {
	scratch [scratchBytes]byte
	used    int64 // bytes of texts
	texts   [textsBytes]byte
	place   [placeBytes]byte
}

// memory is statically allocated, with room to align a block to a page of the host.
var memory [hostPageBytes + unsafe.Sizeof(block{})]byte

var (
	static = (*block)(unsafe.Pointer(&memory[-uintptr(unsafe.Pointer(&memory))%hostPageBytes]))
	// scratch is the buffer for short values. It is shared, because a guest serves one request at a time.
	scratch = static.scratch[:]
)

// Place returns static memory for the state of a request: up to placeBytes without pointers. There is one place.
func Place(size uintptr) unsafe.Pointer {
	if size > placeBytes {
		panic("abi: the state of a request is too large")
	}
	return unsafe.Pointer(&static.place)
}

// text returns a copy of b. The first ones take static memory, which is never used again: a text stays as it is, on hosts that
// restore the guest after each request, and on others. Memory of the heap would cost three more pages.
func text(b []byte) string {
	free := static.texts[static.used:]
	if len(b) == 0 || len(b) > len(free) {
		return string(b)
	}
	static.used += int64(copy(free, b))
	return unsafe.String(&free[0], len(b))
}

// stringsCount is enough for the fields of a small request and of the response to a call.
const stringsCount = 128

// taken are the strings of static memory that are in use. Like that of texts, it is never used again.
var taken struct {
	count   int
	strings [stringsCount]string
}

// Strings returns n empty strings. The first ones take static memory.
func Strings(n int) []string {
	free := taken.strings[taken.count:]
	if n > len(free) {
		return make([]string, n)
	}
	taken.count += n
	return free[:n:n]
}

// pairs returns an even number of strings as pairs, without a copy.
func pairs(list []string) [][2]string {
	if len(list) == 0 {
		return nil // its array may be smaller than a pair
	}
	return unsafe.Slice((*[2]string)(unsafe.Pointer(unsafe.SliceData(list))), len(list)/2)
}
