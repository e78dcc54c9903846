package wasip3

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// maxRandomBytes is the most that one call returns. The interface allows it to return less than asked for.
const maxRandomBytes = 64 << 10

// randomModules returns the interfaces for random numbers. The insecure ones are as good as the others.
func randomModules() []engine.HostModule {
	number := func(c *canonical.State, p []uint64) { p[0] = random(c) }
	return []engine.HostModule{
		module("wasi:random/random",
			canonical.Func("get-random-bytes", none, randomBytes, i64, i32),
			canonical.Func("get-random-u64", i64, number),
		),
		module("wasi:random/insecure",
			canonical.Func("get-insecure-random-bytes", none, randomBytes, i64, i32),
			canonical.Func("get-insecure-random-u64", i64, number),
		),
		module("wasi:random/insecure-seed", canonical.Func("get-insecure-seed", none, func(c *canonical.State, p []uint64) {
			m := c.Area(p[0], 16, 8)
			canonical.PutUint64(m, 0, random(c))
			canonical.PutUint64(m, 8, random(c))
		}, i32)),
	}
}

func random(c *canonical.State) uint64 {
	c.In.NoteRandom()
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

func randomBytes(c *canonical.State, p []uint64) {
	c.In.NoteRandom()
	list := c.PutList(c.Area(p[1], 8, 4), 0, int(min(p[0], maxRandomBytes)), 1, 1)
	rand.Read(list) // never fails
	if len(list) >= abi.CostlyBytes {
		c.In.Check()
	}
}
