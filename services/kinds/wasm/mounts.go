package wasm

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/services/internal/directory"
)

// maxMounts is the maximum number of directories that one service can mount.
const maxMounts = 16

// checkMounts checks the paths. Missing directories are detected when they are opened.
func (k *Kind) checkMounts(mounts map[string]string) (violations problem.Violations) {
	if len(mounts) > 0 && k.cfg.Root == nil {
		violations.Add(fieldMount, "is given, but this server mounts nothing: start it with --root")
	}
	if len(mounts) > maxMounts {
		violations.Add(fieldMount, "is given %d times: at most %d directories can be mounted", len(mounts), maxMounts)
	}
	for _, guest := range slices.Sorted(maps.Keys(mounts)) {
		if !path.IsAbs(guest) || path.Clean(guest) != guest {
			violations.Add(fieldMount, "has the path %.100q: it must be absolute and clean, such as /content", guest)
		}
		if !filepath.IsLocal(mounts[guest]) {
			violations.Add(fieldMount, "has the directory %.100q: it must be below the server's root, such as content", mounts[guest])
		}
	}
	return violations
}

// openMounts opens the mounted directories below root. A request keeps the directory
// that the name leads to at its first use of the mount, until its end.
func (d *version) openMounts(root *os.Root) error {
	mounts := d.doc.Mount
	for _, guest := range slices.Sorted(maps.Keys(mounts)) {
		dir, err := directory.Open(directory.Config{Root: root, Name: mounts[guest], Service: d.key.String(), Log: d.kind.cfg.Log})
		if err != nil {
			_ = d.release()
			return problem.Newf(problem.ModuleInvalid, "the directory %.100q cannot be mounted: it is not a directory below the server's root",
				mounts[guest]).WithCause(err)
		}
		d.mounts = append(d.mounts, dir)
		d.environment.Mounts = append(d.environment.Mounts, abi.Mount{GuestPath: guest, Pin: pinOf(dir)})
	}
	return nil
}

// pinOf returns a function that pins a directory for a request. A missing directory appears empty.
func pinOf(dir *directory.Directory) func() (fs.FS, func()) {
	return func() (fs.FS, func()) {
		h, err := dir.Acquire(true)
		if err != nil {
			return nothing{}, func() {}
		}
		return regular.FS(h.Root), h.Release
	}
}

// nothing is the file system of a missing directory.
type nothing struct{}

// Open implements fs.FS.
func (nothing) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// mountsState returns a description of missing and replaced mounts, or "".
func (d *version) mountsState() string {
	var said []string
	for i, dir := range d.mounts {
		name := d.environment.Mounts[i].GuestPath
		switch present, replaced := dir.State(); {
		case !present:
			said = append(said, "mount "+name+": the directory is gone")
		case !replaced.IsZero():
			said = append(said, "mount "+name+": replaced "+replaced.UTC().Format(time.RFC3339))
		}
	}
	return strings.Join(said, ", ")
}
