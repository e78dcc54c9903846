package extension

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// keyValueFuncs returns the functions for key-value stores.
func keyValueFuncs() []engine.HostFunc {
	return []engine.HostFunc{
		function("kv_get", i64, kvGet, i32, i32, i32, i32, i32, i32),
		function("kv_entry", i64, kvEntry, i32, i32, i32),
		function("kv_put", i64, kvPut, i32, i32, i32, i32, i32, i32, i32, i32, i64, i64),
		function("kv_delete", i32, kvDelete, i32, i32, i32, i32, i64),
		function("kv_add", i32, kvAdd, i32, i32, i32, i32, i64, i32),
		function("kv_list", i64, kvList, i32, i32, i32, i32, i32, i32, i32, i32, i32),
		function("kv_page", i64, kvPage, i32, i32),
	}
}

// anyVersion is the expected version of writes without a condition.
const anyVersion = -1

// results are what the last read from a key-value store has returned. Guests whose buffer was too small ask for them again.
type results struct {
	entry *abi.KeyValueEntry
	page  []string
}

// keyValue returns the stores of the request.
func (s *State) keyValue() (abi.KeyValue, error) {
	switch {
	case s.current == nil:
		return nil, &abi.KeyValueError{Code: abi.KeyValueUnavailable, Reason: "there is no request while the service initialises"}
	case s.current.KeyValue == nil:
		return nil, &abi.KeyValueError{Code: abi.KeyValueNoStore, Reason: "the service has no key-value stores: deploy it with kv"}
	}
	return s.current.KeyValue, nil
}

// failKeyValue logs the error to the service's log, unless it is routine, and returns the code for the guest.
func (s *State) failKeyValue(err error) int64 {
	var failed *abi.KeyValueError
	if !errors.As(err, &failed) {
		failed = &abi.KeyValueError{Code: abi.KeyValueUnavailable, Reason: err.Error()}
	}
	if !failed.Routine() {
		s.log.Line(abi.LevelWarn, []byte(failed.Error()))
	}
	return int64(failed.Code)
}

func kvGet(in *engine.Instance, s *State, p []uint64) int64 {
	s.held = results{}
	store, key, ok := texts(in, p)
	if !ok {
		return int64(abi.KeyValueTooLarge)
	}
	kv, err := s.keyValue()
	if err != nil {
		return s.failKeyValue(err)
	}
	e, err := kv.Get(in.Context(), store, key)
	in.Check()
	if err != nil {
		return s.failKeyValue(err)
	}
	s.held.entry = &e
	return put(in, string(e.Value), p[4], p[5])
}

// Parts of an entry.
const (
	partValue    = 0
	partMetadata = 1
	partVersion  = 2
	partExpires  = 3
)

func kvEntry(in *engine.Instance, s *State, p []uint64) int64 {
	e := s.held.entry
	if e == nil {
		return int64(abi.KeyValueNotFound)
	}
	switch uint32(p[0]) {
	case partValue:
		return put(in, string(e.Value), p[1], p[2])
	case partMetadata:
		return put(in, e.Metadata, p[1], p[2])
	case partVersion:
		return int64(e.Version)
	case partExpires:
		return expiresOf(*e)
	}
	return int64(abi.KeyValueInvalid)
}

// expiresOf returns the time of expiry in milliseconds since 1970, or 0.
func expiresOf(e abi.KeyValueEntry) int64 {
	if e.Expires.IsZero() {
		return 0
	}
	return e.Expires.UnixMilli()
}

// condition returns the condition of a write.
func condition(version uint64) (want *uint64, ok bool) {
	switch v := int64(version); {
	case v == anyVersion:
		return nil, true
	case v < 0:
		return nil, false
	}
	return &version, true
}

// kvWrite makes one change of the key that p begins with.
func kvWrite(in *engine.Instance, s *State, p []uint64, c abi.KeyValueChange) (abi.KeyValueResult, int64) {
	store, key, ok := texts(in, p)
	if !ok {
		return abi.KeyValueResult{}, int64(abi.KeyValueTooLarge)
	}
	kv, err := s.keyValue()
	if err != nil {
		return abi.KeyValueResult{}, s.failKeyValue(err)
	}
	c.Key = key
	in.PauseFor(nil)
	results, err := kv.Write(in.Context(), store, []abi.KeyValueChange{c})
	in.Resume()
	if err != nil {
		return abi.KeyValueResult{}, s.failKeyValue(err)
	}
	return results[0], 0
}

func kvPut(in *engine.Instance, s *State, p []uint64) int64 {
	value, ttl := view(in, p[4], p[5]), int64(p[8])
	want, ok := condition(p[9])
	if !ok || ttl < 0 || ttl > math.MaxInt64/int64(time.Millisecond) {
		return s.failKeyValue(&abi.KeyValueError{Code: abi.KeyValueInvalid, Reason: "the lifetime or the expected version is out of range"})
	}
	if uint32(p[7]) > maxTextBytes {
		return int64(abi.KeyValueTooLarge)
	}
	r, failed := kvWrite(in, s, p, abi.KeyValueChange{
		Op:       abi.KeyValuePut,
		Value:    value,
		Metadata: string(view(in, p[6], p[7])),
		TTL:      time.Duration(ttl) * time.Millisecond,
		If:       want,
	})
	if failed != 0 {
		return failed
	}
	return int64(r.Version)
}

func kvDelete(in *engine.Instance, s *State, p []uint64) int64 {
	want, ok := condition(p[4])
	if !ok {
		return int64(abi.KeyValueInvalid)
	}
	r, failed := kvWrite(in, s, p, abi.KeyValueChange{Op: abi.KeyValueDelete, If: want})
	if failed == 0 && r.Existed {
		return 1
	}
	return failed
}

func kvAdd(in *engine.Instance, s *State, p []uint64) int64 {
	sum := view(in, p[5], 8)
	r, failed := kvWrite(in, s, p, abi.KeyValueChange{Op: abi.KeyValueAdd, Delta: int64(p[4])})
	if failed == 0 {
		putInt64(sum, r.Number)
	}
	return failed
}

func putInt64(to []byte, n int64) {
	for i := range 8 {
		to[i] = byte(n >> (8 * i))
	}
}

func kvList(in *engine.Instance, s *State, p []uint64) int64 {
	s.held = results{}
	store, prefix, ok := texts(in, p)
	if !ok || uint32(p[5]) > maxTextBytes {
		return int64(abi.KeyValueTooLarge)
	}
	kv, err := s.keyValue()
	if err != nil {
		return s.failKeyValue(err)
	}
	page, err := kv.List(in.Context(), store, prefix, string(view(in, p[4], p[5])), int(int32(uint32(p[6]))))
	in.Check()
	if err != nil {
		return s.failKeyValue(err)
	}
	list := make([]string, 0, 1+4*len(page.Entries))
	list = append(list, page.Next)
	for _, e := range page.Entries {
		list = append(list, e.Key, strconv.FormatUint(e.Version, 10), strconv.FormatInt(expiresOf(e), 10), e.Metadata)
	}
	s.held.page = list
	return putAll(in, list, p[7], p[8])
}

func kvPage(in *engine.Instance, s *State, p []uint64) int64 {
	if s.held.page == nil {
		return int64(abi.KeyValueNotFound)
	}
	return putAll(in, s.held.page, p[0], p[1])
}
