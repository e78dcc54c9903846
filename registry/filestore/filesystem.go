package filestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vespo-dev/vespo/internal/regular"
)

// Modes of created files: modules may contain secrets of their owners.
const (
	dirMode  = 0o700
	fileMode = 0o600
)

// fileSystem is an interface through which tests inject faults and crashes. Names are relative to the store's
// directory and use slashes. An operation is durable only after the stated sync. Errors match fs.ErrNotExist
// if a file is missing.
type fileSystem interface {
	MkdirAll(dir string) error                        // with parents; durable when it returns
	ReadDir(dir string) ([]entry, error)              // sorted by name
	ReadFile(name string, most int64) ([]byte, error) // fails with errTooLarge above most bytes, or errIrregular
	Create(name string) (file, error)                 // fails with fs.ErrExist if the name exists; durable with SyncDir
	Rename(from, to string) error                     // replaces a file atomically; durable with SyncDir of to's directory
	Remove(name string) error                         // removes a file; durable with SyncDir
	SyncDir(dir string) error
}

// file is a file being written.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

// entry is an entry of a directory.
type entry struct {
	name    string
	regular bool // a file, not a directory, link or device
}

// Errors of ReadFile for files that the store cannot have written.
var (
	errTooLarge  = errors.New("file is too large to be one of the store's")
	errIrregular = errors.New("not a regular file")
)

// osFileSystem implements fileSystem with the operating system's files.
type osFileSystem struct {
	dir string // immutable
}

func (o osFileSystem) path(name string) string { return filepath.Join(o.dir, filepath.FromSlash(name)) }

func (o osFileSystem) MkdirAll(dir string) error { return mkdirAllDurably(o.path(dir)) }

// mkdirAllDurably is os.MkdirAll followed by an fsync of the parent of each new directory.
func mkdirAllDurably(path string) error {
	parent := filepath.Dir(path)
	if _, err := os.Stat(path); err == nil {
		return nil
	} else if parent != path && errors.Is(err, fs.ErrNotExist) {
		if err := mkdirAllDurably(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

func (o osFileSystem) ReadDir(dir string) ([]entry, error) {
	found, err := os.ReadDir(o.path(dir))
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, e := range found {
		entries = append(entries, entry{name: e.Name(), regular: e.Type().IsRegular()})
	}
	return entries, nil
}

func (o osFileSystem) ReadFile(name string, most int64) ([]byte, error) {
	info, err := os.Stat(o.path(name))
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s", errIrregular, info.Mode())
	case info.Size() > most:
		return nil, fmt.Errorf("%w: %d bytes", errTooLarge, info.Size())
	}
	f, err := regular.Open(o.path(name))
	switch {
	case errors.Is(err, regular.ErrSpecial):
		return nil, fmt.Errorf("%w: %w", errIrregular, err)
	case err != nil:
		return nil, err
	}
	defer f.Close() // opened for reading only
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, err
	}
	return data, nil
}

func (o osFileSystem) Create(name string) (file, error) {
	return regular.OpenFile(o.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
}

func (o osFileSystem) Rename(from, to string) error { return os.Rename(o.path(from), o.path(to)) }

func (o osFileSystem) Remove(name string) error { return os.Remove(o.path(name)) }

func (o osFileSystem) SyncDir(dir string) error { return syncDir(o.path(dir)) }

// syncDir makes the names in a directory durable. Windows has no such call: there, a rename is as durable as
// NTFS's journal makes it.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := regular.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
