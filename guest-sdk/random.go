package guest

import (
	"math/rand/v2"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// seedBytes is the seed size of ChaCha8, the algorithm of both the SDK's and the Go runtime's generator.
const seedBytes = 32

// randomState holds the generators that are seeded for each request. Without that, the snapshot would repeat their
// numbers in every request.
type randomState struct {
	runtime runtimeGenerator // the Go runtime's generator, located during initialisation
	own     *rand.Rand       // the generator of Request.Rand; nil until its first call in a request
}

var random = randomState{runtime: findRuntimeGenerator()}

func (s *randomState) startRequest() {
	s.own = nil
	if s.runtime.found() {
		s.runtime.reseed()
	}
}

// Rand returns a pseudo-random generator that is seeded from the host for each request. All calls during a request
// return the same generator. It works on all toolchains, including those for which [Reseeds] reports false.
//
// Rand is not suitable for secrets. Use crypto/rand for these.
func (r *Request) Rand() *rand.Rand {
	if random.own == nil {
		random.own = rand.New(rand.NewChaCha8(freshSeed()))
	}
	return random.own
}

// Reseeds reports whether the SDK reseeds the Go runtime's generator for each request. That generator feeds the
// top-level functions of math/rand and math/rand/v2, the seeds of hash/maphash and the iteration order of maps. If
// Reseeds returns false, use [Request.Rand] or crypto/rand. It always returns false outside WebAssembly and with TinyGo.
//
// RANDOM.md lists the sources of random numbers and their behaviour.
func Reseeds() bool { return random.runtime.found() }

func freshSeed() (seed [seedBytes]byte) {
	fill(seed[:])
	return seed
}

// fill fills b with random bytes of the host.
func fill(b []byte) {
	if !abi.Random(b) {
		panic("guest: the host returned no random bytes (WASI random_get failed)")
	}
}
