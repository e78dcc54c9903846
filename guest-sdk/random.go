package guest

import (
	"math/rand/v2"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// seedBytes is the seed of the ChaCha8 generators, our own and the Go runtime's.
const seedBytes = 32

// randomState is what the SDK does about pseudo-random numbers, which a snapshot would repeat in every request.
type randomState struct {
	runtime runtimeGenerator // the Go runtime's, found while the program starts
	own     *rand.Rand       // of the request at hand; nil until asked for
}

var random = randomState{runtime: findRuntimeGenerator()}

func (s *randomState) startRequest() {
	s.own = nil
	if s.runtime.found() {
		s.runtime.reseed(freshSeed())
	}
}

// Rand returns a generator that is seeded by the host for each request. It serves where [Reseeds] is false; it is not for
// secrets, which are for crypto/rand.
func (r *Request) Rand() *rand.Rand {
	if random.own == nil {
		random.own = rand.New(rand.NewChaCha8(freshSeed()))
	}
	return random.own
}

// Reseeds tells if the SDK reseeds the Go runtime's generator at each request, and with it the top-level functions of
// math/rand and math/rand/v2, hash/maphash, and the order of maps. See RANDOM.md.
func Reseeds() bool { return random.runtime.found() }

func freshSeed() (seed [seedBytes]byte) {
	if !abi.Random(seed[:]) {
		panic("guest: the host gives no random bytes (WASI random_get failed)")
	}
	return seed
}
