package wasicloud

import (
	"slices"
	"strconv"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// The drafts of wasi:keyvalue.
const (
	draft1 = "@0.2.0-draft"
	draft2 = "@0.2.0-draft2"
)

// pageKeys is the number of keys that list-keys returns.
const pageKeys = 1000

// bucket is an open store.
type bucket struct{ store string }

// Drop implements canonical.Resource.
func (*bucket) Drop() {}

// keyValueModules returns the functions of both drafts.
func keyValueModules() (all []engine.HostModule) {
	for _, draft := range [...]string{draft1, draft2} {
		all = append(all,
			engine.HostModule{Name: "wasi:keyvalue/store" + draft, Funcs: storeFuncs(draft)},
			engine.HostModule{Name: "wasi:keyvalue/atomics" + draft, Funcs: atomicFuncs(draft)},
			engine.HostModule{Name: "wasi:keyvalue/batch" + draft, Funcs: batchFuncs(draft)},
		)
	}
	return all
}

func storeFuncs(draft string) []engine.HostFunc {
	list := define("[method]bucket.list-keys", none, listKeys, i32, i32, i32, i32, i32)
	if draft == draft1 {
		list = define("[method]bucket.list-keys", none, listKeysByNumber, i32, i32, i64, i32)
	}
	return []engine.HostFunc{
		define("open", none, bucketOpen, i32, i32, i32),
		define("[method]bucket.get", none, bucketGet, i32, i32, i32, i32),
		define("[method]bucket.set", none, bucketSet, i32, i32, i32, i32, i32, i32),
		define("[method]bucket.delete", none, bucketDelete, i32, i32, i32, i32),
		define("[method]bucket.exists", none, bucketExists, i32, i32, i32, i32),
		list,
		canonical.DropFunc[*bucket]("bucket"),
	}
}

// The cases of error: a variant of 12 bytes, whose text is 4 bytes behind its case.
const (
	noSuchStore = 0
	otherError  = 2
)

// putError writes an error at offset at.
func (s *State) putError(m []byte, at int, e *abi.KeyValueError) {
	if e.Code == abi.KeyValueNoStore {
		m[at] = noSuchStore
		return
	}
	s.PutString(m, at+4, messageOf(e))
	m[at] = otherError
}

// settle writes the case of a result, and the error at offset at if there is one. It reports success.
func (s *State) settle(m []byte, at int, failed *abi.KeyValueError) bool {
	if m[0] = 0; failed != nil {
		s.putError(m, at, failed)
		m[0] = 1
	}
	return failed == nil
}

// bucket returns the store of a handle.
func (s *State) bucket(handle uint64) string { return canonical.Get[*bucket](&s.Handles, handle).store }

// bucketOpen writes result<own<bucket>, error>: 16 bytes, payload at 4.
func bucketOpen(s *State, p []uint64) {
	m, store := s.Area(p[2], 16, 4), s.text(p[0], p[1])
	kv, err := s.keyValue()
	if err == nil && !kv.Has(store) {
		err = &abi.KeyValueError{Code: abi.KeyValueNoStore, Reason: "the service has no store " + strconv.Quote(store) + ": deploy it with kv"}
	}
	if s.settle(m, 4, s.failure(err)) {
		canonical.PutUint32(m, 4, uint32(s.Handles.Add(&bucket{store}, 0)))
	}
}

// putOptionBytes writes an option<list<u8>>: the case, and 4 bytes behind it the list.
func (s *State) putOptionBytes(m []byte, at int, value []byte, present bool) {
	if m[at] = 0; present {
		s.PutBytes(m, at+4, value)
		m[at] = 1
	}
}

// bucketGet writes result<option<list<u8>>, error>: 16 bytes, payload at 4.
func bucketGet(s *State, p []uint64) {
	m := s.Area(p[3], 16, 4)
	e, found, failed := s.get(s.bucket(p[0]), s.text(p[1], p[2]))
	if s.settle(m, 4, failed) {
		s.putOptionBytes(m, 4, e.Value, found)
	}
}

// bucketSet writes result<_, error>: 16 bytes, payload at 4. So does bucketDelete.
func bucketSet(s *State, p []uint64) {
	m := s.Area(p[5], 16, 4)
	_, failed := s.write(s.bucket(p[0]), abi.KeyValueChange{Key: s.text(p[1], p[2]), Value: s.Bytes(p[3], p[4])})
	s.settle(m, 4, failed)
}

func bucketDelete(s *State, p []uint64) {
	m := s.Area(p[3], 16, 4)
	_, failed := s.write(s.bucket(p[0]), abi.KeyValueChange{Op: abi.KeyValueDelete, Key: s.text(p[1], p[2])})
	s.settle(m, 4, failed)
}

// bucketExists writes result<bool, error>: 16 bytes, payload at 4.
func bucketExists(s *State, p []uint64) {
	m := s.Area(p[3], 16, 4)
	_, found, failed := s.get(s.bucket(p[0]), s.text(p[1], p[2]))
	if s.settle(m, 4, failed) {
		m[4] = byteOf(found)
	}
}

// putKeys writes a list<string> of keys.
func (s *State) putKeys(m []byte, at int, page abi.KeyValuePage) {
	keys := make([]string, 0, len(page.Entries))
	for _, e := range page.Entries {
		keys = append(keys, e.Key)
	}
	s.PutStrings(m, at, keys)
}

// listKeys writes result<key-response, error>: 24 bytes, payload at 4: keys, then an option<string>.
func listKeys(s *State, p []uint64) {
	m := s.Area(p[4], 24, 4)
	page, failed := s.list(s.bucket(p[0]), "", s.optionText(p[1:4]), pageKeys)
	if s.settle(m, 4, failed) {
		s.putKeys(m, 4, page)
		s.putCursor(m, 12, page.Next)
	}
}

// listKeysByNumber is listKeys of the first draft, whose cursors are numbers. They belong to the request. It writes 32 bytes,
// payload at 8: keys, then an option<u64>.
func listKeysByNumber(s *State, p []uint64) {
	m, cursor, known := s.Area(p[3], 32, 8), "", true
	if canonical.Case(p[1], 2) == 1 {
		if known = p[2] >= 1 && p[2] <= uint64(len(s.cursors)); known {
			cursor = s.cursors[p[2]-1]
		}
	}
	var page abi.KeyValuePage
	failed := &abi.KeyValueError{Code: abi.KeyValueInvalid, Reason: "the cursor is not one of this request"}
	if known {
		page, failed = s.list(s.bucket(p[0]), "", cursor, pageKeys)
	}
	if !s.settle(m, 8, failed) {
		return
	}
	s.putKeys(m, 8, page)
	if m[16] = 0; page.Next == "" {
		return
	}
	number := slices.Index(s.cursors, page.Next) + 1
	if number == 0 {
		s.cursors = append(s.cursors, page.Next) // bounded by the operations of a request
		number = len(s.cursors)
	}
	canonical.PutUint64(m, 24, uint64(number))
	m[16] = 1
}
