package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vespo-dev/vespo/internal/scarce"
)

// dataError adds to the error of a file in the data directory what to do about it. Other errors it returns unchanged.
func dataError(dir string, err error) error {
	absolute, failed := filepath.Abs(dir)
	path, making, ok := pathOf(err)
	if failed != nil || !ok || !within(absolute, path) && !(making && within(path, absolute)) {
		return err
	}
	if advice := adviceFor(absolute, path, err); advice != "" {
		return fmt.Errorf("%w; %s", err, advice)
	}
	return err
}

// pathOf returns the file that the operation of err could not be applied to, and whether that was a directory to be made.
func pathOf(err error) (path string, making, ok bool) {
	var one *fs.PathError
	var two *os.LinkError
	switch {
	case errors.As(err, &one):
		path, making = one.Path, one.Op == "mkdir"
	case errors.As(err, &two):
		path = two.New
	default:
		return "", false, false
	}
	path, err = filepath.Abs(path)
	return path, making, err == nil
}

// within reports whether path is dir, or in it.
func within(dir, path string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}

func adviceFor(dir, path string, err error) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return "the file system of the data directory is read-only: mount it writable, or choose another directory with --data"
	case scarce.NoSpace(err):
		return "the disk of the data directory is full, or a quota on it: make room. You can delete " + filepath.Join(dir, "cache")
	case errors.Is(err, fs.ErrPermission):
		return ownerAdvice(dir, path)
	}
	if target, link := os.Readlink(dir); link == nil && errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("the data directory is a symbolic link to %s, which does not exist: create that, or choose another directory with --data", target)
	}
	if info, stat := os.Stat(dir); stat == nil && !info.IsDir() {
		return "the data directory is no directory: choose another one with --data"
	}
	return ""
}

// ownerAdvice names the owner of a file in the data directory, or of the nearest directory above it.
func ownerAdvice(dir, path string) string {
	info, err := os.Lstat(path)
	for err != nil && path != filepath.Dir(path) {
		path = filepath.Dir(path)
		info, err = os.Lstat(path)
	}
	if err != nil {
		return ""
	}
	owner, known := ownerOf(info)
	if !known || owner == os.Geteuid() {
		return "the server must be able to write all of the data directory: change its permissions, or choose another directory with --data"
	}
	if !within(dir, path) {
		return fmt.Sprintf("%s belongs to user %d, and this server runs as user %d: create the data directory for it, or choose another one with --data", path, owner, os.Geteuid())
	}
	return fmt.Sprintf("%s belongs to user %d, and this server runs as user %d: run it as its owner, give it all of the data directory (chown -R), or choose another one with --data",
		path, owner, os.Geteuid())
}
