package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync"

	"github.com/vespo-dev/vespo/internal/regular"
)

// bookName is the name of the book's file in the handler's directory.
const bookName = "functions.json"

// record is the state of a function that its service in the catalogue does not hold.
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

// book stores the records on disk. It is safe for concurrent use.
type book struct {
	directory string // immutable; empty: in memory only

	mu      sync.Mutex
	records map[string]record // guarded by mu; values are never changed
}

// maxBookBytes bounds the file of the book.
const maxBookBytes = 64 << 20

// openBook reads the book. A missing file is an empty book.
func openBook(directory string) (*book, error) {
	b := &book{directory: directory, records: make(map[string]record)}
	if directory == "" {
		return b, nil
	}
	text, err := regular.ReadFile(filepath.Join(directory, bookName), maxBookBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return b, nil
	case err == nil:
		err = json.Unmarshal(text, &b.records)
	}
	if err != nil {
		return nil, fmt.Errorf("read the records of functions: %w", err)
	}
	return b, nil
}

// get returns the record of a function, which the caller must not change.
func (b *book) get(name string) record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.records[name]
}

// change applies f to a copy of a function's record and writes the book
// to disk before publishing it. If f or the write fails, nothing changes.
func (b *book) change(name string, f func(*record) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var own record
	text, err := json.Marshal(b.records[name]) // deep copy
	if err == nil {
		err = json.Unmarshal(text, &own)
	}
	if err != nil {
		return err
	}
	if err := f(&own); err != nil {
		return err
	}
	next := make(map[string]record, len(b.records)+1)
	for other, r := range b.records {
		next[other] = r
	}
	if next[name] = own; reflect.DeepEqual(own, record{}) {
		delete(next, name)
	}
	return b.replaceLocked(next)
}

// forget drops the record of a removed function. If the file cannot be written, the
// record stays on disk until the next change, as the function is already removed.
func (b *book) forget(name string, log *slog.Logger) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := make(map[string]record, len(b.records))
	for other, r := range b.records {
		if other != name {
			next[other] = r
		}
	}
	if err := b.replaceLocked(next); err != nil {
		b.records = next
		log.Error("the record of a removed function is still on disk", slog.String("function", name), slog.Any("error", err))
	}
}

// replaceLocked replaces the file, so that a crash leaves either the old or the new one.
func (b *book) replaceLocked(next map[string]record) error {
	if b.directory != "" {
		text, err := json.MarshalIndent(next, "", " ")
		if err != nil {
			return err
		}
		if err := replaceFile(b.directory, bookName, text); err != nil {
			return fmt.Errorf("write the records of functions: %w", err)
		}
	}
	b.records = next
	return nil
}

// replaceFile atomically replaces the named file.
func replaceFile(directory, name string, text []byte) error {
	temp := filepath.Join(directory, name+".new")
	f, err := regular.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(directory, name)); err != nil {
		return err
	}
	dir, err := regular.Open(directory)
	if err != nil {
		return err
	}
	_ = dir.Sync() // best effort: not every system can sync a directory
	return dir.Close()
}
