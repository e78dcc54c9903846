package kv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
)

// Limits of one request of a guest, or of one event.
const (
	MaxOperations   = 1000     // reads, pages and changes
	MaxRequestBytes = 64 << 20 // of keys, values and metadata, read and written
)

// MaxBindings is the number of stores of one service.
const MaxBindings = 16

// Bindings are the stores of one service. They are immutable.
type Bindings struct {
	stores Stores
	byName map[string]string // names of stores, by what the guest calls them
}

// ParseBindings parses a service's list, whose entries are STORE or NAME=STORE. It returns the predicates of all
// violations.
func ParseBindings(list []string) (map[string]string, []string) {
	byName, violations := make(map[string]string), []string(nil)
	if len(list) > MaxBindings {
		return nil, []string{fmt.Sprintf("has %d entries: at most %d are allowed", len(list), MaxBindings)}
	}
	for _, entry := range list {
		name, store, named := strings.Cut(entry, "=")
		if !named {
			store = name
		}
		switch {
		case CheckName(store) != nil:
			violations = append(violations, fmt.Sprintf("has the entry %.200q: the name of a store has 1 to %d of a-z, 0-9, - and _, "+
				"and begins with a letter or digit", entry, MaxNameBytes))
		case named && !validBinding(name):
			violations = append(violations, fmt.Sprintf("has the entry %.200q: the name in front of = has 1 to %d letters, digits, -, _ and .", entry, MaxNameBytes))
		case byName[name] != "":
			violations = append(violations, fmt.Sprintf("has the name %.200q twice", name))
		default:
			byName[name] = store
		}
	}
	return byName, violations
}

