// Package regular opens files and directories with untrusted names, without blocking.
//
// Opening a named pipe blocks until another process opens its other end; opening a device may
// block or have side effects. A mount, a directory of static files or a configuration may
// contain either, by mistake or by intent. The functions of this package open without blocking
// and check the result. They return ErrSpecial for anything but regular files and directories.
//
// Errors are of type *fs.PathError.
package regular

import (
	"bytes"
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
	// ErrTooLarge is matched by the error of ReadFile for a file larger than maxBytes.
	ErrTooLarge = errors.New("is too large")
)

// Flags are the flags that keep an open from blocking.
const Flags = nonBlocking

// Open opens a file or a directory for reading.
func Open(name string) (*os.File, error) { return OpenFile(name, os.O_RDONLY, 0) }

// OpenFile is like os.OpenFile, for files and directories.
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

// OpenAny opens a file of any type for reading. Reading from a named pipe without a writer returns io.EOF.
func OpenAny(name string) (*os.File, error) { return os.OpenFile(name, os.O_RDONLY|nonBlocking, 0) }

// checked returns f, or closes it and returns an error if it is special.
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

// refused maps the error of an open. A socket cannot be opened, and a pipe without a reader
// cannot be opened for writing.
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
	defer f.Close() // only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, &fs.PathError{Op: "read", Path: name, Err: ErrDirectory}
	}
	text := bytes.NewBuffer(make([]byte, 0, max(0, min(info.Size(), maxBytes))+bytes.MinRead))
	_, err = text.ReadFrom(io.LimitReader(f, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case int64(text.Len()) > maxBytes:
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("%w: it must have at most %d bytes", ErrTooLarge, maxBytes)}
	}
	return text.Bytes(), nil
}

// OpenRoot is like os.OpenRoot, but does not block if name is not a directory.
func OpenRoot(name string) (*os.Root, error) {
	root, err := os.OpenRoot(inside(name))
	return root, renamed(err, name)
}

// OpenRootIn opens a directory in root.
func OpenRootIn(root *os.Root, name string) (*os.Root, error) {
	opened, err := root.OpenRoot(inside(name))
	return opened, renamed(err, name)
}

// inside returns name with a final "." element. The system, and os.Root, open the part
// before the last separator as a directory or fail.
func inside(name string) string { return name + string(filepath.Separator) + "." }

// renamed replaces the path of a *fs.PathError by name.
func renamed(err error, name string) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return &fs.PathError{Op: at.Op, Path: name, Err: at.Err}
	}
	return err
}
