package durable

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

// Dir returns the FS of an existing directory.
func Dir(path string) FS { return dir{path: path} }

// dir implements FS with the operating system's files.
type dir struct {
	path string // immutable
}

func (d dir) at(name string) string { return filepath.Join(d.path, filepath.FromSlash(name)) }

func (d dir) MkdirAll(name string) error { return MkdirAll(d.at(name)) }

// MkdirAll is os.MkdirAll with DirMode, followed by an fsync of the parent of each new directory.
func MkdirAll(path string) error {
	parent := filepath.Dir(path)
	if _, err := os.Stat(path); err == nil {
		return nil
	} else if parent != path && errors.Is(err, fs.ErrNotExist) {
		if err := MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, DirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}

func (d dir) ReadDir(name string) ([]Entry, error) {
	found, err := os.ReadDir(d.at(name))
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(found))
	for _, e := range found {
		entries = append(entries, Entry{Name: e.Name(), Regular: e.Type().IsRegular(), Dir: e.IsDir()})
	}
	return entries, nil
}

func (d dir) ReadFile(name string, most int64) ([]byte, error) {
	info, err := os.Stat(d.at(name))
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s", ErrIrregular, info.Mode())
	case info.Size() > most:
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, info.Size())
	}
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // opened for reading only
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, err
	}
	return data, nil
}

func (d dir) Open(name string) (io.ReadSeekCloser, error) {
	f, err := regular.Open(d.at(name))
	switch {
	case errors.Is(err, regular.ErrSpecial):
		return nil, fmt.Errorf("%w: %w", ErrIrregular, err)
	case err != nil:
		return nil, err
	}
	return f, nil
}

func (d dir) Create(name string, mode fs.FileMode) (File, error) {
	return regular.OpenFile(d.at(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
}

func (d dir) Rename(from, to string) error { return os.Rename(d.at(from), d.at(to)) }

func (d dir) Remove(name string) error { return os.Remove(d.at(name)) }

func (d dir) SyncDir(name string) error { return SyncDir(d.at(name)) }

// SyncDir makes the names in a directory durable. Windows has no such call: there, a rename is as durable as
// NTFS's journal makes it.
func SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := regular.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
