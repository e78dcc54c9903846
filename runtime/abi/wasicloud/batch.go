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

// maxBatchKeyBytes bounds the keys of a batch, which are copied. It is more than as many valid keys have.
const maxBatchKeyBytes = 1 << 20

// keysOf reads the keys of a batch, which are the first members of its elements.
func (s *State) keysOf(at, count uint64, element uint32) ([]string, *abi.KeyValueError) {
	if failed := tooMany(count); failed != nil {
		return nil, failed
	}
	list := s.List(at, count, element, elementSize)
	keys, size := make([]string, 0, len(list)/int(element)), 0
	for ; len(list) > 0; list = list[element:] {
		key := s.text(uint64(canonical.Uint32(list, 0)), uint64(canonical.Uint32(list, 4)))
		if size += len(key); size > maxBatchKeyBytes {
			return nil, &abi.KeyValueError{Code: abi.KeyValueTooLarge, Reason: "the keys of a batch have more than 1 MiB"}
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// getAll writes result<list, error>: 16 bytes, payload at 4. It reads the keys of a batch one at a time, so that the host
// holds one value, and put writes each into its element of the list.
func (s *State) getAll(p []uint64, element uint32, put func(to []byte, key string, value []byte, present bool)) {
	m, store := s.Area(p[3], 16, 4), s.bucket(p[0])
	keys, failed := s.keysOf(p[1], p[2], textBytes)
	if failed == nil {
		list := s.PutList(m, 4, len(keys), element, elementSize)
		for i, key := range keys {
			e, present, err := s.get(store, key)
			if failed = err; failed != nil {
				break
			}
			put(list[int(element)*i:], key, e.Value, present)
		}
	}
	s.settle(m, 4, failed)
}

// getMany writes a list<tuple<string, option<list<u8>>>>.
func getMany(s *State, p []uint64) {
	s.getAll(p, foundBytes, func(to []byte, key string, value []byte, present bool) {
		s.PutString(to, 0, key)
		s.putOptionBytes(to, 8, value, present)
	})
}

// getManyFirst writes a list<option<tuple<string, list<u8>>>>, as the first draft has it.
func getManyFirst(s *State, p []uint64) {
	s.getAll(p, foundBytes, func(to []byte, key string, value []byte, present bool) {
		if to[0] = 0; present {
			s.PutString(to, 4, key)
			s.PutBytes(to, 12, value)
			to[0] = 1
		}
	})
}

// setMany writes result<_, error>: 16 bytes, payload at 4. So does deleteMany. A batch that fails may have been made in part,
// as the interface has it.
func setMany(s *State, p []uint64) {
	m, store := s.Area(p[3], 16, 4), s.bucket(p[0])
	keys, failed := s.keysOf(p[1], p[2], pairBytes)
	if failed == nil {
		list := s.List(p[1], p[2], pairBytes, elementSize)
		changes := make([]abi.KeyValueChange, 0, len(keys))
		for i, key := range keys {
			pair := list[pairBytes*i:]
			value := s.Bytes(uint64(canonical.Uint32(pair, 8)), uint64(canonical.Uint32(pair, 12)))
			changes = append(changes, abi.KeyValueChange{Key: key, Value: value})
		}
		failed = s.writeAll(store, changes)
	}
	s.settle(m, 4, failed)
}

func deleteMany(s *State, p []uint64) {
	m, store := s.Area(p[3], 16, 4), s.bucket(p[0])
	keys, failed := s.keysOf(p[1], p[2], textBytes)
	if failed == nil {
		changes := make([]abi.KeyValueChange, 0, len(keys))
		for _, key := range keys {
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
