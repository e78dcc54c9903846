//go:build wasip1 && !tinygo

package guest

import (
	"encoding/binary"
	"math/rand/v2"
	"unsafe"
)

// runtimeGenerator is the Go runtime's ChaCha8 generator, which feeds the top-level functions of math/rand and
// math/rand/v2. The runtime seeds it at start and provides no way to seed it again. The SDK therefore locates the
// generator in memory by its output, and writes to it only after proven has verified it.
type runtimeGenerator struct{ state *chacha8State }

// chacha8State has the layout of internal/chacha8rand.State in Go 1.22 and later.
type chacha8State struct {
	buf  [32]uint64 // the current block of numbers
	seed [4]uint64
	next uint32 // index into buf of the next number
	size uint32 // numbers used of buf; fewer than 32 in the last block before the generator reseeds itself
	c    uint32 // block counter, a multiple of 4 below 16
}

// staticStart is the address at which the Go linker places a program's data in linear memory.
const staticStart = 4096

func (g runtimeGenerator) found() bool { return g.state != nil }

// freshNumbers is the number of random numbers that the host provides for a request. Most requests need fewer, so that
// the generator computes no block, which takes longer than the host does.
const freshNumbers = 16

// reseed restarts the generator from a new seed of the host. The first numbers are the host's own.
func (g runtimeGenerator) reseed() {
	var fresh [seedBytes + 8*freshNumbers]byte
	fill(fresh[:])
	s := g.state
	for i := range s.seed {
		s.seed[i] = binary.LittleEndian.Uint64(fresh[8*i:])
	}
	s.c = 0
	s.next = s.size - freshNumbers
	for i := range uint32(freshNumbers) {
		s.buf[s.next+i] = binary.LittleEndian.Uint64(fresh[seedBytes+8*i:])
	}
}

// findRuntimeGenerator searches twice. The first search fails if the drawn number is the last of its block, because
// proven needs the number after it.
func findRuntimeGenerator() runtimeGenerator {
	if g := searchRuntimeGenerator(); g.found() {
		return g
	}
	return searchRuntimeGenerator()
}

// searchRuntimeGenerator draws a number and searches static memory for it. A WebAssembly program has a single M
// (thread), which is statically allocated and holds the generator.
func searchRuntimeGenerator() runtimeGenerator {
	drawn := rand.Uint64()
	heap := uintptr(unsafe.Pointer(new([64 << 10]byte))) // static memory ends below this address
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

// proven reports whether s is the state of the runtime's generator. Two conditions must hold: ChaCha8 computes the block
// from the seed and counter, and drawing a number returns the next number of the block and advances the index.
func (s *chacha8State) proven() bool {
	if s.size > 32 || s.size < freshNumbers || s.next >= s.size || s.c >= 16 || s.c%4 != 0 {
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

// at returns a pointer to an address in linear memory. It stays valid, because static memory does not move.
func at(address uintptr) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), address) }
