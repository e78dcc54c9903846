package wasip2

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// randomModules returns the interfaces for random numbers. The insecure ones are as good as the others.
func randomModules() []engine.HostModule {
	return []engine.HostModule{
		module("wasi:random/random",
			define("get-random-bytes", none, randomBytes, i64, i32),
			define("get-random-u64", i64, func(s *State, p []uint64) { p[0] = s.random() }),
		),
		module("wasi:random/insecure",
			define("get-insecure-random-bytes", none, randomBytes, i64, i32),
			define("get-insecure-random-u64", i64, func(s *State, p []uint64) { p[0] = s.random() }),
		),
		module("wasi:random/insecure-seed", define("insecure-seed", none, seed, i32)),
	}
}

func (s *State) random() uint64 {
	s.In.NoteRandom()
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

func seed(s *State, p []uint64) {
	m := s.Area(p[0], 16, 8)
	canonical.PutUint64(m, 0, s.random())
	canonical.PutUint64(m, 8, s.random())
}

// randomChunkBytes is the amount of random data between two checks of the deadline.
const randomChunkBytes = 64 << 10

func randomBytes(s *State, p []uint64) {
	result := s.Area(p[1], 8, 4)
	if p[0] > 1<<31 {
		canonical.Trap("the guest wants %d random bytes", p[0])
	}
	s.In.NoteRandom()
	list := s.PutList(result, 0, int(p[0]), 1, 1)
	for len(list) > 0 {
		n := min(len(list), randomChunkBytes)
		rand.Read(list[:n]) // never fails
		if list = list[n:]; n >= abi.CostlyBytes {
			s.In.Check()
		}
	}
}
