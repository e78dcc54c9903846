package abi

import (
	"context"
	"fmt"
	"time"
)

// KeyValueCode is the reason why an operation on a key-value store failed, as the
// number that guests receive. The guest SDK's ABI.md describes the interface.
type KeyValueCode int32

// The codes.
const (
	KeyValueNotFound    KeyValueCode = -1  // the key is not present
	KeyValueInvalid     KeyValueCode = -2  // malformed key, metadata, lifetime, limit or cursor
	KeyValueNoStore     KeyValueCode = -3  // the service has no store of this name
	KeyValueTooMany     KeyValueCode = -4  // too many operations or bytes in this request
	KeyValueConflict    KeyValueCode = -5  // the key does not have the expected version
	KeyValueTooLarge    KeyValueCode = -6  // the key, the value or the metadata exceeds the limit
	KeyValueDeadline    KeyValueCode = -7  // the request's deadline has passed
	KeyValueFull        KeyValueCode = -8  // the store or the server has no room
	KeyValueUnavailable KeyValueCode = -9  // the store cannot be used, or not at this time
	KeyValueNotNumber   KeyValueCode = -10 // the value is not a number, or the sum exceeds 64 bits
)

// KeyValueError is a failed operation. Code is for the guest, Reason for the service's log.
type KeyValueError struct {
	Code   KeyValueCode
	Reason string
}

func (e *KeyValueError) Error() string { return fmt.Sprintf("key-value (%d): %s", e.Code, e.Reason) }

// Routine reports whether the failure is an expected result, which is not logged.
func (e *KeyValueError) Routine() bool {
	return e.Code == KeyValueNotFound || e.Code == KeyValueConflict
}

// KeyValueEntry is a key that is present.
type KeyValueEntry struct {
	Key      string
	Value    []byte // nil in a page
	Metadata string
	Version  uint64    // greater than 0, and greater with each write
	Expires  time.Time // zero: never
}

// KeyValueOp is the kind of a change.
type KeyValueOp int

// The kinds of changes.
const (
	KeyValuePut KeyValueOp = iota
	KeyValueDelete
	KeyValueAdd // adds to a decimal number
)

// KeyValueChange is a change of one key.
type KeyValueChange struct {
	Op       KeyValueOp
	Key      string
	Value    []byte        // of KeyValuePut; not kept
	Metadata string        // of KeyValuePut
	TTL      time.Duration // of KeyValuePut; 0: the key does not expire
	Delta    int64         // of KeyValueAdd
	If       *uint64       // version that the key must have, 0 if it must be absent; nil: any
}

// KeyValueResult is the result of a change.
type KeyValueResult struct {
	Version uint64 // of the key after the change; 0 if it was deleted
	Existed bool   // the key was present before
	Number  int64  // of KeyValueAdd: the sum
}

// KeyValuePage is a part of the keys of a store, in the order of their bytes.
type KeyValuePage struct {
	Entries []KeyValueEntry
	Next    string // cursor of the next page; "" if this is the last one
}

// KeyValue is the part of the server's key-value stores that a guest can use during one request or event. Stores are named as the
// service names them. Errors are *KeyValueError. The methods wait.
type KeyValue interface {
	// Has reports whether the service has a store of this name.
	Has(store string) bool
	Get(ctx context.Context, store, key string) (KeyValueEntry, error)
	// Write makes all changes or none of them. A failure with KeyValueDeadline may have made them.
	Write(ctx context.Context, store string, changes []KeyValueChange) ([]KeyValueResult, error)
	// List returns a page of the keys that begin with prefix. cursor is "" or the Next of the page before.
	List(ctx context.Context, store, prefix, cursor string, limit int) (KeyValuePage, error)
}
