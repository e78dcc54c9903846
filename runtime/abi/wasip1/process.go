package wasip1

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// putStrings writes NUL-terminated strings to buf and the address of each to ptrs.
func putStrings(in *engine.Instance, list []string, ptrs, buf uint32) errno {
	table := in.View(ptrs, uint32(4*len(list)))
	for i, s := range list {
		binary.LittleEndian.PutUint32(table[4*i:], buf)
		n := uint32(len(s)) + 1
		to := in.View(buf, n)
		copy(to, s)
		to[n-1] = 0
		buf += n
	}
	in.Check()
	return success
}

func putSizes(in *engine.Instance, list []string, count, size uint32) errno {
	total := 0
	for _, s := range list {
		total += len(s) + 1
	}
	putUint32(in, count, uint32(len(list)))
	putUint32(in, size, uint32(total))
	return success
}

func putUint32(in *engine.Instance, at, v uint32) { binary.LittleEndian.PutUint32(in.View(at, 4), v) }
func putUint64(in *engine.Instance, at uint32, v uint64) {
	binary.LittleEndian.PutUint64(in.View(at, 8), v)
}

func argsGet(in *engine.Instance, s *State, p []uint64) errno {
	return putStrings(in, s.Args, uint32(p[0]), uint32(p[1]))
}

func argsSizesGet(in *engine.Instance, s *State, p []uint64) errno {
	return putSizes(in, s.Args, uint32(p[0]), uint32(p[1]))
}

func environGet(in *engine.Instance, s *State, p []uint64) errno {
	return putStrings(in, s.Env, uint32(p[0]), uint32(p[1]))
}

func environSizesGet(in *engine.Instance, s *State, p []uint64) errno {
	return putSizes(in, s.Env, uint32(p[0]), uint32(p[1]))
}

// Clock identifiers. The two CPU clocks are not supported: a guest could use them to measure other guests.
const (
	clockRealtime  = 0
	clockMonotonic = 1
)

// clockNow reads a clock in nanoseconds. The monotonic clock counts from
// the instance's epoch, so that its origin reveals nothing about the host.
func clockNow(in *engine.Instance, id uint32) (ns uint64, ok bool) {
	switch id {
	case clockRealtime:
		return uint64(time.Now().UnixNano()), true
	case clockMonotonic:
		return uint64(time.Since(in.Epoch())), true
	}
	return 0, false
}

func clockResGet(in *engine.Instance, _ *State, p []uint64) errno {
	if _, ok := clockNow(in, uint32(p[0])); !ok {
		return errInval
	}
	putUint64(in, uint32(p[1]), 1)
	return success
}

func clockTimeGet(in *engine.Instance, _ *State, p []uint64) errno {
	ns, ok := clockNow(in, uint32(p[0]))
	if !ok {
		return errInval
	}
	putUint64(in, uint32(p[2]), ns)
	return success
}

// randomChunkBytes is the amount of random data between two checks of the deadline.
const randomChunkBytes = 64 << 10

func randomGet(in *engine.Instance, _ *State, p []uint64) errno {
	buf := in.View(uint32(p[0]), uint32(p[1]))
	in.NoteRandom()
	for len(buf) > 0 {
		n := min(len(buf), randomChunkBytes)
		rand.Read(buf[:n]) // never fails: it ends the process if the system has no randomness
		if buf = buf[n:]; n >= abi.CostlyBytes {
			in.Check()
		}
	}
	return success
}
