package wasicloud

import (
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// Sizes of elements of lists: a string, a pair of a string and a list, and a pair with an option.
const (
	textBytes   = 8
	pairBytes   = 16
	foundBytes  = 20
	elementSize = 4 // alignment of all
)

// maxBatchKeys is the most keys of one batch. A request has no more operations.
const maxBatchKeys = 1000

// chunk is the number of changes that are made in one write, if their values are not too large together.
const (
	chunkKeys  = 100
	chunkBytes = 1 << 20
)

func batchFuncs(draft string) []engine.HostFunc {
	get := getMany
	if draft == draft1 {
		get = getManyFirst
	}
	return []engine.HostFunc{
		define("get-many", none, get, i32, i32, i32, i32),
		define("set-many", none, setMany, i32, i32, i32, i32),
		define("delete-many", none, deleteMany, i32, i32, i32, i32),
	}
}

// tooMany is the failure of a batch of too many keys.
func tooMany(count uint64) *abi.KeyValueError {
	if uint32(count) <= maxBatchKeys {
		return nil
	}
	return &abi.KeyValueError{Code: abi.KeyValueTooMany, Reason: "a batch has at most 1000 keys"}
}

// keysOf reads a list<string>.
func (s *State) keysOf(at, count uint64) []string {
	list := s.List(at, count, textBytes, elementSize)
	keys := make([]string, 0, len(list)/textBytes)
	for ; len(list) > 0; list = list[textBytes:] {
		keys = append(keys, s.text(uint64(canonical.Uint32(list, 0)), uint64(canonical.Uint32(list, 4))))
	}
	return keys
}

// found is a key of a batch, with its value if it is present.
type found struct {
	key     string
	value   []byte
	present bool
}

// getAll reads the keys of a batch, and writes the case of its result<list, error>, of 16 bytes with the payload at 4.
func (s *State) getAll(p []uint64) (m []byte, all []found, ok bool) {
	m = s.Area(p[3], 16, 4)
	store := s.bucket(p[0])
	failed := tooMany(p[2])
	if failed == nil {
		for _, key := range s.keysOf(p[1], p[2]) {
			e, present, err := s.get(store, key)
			if failed = err; failed != nil {
				break
			}
			all = append(all, found{key, e.Value, present})
		}
	}
	return m, all, s.settle(m, 4, failed)
}

// getMany writes a list<tuple<string, option<list<u8>>>>.
func getMany(s *State, p []uint64) {
	m, all, ok := s.getAll(p)
	if !ok {
		return
	}
	list := s.PutList(m, 4, len(all), foundBytes, elementSize)
	for i, f := range all {
		to := list[foundBytes*i:]
		s.PutString(to, 0, f.key)
		s.putOptionBytes(to, 8, f.value, f.present)
	}
}

// getManyFirst writes a list<option<tuple<string, list<u8>>>>, as the first draft has it.
func getManyFirst(s *State, p []uint64) {
	m, all, ok := s.getAll(p)
	if !ok {
		return
	}
	list := s.PutList(m, 4, len(all), foundBytes, elementSize)
	for i, f := range all {
		to := list[foundBytes*i:]
		if to[0] = 0; f.present {
			s.PutString(to, 4, f.key)
			s.PutBytes(to, 12, f.value)
			to[0] = 1
		}
	}
}

// setMany writes result<_, error>: 16 bytes, payload at 4. So does deleteMany. A batch that fails may have been made in part,
// as the interface has it.
func setMany(s *State, p []uint64) {
	m, store := s.Area(p[3], 16, 4), s.bucket(p[0])
	failed := tooMany(p[2])
	if failed == nil {
		var changes []abi.KeyValueChange
		list := s.List(p[1], p[2], pairBytes, elementSize)
		for ; len(list) > 0; list = list[pairBytes:] {
			changes = append(changes, abi.KeyValueChange{
				Key:   s.text(uint64(canonical.Uint32(list, 0)), uint64(canonical.Uint32(list, 4))),
				Value: s.Bytes(uint64(canonical.Uint32(list, 8)), uint64(canonical.Uint32(list, 12))),
			})
		}
		failed = s.writeAll(store, changes)
	}
	s.settle(m, 4, failed)
}

func deleteMany(s *State, p []uint64) {
	m, store := s.Area(p[3], 16, 4), s.bucket(p[0])
	failed := tooMany(p[2])
	if failed == nil {
		var changes []abi.KeyValueChange
		for _, key := range s.keysOf(p[1], p[2]) {
			changes = append(changes, abi.KeyValueChange{Op: abi.KeyValueDelete, Key: key})
		}
		failed = s.writeAll(store, changes)
	}
	s.settle(m, 4, failed)
}

// writeAll makes changes in order, as many in one write as it takes. A key that comes twice begins another write.
func (s *State) writeAll(store string, changes []abi.KeyValueChange) *abi.KeyValueError {
	for len(changes) > 0 {
		n, size, seen := 0, 0, map[string]bool{}
		for _, c := range changes[:min(len(changes), chunkKeys)] {
			if size += len(c.Key) + len(c.Value); n > 0 && size > chunkBytes || seen[c.Key] {
				break
			}
			seen[c.Key] = true
			n++
		}
		if _, failed := s.write(store, changes[:n]...); failed != nil {
			return failed
		}
		changes = changes[n:]
	}
	return nil
}
