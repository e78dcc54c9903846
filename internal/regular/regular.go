// Package regular opens files and directories whose names other parties control, without waiting.
//
// Opening a named pipe blocks until another process opens its other end; opening a device may block or have side effects of its own. A mount, a
// directory of static files or a configuration may hold either, by mistake or by intent. The functions of this package open without
// blocking, look at what they have opened, and refuse what is neither a regular file nor a directory with ErrSpecial.
//
// Errors are *fs.PathError, except for those of ReadFile about sizes.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

var (
	// ErrSpecial is matched by the error for a named pipe, a socket or a device.
	ErrSpecial = errors.New("is neither a regular file nor a directory")
	// ErrDirectory is matched by the error of ReadFile for a directory.
	ErrDirectory = errors.New("is a directory")
	// ErrTooLarge is matched by the error of ReadFile for a file beyond its bound.
	ErrTooLarge = errors.New("is too large")
)

// Flags are the flags for opening a file that keep the call from blocking.
const Flags = nonBlocking

// Open opens a file or a directory for reading.
func Open(name string) (*os.File, error) { return OpenFile(name, os.O_RDONLY, 0) }

// OpenFile is os.OpenFile for a file or a directory.
func OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag|nonBlocking, perm)
	if err != nil {
		return nil, refused(name, err)
	}
	return checked(f, name)
}

// OpenIn opens a file or a directory in root for reading.
func OpenIn(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, refused(name, err)
	}
	return checked(f, name)
}

// OpenAny opens whatever has the name for reading. Reading from a named pipe that no process has open for writing returns io.EOF.
func OpenAny(name string) (*os.File, error) { return os.OpenFile(name, os.O_RDONLY|nonBlocking, 0) }

// checked returns f, or closes it if it is special.
func checked(f *os.File, name string) (*os.File, error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = special(name)
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

func special(name string) error { return &fs.PathError{Op: "open", Path: name, Err: ErrSpecial} }

// refused returns the error of an open. A socket cannot be opened at all, nor can a pipe that no process reads be opened for writing.
func refused(name string, err error) error {
	if isSpecial(err) {
		return special(name)
	}
	return err
}

// ReadFile reads a regular file of at most maxBytes.
func ReadFile(name string, maxBytes int64) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, &fs.PathError{Op: "read", Path: name, Err: ErrDirectory}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(text)) > maxBytes:
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("%w: it must have at most %d bytes", ErrTooLarge, maxBytes)}
	}
	return text, nil
}

// OpenRoot is os.OpenRoot for what may be no directory.
func OpenRoot(name string) (*os.Root, error) {
	root, err := os.OpenRoot(inside(name))
	return root, renamed(err, name)
}

// OpenRootIn opens a directory in root.
func OpenRootIn(root *os.Root, name string) (*os.Root, error) {
	opened, err := root.OpenRoot(inside(name))
	return opened, renamed(err, name)
}

// inside returns the name of the directory by way of its own entry for itself: the system opens what comes before the last separator as a
// directory or not at all, and so does os.Root.
func inside(name string) string { return name + string(filepath.Separator) + "." }

// renamed makes an error one about name.
func renamed(err error, name string) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return &fs.PathError{Op: at.Op, Path: name, Err: at.Err}
	}
	return err
}
