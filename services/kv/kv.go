// Package kv defines the key-value stores of a server, and the part of them that one request of a guest may use.
//
// A [Stores] keeps the stores. Its promises are those that one embedded file and a replicated store such as etcd can both
// keep: a write is atomic and durable when it returns, a read sees every write that returned before it began, versions
// grow, and a list is a sequence of pages, each of one moment. The suite in storetest checks them. Package boltstore is
// the embedded implementation; an Opener opens those of engines that several hosts share.
//
// A [Session] is what a guest sees of the stores during one request: those that its service names, within the limits of a
// request.
package kv

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Limits of every store. They fit into one transaction of etcd with its defaults: 128 operations and 1.5 MiB.
const (
	MaxKeyBytes      = 512
	MaxMetadataBytes = 1 << 10
	MaxValueBytes    = 1 << 20
	MaxChanges       = 100                                            // of one write
	MaxChangeBytes   = MaxValueBytes + MaxKeyBytes + MaxMetadataBytes // of one write, keys, values and metadata
	MaxPage          = 1000                                           // keys of one page of a list
	MaxNameBytes     = 63                                             // of the name of a store
	MaxLife          = 100 * 365 * 24 * time.Hour                     // until a key expires
)

// EntryOverheadBytes is what the accounting adds to the sizes of the key, the value and the metadata of an entry.
const EntryOverheadBytes = 64

// MaxPageBytes bounds the values, keys and metadata of one page. The last entry may exceed it.
const MaxPageBytes = 4 << 20

// Errors of the methods of Stores, which wrap them with a reason. All others are failures of the host.
var (
	ErrNotFound  = errors.New("not found")
	ErrInvalid   = errors.New("invalid")
	ErrConflict  = errors.New("the version differs")
	ErrTooLarge  = errors.New("too large")
	ErrFull      = errors.New("full")
	ErrNotNumber = errors.New("not a whole number")
	// ErrUncertain means that the context ended, or the disk failed, before the result of a write was known. It may have
	// happened.
	ErrUncertain = errors.New("the result is not known")
	// ErrUnavailable means that the store cannot be read or written.
	ErrUnavailable = errors.New("unavailable")
)

// Version identifies a state of a key. Every write of a key in a store sets a greater one, also if the key or the store
// was deleted before. 0 is the version of an absent key.
type Version uint64

// Entry is a key that is present.
type Entry struct {
	Key       string
	Value     []byte
	Metadata  string
	Version   Version
	Expires   time.Time // zero: never
	SizeBytes int64     // as the quotas count it
}

// Op is the kind of a change.
type Op int

// The kinds of changes.
const (
	OpPut    Op = iota // sets value, metadata and expiry
	OpDelete           // deletes the key, if it is present
	OpAdd              // adds Delta to a decimal number. Metadata and expiry stay. An absent key is 0
)

// Change is a change of one key.
type Change struct {
	Op       Op
	Key      string
	Value    []byte    // of OpPut
	Metadata string    // of OpPut
	Expires  time.Time // of OpPut; zero: never. Whole milliseconds count
	Delta    int64     // of OpAdd
	// If, if set, is the version that the key must have. Otherwise the write fails with ErrConflict.
	If *Version
}

// Result is the result of a change.
type Result struct {
	Version Version // of the key after the change; 0 if it was deleted
	Existed bool    // the key was present before
	Number  int64   // of OpAdd: the sum
}

// Query selects the keys of a page, in the order of their bytes.
type Query struct {
	Prefix string
	After  string // the page begins behind this key; "": at the first one
	Limit  int    // 1 to MaxPage
	Values bool   // entries have their values
}

// Page is a part of a list.
type Page struct {
	Entries []Entry
	// Next is the After of the next page, or "" if this is the last one. A page may have fewer entries than the limit,
	// even none, although another one follows: expired keys and large values bound it, too, also without Values.
	Next string
}

// Usage is the size of a store or of all.
type Usage struct {
	Keys  int64
	Bytes int64
}

// Info describes a store.
type Info struct {
	Name string
	Usage
	// Problem is why the store cannot be used; "" if it can.
	Problem string
}

