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

// bookName is the file of the book in the handler's directory.
const bookName = "functions.json"

// record is what is kept of a function beside its service.
type record struct {
	Role        string            `json:"role,omitempty"`
	Handler     string            `json:"handler,omitempty"`
	Runtime     string            `json:"runtime,omitempty"`
	Description string            `json:"description,omitempty"`
	MemorySize  int               `json:"memory_size,omitempty"` // MiB; of programs, where it has no effect
	LastVersion int               `json:"last_version,omitempty"`
	Aliases     map[string]*alias `json:"aliases,omitempty"`
	Concurrency *int              `json:"concurrency,omitempty"`
	URL         *functionURL      `json:"url,omitempty"`
}

// alias leads to a version, and perhaps with some weight to others.
type alias struct {
	Version     string             `json:"version"`
	Weights     map[string]float64 `json:"weights,omitempty"`
	Description string             `json:"description,omitempty"`
	Revision    string             `json:"revision"`
}

// functionURL says that a function is called by HTTP.
type functionURL struct {
	Created  string `json:"created"`
	Modified string `json:"modified"`
}

// book keeps the records on disk. It is safe for concurrent use.
type book struct {
	directory string // immutable; empty: they are kept in memory alone

	mu      sync.Mutex
	records map[string]record // guarded by mu; values are not changed
}

// maxBookBytes bounds the book.
const maxBookBytes = 64 << 20

// openBook reads the book, which may not be there yet.
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
		return nil, fmt.Errorf("read what is kept of functions: %w", err)
	}
	return b, nil
}

// get gives what is kept of a function. It must not be changed.
func (b *book) get(name string) record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.records[name]
}

// change changes what is kept of a function, on disk first. An error of f changes nothing.
func (b *book) change(name string, f func(*record) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var own record
	text, err := json.Marshal(b.records[name]) // a deep copy
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

// forget drops what is kept of a function that is removed. A file that cannot be written keeps the record until the next change: the
// removal has happened all the same.
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

// replaceLocked writes a new file in place of the old one, so that a crash leaves either.
func (b *book) replaceLocked(next map[string]record) error {
	if b.directory != "" {
		text, err := json.MarshalIndent(next, "", " ")
		if err != nil {
			return err
		}
		if err := replaceFile(b.directory, bookName, text); err != nil {
			return fmt.Errorf("keep what is known of functions: %w", err)
		}
	}
	b.records = next
	return nil
}

// replaceFile puts a file with this content in place of the one that has the name.
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
	_ = dir.Sync() // some systems cannot
	return dir.Close()
}
