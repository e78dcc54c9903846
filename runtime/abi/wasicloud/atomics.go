package wasicloud

import (
	"math"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// maxHeldBytes bounds the values of a request's compare-and-swaps, which the host holds.
const maxHeldBytes = 4 << 20

// cas is a compare-and-swap: the state of a key when it was made.
type cas struct {
	owner      *State
	store, key string
	version    uint64 // 0: absent
	value      []byte
}

// Drop implements canonical.Resource.
func (c *cas) Drop() { c.owner.held -= len(c.value) }

func atomicFuncs(draft string) []engine.HostFunc {
	if draft == draft1 {
		return []engine.HostFunc{define("increment", none, incrementUnsigned, i32, i32, i32, i64, i32)}
	}
	return []engine.HostFunc{
		define("increment", none, increment, i32, i32, i32, i64, i32),
		define("[static]cas.new", none, casNew, i32, i32, i32, i32),
		define("[method]cas.current", none, casCurrent, i32, i32),
		define("swap", none, swap, i32, i32, i32, i32),
		canonical.DropFunc[*cas]("cas"),
	}
}

// increment writes result<s64, error>: 24 bytes, payload at 8.
func increment(s *State, p []uint64) {
	m := s.Area(p[4], 24, 8)
	results, failed := s.write(s.bucket(p[0]), abi.KeyValueChange{Op: abi.KeyValueAdd, Key: s.text(p[1], p[2]), Delta: int64(p[3])})
	if s.settle(m, 8, failed) {
		canonical.PutUint64(m, 8, uint64(results[0].Number))
	}
}

// incrementUnsigned is increment of the first draft, whose numbers have no sign. Numbers beyond 63 bits are refused.
func incrementUnsigned(s *State, p []uint64) {
	if p[3] <= math.MaxInt64 {
		increment(s, p)
		return
	}
	s.bucket(p[0])
	s.settle(s.Area(p[4], 24, 8), 8, s.failure(&abi.KeyValueError{Code: abi.KeyValueNotNumber, Reason: "the delta exceeds 63 bits"}))
}

// snapshot returns the state of a key.
func (s *State) snapshot(store, key string) (*cas, *abi.KeyValueError) {
	e, found, failed := s.get(store, key)
	if failed != nil {
		return nil, failed
	}
	if s.held+len(e.Value) > maxHeldBytes {
		return nil, s.failure(&abi.KeyValueError{Code: abi.KeyValueTooMany, Reason: "the request holds compare-and-swaps of more than 4 MiB: drop some"})
	}
	c := &cas{owner: s, store: store, key: key, version: e.Version}
	if found {
		c.value = e.Value
		s.held += len(c.value)
	}
	return c, nil
}

// casNew writes result<own<cas>, error>: 16 bytes, payload at 4.
func casNew(s *State, p []uint64) {
	m := s.Area(p[3], 16, 4)
	c, failed := s.snapshot(s.bucket(p[0]), s.text(p[1], p[2]))
	if s.settle(m, 4, failed) {
		canonical.PutUint32(m, 4, uint32(s.Handles.Add(c, 0)))
	}
}

// casCurrent writes result<option<list<u8>>, error>: 16 bytes, payload at 4.
func casCurrent(s *State, p []uint64) {
	m, c := s.Area(p[1], 16, 4), canonical.Get[*cas](&s.Handles, p[0])
	m[0] = 0
	s.putOptionBytes(m, 4, c.value, c.version != 0)
}

// The cases of cas-error.
const (
	storeError = 0
	casFailed  = 1
)

// swap writes result<_, cas-error>: 20 bytes. The cas-error is at 4, its payload at 8: an error, or a handle of the state that
// the key has now.
func swap(s *State, p []uint64) {
	m, c := s.Area(p[3], 20, 4), canonical.Take[*cas](&s.Handles, p[0])
	c.Drop()
	_, failed := s.write(c.store, abi.KeyValueChange{Key: c.key, Value: s.Bytes(p[1], p[2]), If: &c.version})
	if failed != nil && failed.Code == abi.KeyValueConflict {
		if c, failed = s.snapshot(c.store, c.key); failed == nil {
			m[0], m[4] = 1, casFailed
			canonical.PutUint32(m, 8, uint32(s.Handles.Add(c, 0)))
			return
		}
	}
	if m[0] = 0; failed != nil {
		m[0], m[4] = 1, storeError
		s.putError(m, 8, failed)
	}
}
