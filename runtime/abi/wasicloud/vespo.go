package wasicloud

import (
	"math"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// vespoModule returns the functions of vespo:kv/store. Layouts of results are in front of the functions that write them.
func vespoModule() engine.HostModule {
	functions := []engine.HostFunc{
		define("has", i32, vespoHas, i32, i32),
		define("get", none, vespoGet, i32, i32, i32, i32, i32),
		define("put", none, vespoPut, i32, i32, i32, i32, i32, i32, i32, i64, i32, i32, i32, i64, i32),
		define("delete", none, vespoDelete, i32, i32, i32, i32, i32, i64, i32),
		define("add", none, vespoAdd, i32, i32, i32, i32, i64, i32),
		define("list", none, vespoList, i32, i32, i32, i32, i32, i32, i32, i32, i32),
	}
	return engine.HostModule{Name: "vespo:kv/store@0.1.0", Funcs: functions}
}

// codes are the cases of error-code, in their order.
const (
	codeInvalid = iota
	codeNoSuchStore
	codeTooMany
	codeConflict
	codeTooLarge
	codeDeadline
	codeFull
	codeUnavailable
	codeNotNumber
)

func codeOf(e *abi.KeyValueError) byte {
	switch e.Code {
	case abi.KeyValueInvalid:
		return codeInvalid
	case abi.KeyValueNoStore:
		return codeNoSuchStore
	case abi.KeyValueTooMany:
		return codeTooMany
	case abi.KeyValueConflict:
		return codeConflict
	case abi.KeyValueTooLarge:
		return codeTooLarge
	case abi.KeyValueDeadline:
		return codeDeadline
	case abi.KeyValueFull:
		return codeFull
	case abi.KeyValueNotNumber:
		return codeNotNumber
	}
	return codeUnavailable
}

// putVespoError writes the error case of a result whose payload is at offset at: error-code, then a string at at+4.
func (s *State) putVespoError(m []byte, at int, e *abi.KeyValueError) {
	s.PutString(m, at+4, messageOf(e))
	m[at] = codeOf(e)
	m[0] = 1
}

// putExpires writes an option<u64> at an offset: the case, and 8 bytes behind it the number.
func putExpires(m []byte, at int, e abi.KeyValueEntry) {
	m[at] = 0
	if !e.Expires.IsZero() {
		m[at] = 1
		canonical.PutUint64(m, at+8, uint64(e.Expires.UnixMilli()))
	}
}

func vespoHas(s *State, p []uint64) {
	has := s.current != nil && s.current.KeyValue != nil && s.current.KeyValue.Has(s.text(p[0], p[1]))
	if p[0] = 0; has {
		p[0] = 1
	}
}

// vespoGet writes result<option<value>, error>: 56 bytes. The option is at 8, its value at 16: data, metadata (8),
// version (16), expires (24).
func vespoGet(s *State, p []uint64) {
	m := s.Area(p[4], 56, 8)
	e, found, failed := s.get(s.text(p[0], p[1]), s.text(p[2], p[3]))
	if failed != nil {
		s.putVespoError(m, 8, failed)
		return
	}
	if m[0], m[8] = 0, 0; !found {
		return
	}
	s.PutBytes(m, 16, e.Value)
	s.PutString(m, 24, e.Metadata)
	canonical.PutUint64(m, 32, e.Version)
	putExpires(m, 40, e)
	m[8] = 1
}

// lifetime returns a time to live in milliseconds.
func lifetime(has, milliseconds uint64) (ttl time.Duration, ok bool) {
	if canonical.Case(has, 2) == 0 {
		return 0, true
	}
	if milliseconds == 0 || milliseconds > math.MaxInt64/uint64(time.Millisecond) {
		return 0, false
	}
	return time.Duration(milliseconds) * time.Millisecond, true
}

// condition returns the condition of an option<u64>.
func condition(has, version uint64) *uint64 {
	if canonical.Case(has, 2) == 0 {
		return nil
	}
	return &version
}

// vespoPut writes result<u64, error>: 24 bytes, payload at 8.
func vespoPut(s *State, p []uint64) {
	m := s.Area(p[12], 24, 8)
	ttl, ok := lifetime(p[6], p[7])
	if !ok {
		s.putVespoError(m, 8, s.failure(&abi.KeyValueError{Code: abi.KeyValueInvalid, Reason: "the lifetime is out of range"}))
		return
	}
	results, failed := s.write(s.text(p[0], p[1]), abi.KeyValueChange{
		Key:      s.text(p[2], p[3]),
		Value:    s.Bytes(p[4], p[5]),
		Metadata: s.text(p[8], p[9]),
		TTL:      ttl,
		If:       condition(p[10], p[11]),
	})
	if failed != nil {
		s.putVespoError(m, 8, failed)
		return
	}
	m[0] = 0
	canonical.PutUint64(m, 8, results[0].Version)
}

// vespoDelete writes result<bool, error>: 16 bytes, payload at 4.
func vespoDelete(s *State, p []uint64) {
	m := s.Area(p[6], 16, 4)
	results, failed := s.write(s.text(p[0], p[1]), abi.KeyValueChange{
		Op:  abi.KeyValueDelete,
		Key: s.text(p[2], p[3]),
		If:  condition(p[4], p[5]),
	})
	if failed != nil {
		s.putVespoError(m, 4, failed)
		return
	}
	m[0], m[4] = 0, byteOf(results[0].Existed)
}

func byteOf(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// vespoAdd writes result<s64, error>: 24 bytes, payload at 8.
func vespoAdd(s *State, p []uint64) {
	m := s.Area(p[5], 24, 8)
	results, failed := s.write(s.text(p[0], p[1]), abi.KeyValueChange{Op: abi.KeyValueAdd, Key: s.text(p[2], p[3]), Delta: int64(p[4])})
	if failed != nil {
		s.putVespoError(m, 8, failed)
		return
	}
	m[0] = 0
	canonical.PutUint64(m, 8, uint64(results[0].Number))
}

// vespoList writes result<page, error>: 24 bytes, payload at 4: entries, then cursor, an option<string>. An entry has 40 bytes:
// key, metadata (8), version (16), expires (24).
func vespoList(s *State, p []uint64) {
	m := s.Area(p[8], 24, 4)
	page, failed := s.list(s.text(p[0], p[1]), s.text(p[2], p[3]), s.optionText(p[4:7]), int(min(p[7]&math.MaxUint32, math.MaxInt32)))
	if failed != nil {
		s.putVespoError(m, 4, failed)
		return
	}
	list := s.PutList(m, 4, len(page.Entries), 40, 8)
	for i, e := range page.Entries {
		to := list[40*i:]
		s.PutString(to, 0, e.Key)
		s.PutString(to, 8, e.Metadata)
		canonical.PutUint64(to, 16, e.Version)
		putExpires(to, 24, e)
	}
	s.putCursor(m, 12, page.Next)
	m[0] = 0
}

// putCursor writes an option<string>.
func (s *State) putCursor(m []byte, at int, cursor string) {
	if m[at] = 0; cursor != "" {
		s.PutString(m, at+4, cursor)
		m[at] = 1
	}
}