// Stores keeps stores. It is safe for concurrent use. A store exists from its first write until it is dropped. Reads of a
// store that does not exist find nothing.
type Stores interface {
	// Get returns an entry, or ErrNotFound.
	Get(ctx context.Context, store, key string) (Entry, error)
	// Write makes all changes or none of them, each of another key. They are durable when it returns.
	Write(ctx context.Context, store string, changes []Change) ([]Result, error)
	// List returns a page.
	List(ctx context.Context, store string, q Query) (Page, error)
	// All returns the stores that exist, by name.
	All(ctx context.Context) ([]Info, error)
	// Drop deletes a store with all of its keys, or returns ErrNotFound.
	Drop(ctx context.Context, store string) error
}

// Reject returns an error that matches one of the errors of this package.
func Reject(kind error, format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), kind)
}

// CheckName returns an error unless name can be the name of a store: lower-case letters, digits, - and _.
func CheckName(name string) error {
	ok := name != "" && len(name) <= MaxNameBytes
	for i := range len(name) {
		c := name[i]
		ok = ok && ('a' <= c && c <= 'z' || '0' <= c && c <= '9' || i > 0 && (c == '-' || c == '_'))
	}
	if !ok {
		return Reject(ErrInvalid, "the store name %.100q has to begin with a lower-case letter or a digit, "+
			"and to consist of at most %d of a-z, 0-9, - and _", name, MaxNameBytes)
	}
	return nil
}

// CheckKey returns an error unless key can be a key: UTF-8 without a NUL.
func CheckKey(key string) error {
	switch {
	case key == "":
		return Reject(ErrInvalid, "the key is empty")
	case len(key) > MaxKeyBytes:
		return Reject(ErrTooLarge, "the key has %d bytes, and at most %d are allowed", len(key), MaxKeyBytes)
	case !isText(key):
		return Reject(ErrInvalid, "the key %.100q is not UTF-8 without a NUL", key)
	}
	return nil
}

// CheckChanges returns an error unless the changes can be made in one write at a time.
func CheckChanges(changes []Change, now time.Time) error {
	if len(changes) > MaxChanges {
		return Reject(ErrTooLarge, "the write has %d changes, and at most %d are allowed", len(changes), MaxChanges)
	}
	total := 0
	seen := make(map[string]bool, len(changes))
	for _, c := range changes {
		if err := c.check(now); err != nil {
			return err
		}
		if seen[c.Key] {
			return Reject(ErrInvalid, "the write changes the key %.100q twice", c.Key)
		}
		seen[c.Key] = true
		total += len(c.Key) + len(c.Value) + len(c.Metadata)
	}
	if total > MaxChangeBytes {
		return Reject(ErrTooLarge, "the write has %d bytes, and at most %d are allowed", total, MaxChangeBytes)
	}
	return nil
}

func (c Change) check(now time.Time) error {
	if err := CheckKey(c.Key); err != nil {
		return err
	}
	switch {
	case c.Op < OpPut || c.Op > OpAdd:
		return Reject(ErrInvalid, "there is no change of kind %d", c.Op)
	case len(c.Value) > MaxValueBytes:
		return Reject(ErrTooLarge, "the value has %d bytes, and at most %d are allowed", len(c.Value), MaxValueBytes)
	case len(c.Metadata) > MaxMetadataBytes:
		return Reject(ErrTooLarge, "the metadata has %d bytes, and at most %d are allowed", len(c.Metadata), MaxMetadataBytes)
	case !isText(c.Metadata):
		return Reject(ErrInvalid, "the metadata is not UTF-8 without a NUL")
	case c.Expires.After(now.Add(MaxLife)):
		return Reject(ErrInvalid, "the key would expire in more than %d years", MaxLife/(365*24*time.Hour))
	}
	return nil
}

// Check returns an error unless the query can be answered.
func (q Query) Check() error {
	switch {
	case q.Limit < 1 || q.Limit > MaxPage:
		return Reject(ErrInvalid, "the limit is %d: it must be between 1 and %d", q.Limit, MaxPage)
	case len(q.Prefix) > MaxKeyBytes || len(q.After) > MaxKeyBytes:
		return Reject(ErrTooLarge, "the prefix or the cursor is longer than a key, which has at most %d bytes", MaxKeyBytes)
	case !isText(q.Prefix) || !isText(q.After):
		return Reject(ErrInvalid, "the prefix or the cursor is not UTF-8 without a NUL")
	}
	return nil
}

func isText(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return false
		}
	}
	return utf8.ValidString(s)
}