// validBinding reports whether a guest can know a store by this name, such as the NAME of JavaScript's env.NAME.
func validBinding(name string) bool {
	return name != "" && len(name) <= MaxNameBytes && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// NewBindings returns the Bindings of a valid list, or nil if it is empty.
func NewBindings(stores Stores, list []string) *Bindings {
	byName, _ := ParseBindings(list)
	if stores == nil || len(byName) == 0 {
		return nil
	}
	return &Bindings{stores, byName}
}

// ForRequest returns the stores for one request or event, which ends at the deadline.
func (b *Bindings) ForRequest(deadline time.Time) *Session {
	return &Session{bindings: b, deadline: deadline}
}

// Session implements abi.KeyValue for one request, within its limits. One goroutine uses it at a time.
type Session struct {
	bindings   *Bindings // immutable
	deadline   time.Time // immutable
	readOnly   bool      // set before the first operation
	operations int
	bytes      int
}

// RefuseWrites makes all writes fail. It is called before the first operation.
func (s *Session) RefuseWrites() { s.readOnly = true }

var _ abi.KeyValue = (*Session)(nil)

// Operations returns the number of operations so far, failed ones included. It is 0 for a nil Session.
func (s *Session) Operations() int {
	if s == nil {
		return 0
	}
	return s.operations
}

// Has implements abi.KeyValue.
func (s *Session) Has(name string) bool { return s.bindings.byName[name] != "" }

// begin counts operations of a size, and returns the store and the context for them.
func (s *Session) begin(ctx context.Context, name string, operations, bytes int) (string, context.Context, context.CancelFunc, error) {
	store := s.bindings.byName[name]
	if store == "" {
		return "", nil, nil, fail(abi.KeyValueNoStore, "the service has no store %.100q: deploy it with kv", name)
	}
	if s.operations += operations; s.operations > MaxOperations {
		return "", nil, nil, fail(abi.KeyValueTooMany, "the request makes more than %d operations", MaxOperations)
	}
	if err := s.take(bytes); err != nil {
		return "", nil, nil, err
	}
	ctx, cancel := context.WithDeadline(ctx, s.deadline)
	return store, ctx, cancel, nil
}

// take counts bytes that were read or are to be written.
func (s *Session) take(bytes int) error {
	if s.bytes += bytes; s.bytes > MaxRequestBytes {
		return fail(abi.KeyValueTooMany, "the request reads and writes more than %d bytes", MaxRequestBytes)
	}
	return nil
}

// Get implements abi.KeyValue.
func (s *Session) Get(ctx context.Context, name, key string) (abi.KeyValueEntry, error) {
	store, ctx, cancel, err := s.begin(ctx, name, 1, len(key))
	if err != nil {
		return abi.KeyValueEntry{}, err
	}
	defer cancel()
	e, err := s.bindings.stores.Get(ctx, store, key)
	if err != nil {
		return abi.KeyValueEntry{}, asKeyValueError(err)
	}
	return entryOf(e), s.take(len(e.Value) + len(e.Metadata))
}

// Write implements abi.KeyValue.
func (s *Session) Write(ctx context.Context, name string, changes []abi.KeyValueChange) ([]abi.KeyValueResult, error) {
	if s.readOnly {
		return nil, fail(abi.KeyValueUnavailable, "the request is a copy for a mirror, which cannot write")
	}
	bytes := 0
	for _, c := range changes {
		bytes += len(c.Key) + len(c.Value) + len(c.Metadata)
	}
	store, ctx, cancel, err := s.begin(ctx, name, max(1, len(changes)), bytes)
	if err != nil {
		return nil, err
	}
	defer cancel()
	list := make([]Change, 0, len(changes))
	for _, c := range changes {
		list = append(list, changeOf(c, time.Now()))
	}
	if err := CheckChanges(list, time.Now()); err != nil {
		return nil, asKeyValueError(err)
	}
	for i := range list { // belongs to the guest, which may end before the change is made
		list[i].Value = slices.Clone(list[i].Value)
	}
	found, err := s.bindings.stores.Write(ctx, store, list)
	if err != nil {
		return nil, asKeyValueError(err)
	}
	results := make([]abi.KeyValueResult, 0, len(found))
	for _, r := range found {
		results = append(results, abi.KeyValueResult{Version: uint64(r.Version), Existed: r.Existed, Number: r.Number})
	}
	return results, nil
}

// List implements abi.KeyValue.
func (s *Session) List(ctx context.Context, name, prefix, cursor string, limit int) (abi.KeyValuePage, error) {
	store, ctx, cancel, err := s.begin(ctx, name, 1, len(prefix)+len(cursor))
	if err != nil {
		return abi.KeyValuePage{}, err
	}
	defer cancel()
	found, err := s.bindings.stores.List(ctx, store, Query{Prefix: prefix, After: cursor, Limit: limit})
	if err != nil {
		return abi.KeyValuePage{}, asKeyValueError(err)
	}
	page := abi.KeyValuePage{Next: found.Next, Entries: make([]abi.KeyValueEntry, 0, len(found.Entries))}
	bytes := 0
	for _, e := range found.Entries {
		bytes += len(e.Key) + len(e.Metadata)
		page.Entries = append(page.Entries, entryOf(e))
	}
	return page, s.take(bytes)
}

func entryOf(e Entry) abi.KeyValueEntry {
	return abi.KeyValueEntry{Key: e.Key, Value: e.Value, Metadata: e.Metadata, Version: uint64(e.Version), Expires: e.Expires}
}

func changeOf(c abi.KeyValueChange, now time.Time) Change {
	change := Change{Op: Op(c.Op), Key: c.Key, Value: c.Value, Metadata: c.Metadata, Delta: c.Delta}
	if c.TTL > 0 {
		change.Expires = now.Add(c.TTL)
	}
	if c.If != nil {
		v := Version(*c.If)
		change.If = &v
	}
	return change
}

func fail(code abi.KeyValueCode, format string, args ...any) *abi.KeyValueError {
	return &abi.KeyValueError{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// asKeyValueError returns the error for the guest.
func asKeyValueError(err error) error {
	for _, known := range [...]struct {
		err  error
		code abi.KeyValueCode
	}{
		{ErrUncertain, abi.KeyValueDeadline},
		{context.DeadlineExceeded, abi.KeyValueDeadline},
		{context.Canceled, abi.KeyValueDeadline},
		{ErrNotFound, abi.KeyValueNotFound},
		{ErrInvalid, abi.KeyValueInvalid},
		{ErrConflict, abi.KeyValueConflict},
		{ErrTooLarge, abi.KeyValueTooLarge},
		{ErrFull, abi.KeyValueFull},
		{ErrNotNumber, abi.KeyValueNotNumber},
	} {
		if errors.Is(err, known.err) {
			return &abi.KeyValueError{Code: known.code, Reason: err.Error()}
		}
	}
	return &abi.KeyValueError{Code: abi.KeyValueUnavailable, Reason: err.Error()}
}
