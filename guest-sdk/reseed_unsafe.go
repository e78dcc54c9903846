//go:build wasip1 && !tinygo

package guest

import (
	"encoding/binary"
	"math/rand/v2"
	"unsafe"
)

// runtimeGenerator is the Go runtime's ChaCha8 generator, which feeds the top-level functions of math/rand and math/rand/v2.
// It is seeded when the program starts and offers no way to seed it again. So it is searched for in memory, by what it yields,
// and trusted only after proof that this is it: see proven.
type runtimeGenerator struct{ state *chacha8State }

// chacha8State is internal/chacha8rand.State of Go 1.22 and later.
type chacha8State struct {
	buf  [32]uint64 // the current block of numbers
	seed [4]uint64
	next uint32 // index into buf
	size uint32 // of buf; less in the last block before the generator takes a new seed from itself
	c    uint32 // counter of blocks, in steps of 4, below 16
}

// staticStart is where the Go linker puts a program's data in linear memory.
const staticStart = 4096

func (g runtimeGenerator) found() bool { return g.state != nil }

// reseed makes the generator start anew. The block at hand counts as used up, so that the next number comes from the seed.
func (g runtimeGenerator) reseed(seed [seedBytes]byte) {
	for i := range g.state.seed {
		g.state.seed[i] = binary.LittleEndian.Uint64(seed[8*i:])
	}
	g.state.c = 0
	g.state.next = g.state.size
}

// findRuntimeGenerator searches twice, as a number that happens to be its block's last one proves nothing.
func findRuntimeGenerator() runtimeGenerator {
	if g := searchRuntimeGenerator(); g.found() {
		return g
	}
	return searchRuntimeGenerator()
}

// searchRuntimeGenerator draws a number and looks for it in static memory, where the only M (thread) of a WebAssembly program
// holds its generator.
func searchRuntimeGenerator() runtimeGenerator {
	drawn := rand.Uint64()
	heap := uintptr(unsafe.Pointer(new([64 << 10]byte))) // static memory ends somewhere below
	const size = unsafe.Sizeof(chacha8State{})
	for address := uintptr(staticStart); address+size <= heap; address += 8 {
		if *(*uint64)(at(address)) != drawn {
			continue
		}
		for index := uintptr(0); index < 32 && address-8*index >= staticStart; index++ {
			state := (*chacha8State)(at(address - 8*index))
			if state.next == uint32(index)+1 && state.proven() {
				return runtimeGenerator{state}
			}
		}
	}
	return runtimeGenerator{}
}

// proven tells if this is the generator's state: its block is what ChaCha8 makes of its seed and counter, and drawing a number
// takes the block's next one.
func (s *chacha8State) proven() bool {
	if s.size > 32 || s.next >= s.size || s.c >= 16 || s.c%4 != 0 {
		return false
	}
	var seed [seedBytes]byte
	for i, word := range s.seed {
		binary.LittleEndian.PutUint64(seed[8*i:], word)
	}
	same := rand.NewChaCha8(seed)
	for range s.c / 4 * 32 {
		same.Uint64()
	}
	for _, number := range s.buf[:s.size] {
		if same.Uint64() != number {
			return false
		}
	}
	next := s.next
	return rand.Uint64() == s.buf[next] && s.next == next+1
}

// at is a pointer to an address in linear memory. Static memory does not move.
func at(address uintptr) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), address) }
