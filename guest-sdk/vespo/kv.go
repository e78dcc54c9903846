package vespo

import (
	"errors"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// A Store is a key-value store of this service. Its content outlives requests, versions and restarts. Services that name
// the same store share it.
//
// A key is UTF-8 text of 1 to 512 bytes without a NUL, a value has at most 1 MiB. Returned errors are of type *[KVError].
// Operations block the whole guest, and the deadline of the request applies to them.
type Store struct{ name string }

// KV returns the store with this name. The service needs it (vespo add --kv). A missing store is reported by its methods.
func KV(name string) Store { return Store{name} }

// An Entry is a key that is present.
type Entry struct {
	Key      string
	Value    []byte // nil in a list
	Metadata string
	Version  uint64    // grows with each write of the key
	Expires  time.Time // zero: never
}

// PutOptions are the options of [Store.PutWith]. The zero value has none.
type PutOptions struct {
	TTL      time.Duration // until the key expires, in whole milliseconds; 0: never
	Metadata string        // UTF-8 text of at most 1024 bytes without a NUL, such as JSON
	// Match makes the write fail with [ErrKVConflict] unless the key has Version, or is absent if Version is 0.
	Match   bool
	Version uint64
}

const anyVersion = -1

// Parts of an entry.
const (
	partValue    = 0
	partMetadata = 1
	partVersion  = 2
	partExpires  = 3
)

// Get returns the value of a key, or [ErrKVNotFound].
func (s Store) Get(key string) ([]byte, error) {
	var failed int64
	value := abi.Bytes(func(buf []byte) uint32 { return size32(kvGet(s.name, key, buf), &failed) }, func(buf []byte) uint32 {
		return size32(kvEntry(partValue, buf), &failed)
	})
	return value, s.result(key, failed)
}

// Entry returns a key with its metadata, version and expiry, or [ErrKVNotFound].
func (s Store) Entry(key string) (*Entry, error) {
	value, err := s.Get(key)
	if err != nil {
		return nil, err
	}
	var failed int64
	e := &Entry{
		Key:      key,
		Value:    value,
		Metadata: abi.Text(func(buf []byte) uint32 { return size32(kvEntry(partMetadata, buf), &failed) }),
		Version:  uint64(kvEntry(partVersion, nil)),
		Expires:  expires(kvEntry(partExpires, nil)),
	}
	return e, s.result(key, failed)
}

// Put sets the value of a key. The key does not expire and has no metadata.
func (s Store) Put(key string, value []byte) error {
	_, err := s.PutWith(key, value, PutOptions{})
	return err
}

// PutWith sets a key with options, and returns its new version.
func (s Store) PutWith(key string, value []byte, o PutOptions) (version uint64, err error) {
	condition := int64(anyVersion)
	if o.Match {
		condition = int64(o.Version)
	}
	ttl := int64(o.TTL / time.Millisecond)
	if o.TTL != 0 && ttl == 0 || o.TTL < 0 {
		return 0, s.result(key, int64(ErrKVInvalid))
	}
	result := kvPut(s.name, key, value, o.Metadata, ttl, condition)
	return uint64(max(result, 0)), s.result(key, min(result, 0))
}

// Delete deletes a key, if it is present.
func (s Store) Delete(key string) error {
	return s.result(key, int64(min(kvDelete(s.name, key, anyVersion), 0)))
}

// DeleteMatch deletes a key that has this version, or returns [ErrKVConflict].
func (s Store) DeleteMatch(key string, version uint64) error {
	return s.result(key, int64(min(kvDelete(s.name, key, int64(version)), 0)))
}

// Add adds delta to a decimal number and returns the sum. Requests at the same time lose nothing. An absent key is 0. Its metadata and expiry stay.
func (s Store) Add(key string, delta int64) (sum int64, err error) {
	code := kvAdd(s.name, key, delta, &sum)
	return sum, s.result(key, int64(code))
}

// maxUpdates is the number of times that Update calls change.
const maxUpdates = 20

// Update changes a key to the value that change returns for the current one, which is nil if the key is absent. If another
// request writes the key at the same time, it begins again with the new value, and fails with [ErrKVConflict] after 20 times.
// An error of change is returned, and the key stays as it is. The new value does not expire and has no metadata.
func (s Store) Update(key string, change func(old []byte) ([]byte, error)) error {
	for range maxUpdates {
		old, err := s.Get(key)
		if err != nil && !errors.Is(err, ErrKVNotFound) {
			return err
		}
		version := uint64(0)
		if err == nil {
			version = uint64(kvEntry(partVersion, nil))
		}
		value, err := change(old)
		if err != nil {
			return err
		}
		if _, err = s.PutWith(key, value, PutOptions{Match: true, Version: version}); !errors.Is(err, ErrKVConflict) {
			return err
		}
	}
	return s.result(key, int64(ErrKVConflict))
}

// ListOptions select the keys of a [Page].
type ListOptions struct {
	Prefix string
	Cursor string // Next of the page before, or "" for the first page
	Limit  int    // 1 to 1000; 0 means 1000
}

// A Page is a part of the keys of a store, in the order of their bytes.
type Page struct {
	Entries []Entry // without values
	Next    string  // cursor of the next page; "" if this is the last one. A page with a Next may be empty
}

// List returns a page of keys.
func (s Store) List(o ListOptions) (*Page, error) {
	if o.Limit == 0 {
		o.Limit = 1000
	}
	var failed int64
	asked := false
	list := abi.List(func(buf []byte) uint64 {
		var packed int64
		if asked {
			packed = kvPage(buf)
		} else {
			packed = kvList(s.name, o.Prefix, o.Cursor, int32(o.Limit), buf)
		}
		asked = true
		failed = min(packed, 0)
		return uint64(max(packed, 0))
	})
	if failed != 0 || len(list) == 0 {
		return nil, s.result(o.Prefix, min(failed, int64(ErrKVNotFound)))
	}
	page := &Page{Next: list[0]}
	for at := list[1:]; len(at) >= 4; at = at[4:] {
		version, _ := strconv.ParseUint(at[1], 10, 64) // the host writes numbers
		milliseconds, _ := strconv.ParseInt(at[2], 10, 64)
		page.Entries = append(page.Entries, Entry{Key: at[0], Version: version, Expires: expires(milliseconds), Metadata: at[3]})
	}
	return page, nil
}

// size32 returns a length, or 0 and sets failed.
func size32(n int64, failed *int64) uint32 {
	if n < 0 {
		*failed = n
		return 0
	}
	return uint32(n)
}

func expires(milliseconds int64) time.Time {
	if milliseconds <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}

// result returns the error for a code, or nil for 0.
func (s Store) result(key string, code int64) error {
	if code == 0 {
		return nil
	}
	return &KVError{s.name, key, KVCode(code)}
}

// A KVCode is the reason for the failure of an operation on a [Store]. Codes are errors. To test for one, use [errors.Is].
type KVCode int32

// The codes that the host returns.
const (
	ErrKVNotFound    KVCode = -1  // the key is not present
	ErrKVInvalid     KVCode = -2  // invalid key, metadata, TTL, limit or cursor
	ErrKVNoStore     KVCode = -3  // the service has no store of this name
	ErrKVTooMany     KVCode = -4  // too many operations or bytes during this request
	ErrKVConflict    KVCode = -5  // the key does not have the expected version
	ErrKVTooLarge    KVCode = -6  // the key, the value or the metadata is too large
	ErrKVDeadline    KVCode = -7  // the request's deadline has passed
	ErrKVFull        KVCode = -8  // the store or the server has no room
	ErrKVUnavailable KVCode = -9  // the store cannot be used, or the call is in an init function
	ErrKVNotNumber   KVCode = -10 // the value is not a decimal number, or the sum exceeds 64 bits
)

func (c KVCode) Error() string {
	switch c {
	case ErrKVNotFound:
		return "the key is not present"
	case ErrKVInvalid:
		return "the key, metadata, TTL, limit or cursor is not valid"
	case ErrKVNoStore:
		return "this service has no such store"
	case ErrKVTooMany:
		return "too many key-value operations"
	case ErrKVConflict:
		return "the key has another version"
	case ErrKVTooLarge:
		return "the key, the value or the metadata is too large"
	case ErrKVDeadline:
		return "out of time"
	case ErrKVFull:
		return "the store is full"
	case ErrKVUnavailable:
		return "the store is unavailable"
	case ErrKVNotNumber:
		return "the value is not a number, or the sum is too large"
	}
	return "unknown failure"
}

// A KVError reports the failure of an operation on a [Store].
type KVError struct {
	Store string
	Key   string
	Code  KVCode
}

func (e *KVError) Error() string {
	return "vespo: store " + e.Store + ", key " + strconv.Quote(e.Key) + ": " + e.Code.Error()
}

// Unwrap returns e.Code, so that [errors.Is] matches codes.
func (e *KVError) Unwrap() error { return e.Code }
