// Package files contains what the system interfaces have in common for the directories mounted for a guest: which paths are
// within a mount, which files can be opened, how failures are named, and the inode numbers. Components have descriptors of
// files; both versions of WASI share their mounts in a request.
package files

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/vespo-dev/vespo/internal/scarce"
)

// MaxPathBytes is the longest path that a guest can pass, the same as PATH_MAX.
const MaxPathBytes = 4 << 10

// Failure is the reason why a file cannot be used. Details of the host's error are not passed to the guest.
type Failure uint8

// The failures.
const (
	None        Failure = iota
	NotFound            // no such file
	Denied              // the host may not read it, or it is not a regular file
	Invalid             // an invalid argument
	TooMany             // the host is out of a resource
	TooLong             // the path is too long
	Outside             // the path or a link leads out of the mount, or the host's file system rejects the name
	ReadOnly            // mounts cannot be written
	NoDirectory         // a directory is needed
	IsDirectory         // a regular file is needed
	Broken              // any other failure
)

// Reason returns the failure for a file system error.
func Reason(err error) Failure {
	switch {
	case err == nil:
		return None
	case errors.Is(err, fs.ErrNotExist):
		return NotFound
	case errors.Is(err, fs.ErrPermission):
		return Denied
	case errors.Is(err, fs.ErrInvalid):
		return Invalid
	case scarce.Own(err):
		return TooMany
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		return Outside
	}
	return Broken
}

// Resolve returns the name of a path that is relative to a directory of a mount. It refuses paths
// that lead out of the mount; the file system refuses links that do.
func Resolve(dir string, raw []byte) (name string, f Failure) {
	switch {
	case len(raw) == 0:
		return "", NotFound
	case len(raw) > MaxPathBytes:
		return "", TooLong
	}
	given := path.Clean(string(raw))
	if given[0] == '/' || given == ".." || strings.HasPrefix(given, "../") || strings.IndexByte(given, 0) >= 0 { // other bytes are allowed in a name
		return "", Outside
	}
	return path.Join(dir, given), None
}

// Wish is what a guest expects of a file that it opens.
type Wish struct {
	Directory bool // it is a directory
	Write     bool // it can be written
}

// Open opens a file or a directory.
func Open(fsys fs.FS, name string, w Wish) (file fs.File, isDir bool, f Failure) {
	info, err := fs.Stat(fsys, name) // before opening: opening a named pipe of the host would block until it has a writer
	switch {
	case err != nil:
		return nil, false, Reason(err)
	case info.IsDir():
	case w.Directory:
		return nil, false, NoDirectory
	case w.Write:
		return nil, false, ReadOnly
	case !info.Mode().IsRegular():
		return nil, false, Denied // a pipe or a device of the host
	}
	file, err = fsys.Open(name)
	return file, info.IsDir(), Reason(err)
}

// Inode returns a file's inode number for the guest: the same for the same file under any name, and
// never zero. It is a keyed hash of the host's device and inode numbers, so that the guest
// learns nothing about the host's file systems. Where the host has no such numbers, the name is hashed.
func Inode(key [16]byte, info fs.FileInfo, name string) uint64 {
	text := append(make([]byte, 0, 64), key[:]...)
	if device, number, ok := Identity(info); ok {
		text = binary.LittleEndian.AppendUint64(append(text, 'i'), device)
		text = binary.LittleEndian.AppendUint64(text, number)
	} else {
		text = append(append(text, 'n'), name...)
	}
	sum := sha256.Sum256(text)
	return max(binary.LittleEndian.Uint64(sum[:]), 1)
}
