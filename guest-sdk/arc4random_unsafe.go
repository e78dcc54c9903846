//go:build tinygo

package guest

import (
	"unsafe"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// TinyGo's crypto/rand and runtime use arc4random of wasi-libc. That generator lives in the guest's memory and is seeded
// once, so with a snapshot it would return the same bytes in every request. The functions below replace it: the linker
// prefers symbols that the program defines over those of a library. They read from the host and keep no state.

// arc4randomBuf fills the size bytes at buf with random bytes.
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
