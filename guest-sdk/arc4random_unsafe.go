//go:build tinygo

package guest

import (
	"unsafe"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// TinyGo's crypto/rand and its runtime draw from arc4random of wasi-libc: a generator in the guest's memory that is seeded
// once, so that a snapshot makes it repeat itself in every request. The functions below take its place: the linker takes no
// symbol from a library that the program defines. They draw from the host and keep nothing.

// arc4randomBuf fills size bytes at buf.
//
//export arc4random_buf
func arc4randomBuf(buf unsafe.Pointer, size uint) {
	if size > 0 && !abi.Random(unsafe.Slice((*byte)(buf), size)) {
		panic("guest: the host returned no random bytes (WASI random_get failed)")
	}
}

// arc4random returns 32 random bits.
//
//export arc4random
func arc4random() uint32 {
	var bits uint32
	arc4randomBuf(unsafe.Pointer(&bits), uint(unsafe.Sizeof(bits)))
	return bits
}
