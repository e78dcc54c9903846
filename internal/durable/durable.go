// Package durable writes files that survive a crash of the process and of the machine.
//
// A file is written under a temporary name, fsynced and renamed to its place, and the directory of that place is
// fsynced. A reader therefore finds the old content or the new one, and never a part of either. [Files] has these
// steps. They run on an [FS]: [Dir] is a directory of the operating system, and package crashfs is a model of one
// in memory, in which tests inject faults and crashes.
//
// Files that their owner cannot have written are not deleted but set aside, because they may be all that is left
// of something.
package durable

import (
	"errors"
	"io"
	"io/fs"
)

// Modes of created files and directories: most hold secrets of their owners.
const (
	DirMode  fs.FileMode = 0o700
	FileMode fs.FileMode = 0o600
)

// Errors of FS.ReadFile for files that the caller cannot have written.
var (
	ErrTooLarge  = errors.New("file is too large to be one of the store's")
	ErrIrregular = errors.New("not a regular file")
)

// FS is a directory. Names are relative to it and use slashes. An operation is durable only after the stated
// sync. Errors match fs.ErrNotExist if a file is missing.
type FS interface {
	// MkdirAll creates a directory with its parents. They are durable when it returns.
	MkdirAll(dir string) error
	// ReadDir returns the entries of a directory, sorted by name.
	ReadDir(dir string) ([]Entry, error)
	// ReadFile fails with ErrTooLarge if the file has more than most bytes, or with ErrIrregular.
	ReadFile(name string, most int64) ([]byte, error)
	// Open opens a file for reading, or fails with ErrIrregular.
	Open(name string) (io.ReadSeekCloser, error)
	// Create fails with fs.ErrExist if the name exists. The name is durable after SyncDir, the content after
	// File.Sync.
	Create(name string, mode fs.FileMode) (File, error)
	// Rename moves a file or a directory. It replaces a file atomically, and is durable after SyncDir of to's
	// directory.
	Rename(from, to string) error
	// Remove removes a file or an empty directory. It is durable after SyncDir.
	Remove(name string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
}

// File is a file being written.
type File interface {
	io.Writer
	Sync() error
	Close() error
}

// Entry is an entry of a directory.
type Entry struct {
	Name    string
	Regular bool // a file, not a directory, link or device
	Dir     bool
}
