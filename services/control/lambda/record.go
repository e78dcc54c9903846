package lambda

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
)

// recordKind is the kind of the catalogue's records that hold functions.
const recordKind = "lambda"

// recordOf returns the name of the record of a function.
func recordOf(function string) string { return recordKind + "/" + function }

// record is the state of a function that its service in the catalogue does not hold. It is a record of the same
// catalogue, so that both change in one commit.
type record struct {
	Role        string            `json:"role,omitempty"`
	Handler     string            `json:"handler,omitempty"`
	Runtime     string            `json:"runtime,omitempty"`
	Description string            `json:"description,omitempty"`
	MemorySize  int               `json:"memory_size,omitempty"` // MiB; for programs, where it has no effect
	LastVersion int               `json:"last_version,omitempty"`
	Aliases     map[string]*alias `json:"aliases,omitempty"`
	Concurrency *int              `json:"concurrency,omitempty"`
	URL         *functionURL      `json:"url,omitempty"`
}

// alias refers to a version. Weights may send a share of the invocations to other versions.
type alias struct {
	Version     string             `json:"version"`
	Weights     map[string]float64 `json:"weights,omitempty"`
	Description string             `json:"description,omitempty"`
	Revision    string             `json:"revision"`
}

// functionURL records that the function has a URL.
type functionURL struct {
	Created  string `json:"created"`
	Modified string `json:"modified"`
}

// decodeRecord returns the content of a record, each time a new one.
func decodeRecord(r registry.Record) (own record, err error) {
	if r.Equal(registry.Record{}) {
		return record{}, nil
	}
	if r.Kind != recordKind {
		return record{}, fmt.Errorf("a record of functions has the kind %.80q", r.Kind)
	}
	if err := json.Unmarshal([]byte(r.Manifest), &own); err != nil {
		return record{}, fmt.Errorf("read the record of a function: %w", err)
	}
	return own, nil
}

// editOf returns the edit that applies f to a record. If f fails, nothing changes, here and in the catalogue: f gets
// a copy of its own. A record that cannot be read is not written over.
func editOf(f func(*record) error) deploy.Edit {
	return func(current registry.Record) (registry.Record, error) {
		own, err := decodeRecord(current)
		if err == nil {
			err = f(&own)
		}
		if err != nil || reflect.DeepEqual(own, record{}) {
			return registry.Record{}, err
		}
		text, err := json.Marshal(own)
		return registry.Record{Kind: recordKind, Manifest: registry.Manifest(text), Blobs: current.Blobs}, err
	}
}

// book reads the records of functions. It keeps what it has decoded, because every invocation asks. It is safe for
// concurrent use.
type book struct {
	stored func(name string) registry.Record // immutable

	mu      sync.Mutex
	decoded map[string]decoded // guarded by mu; by function name. Values are never changed
}

// decoded is a record with the manifest that it was decoded from.
type decoded struct {
	manifest registry.Manifest
	record   record
}

func newBook(stored func(name string) registry.Record) *book {
	return &book{stored: stored, decoded: make(map[string]decoded)}
}

// get returns the record of a function, which the caller must not change. Without a record, or with one that cannot
// be read, it is the zero record.
func (b *book) get(name string) record {
	stored := b.stored(recordOf(name))
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.decoded[name]; ok && known.manifest == stored.Manifest {
		return known.record
	}
	own, err := decodeRecord(stored)
	if err != nil || stored.Manifest == "" {
		delete(b.decoded, name) // a name without a function must not take memory
		return record{}
	}
	b.decoded[strings.Clone(name)] = decoded{manifest: stored.Manifest, record: own} // the name may be a part of a request
	return own
}
