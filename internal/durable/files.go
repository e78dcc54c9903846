package durable

import (
	"errors"
	"fmt"
	"path"
	"sync"
	"sync/atomic"
)

// Files writes whole files in an FS. It is safe for concurrent use. Both directories must exist, and must be on
// the file system of the files: a rename does not leave it.
type Files struct {
	fs    FS     // immutable
	tmp   string // immutable; directory of files being written
	aside string // immutable; directory of files set aside

	tmps    atomic.Uint64 // numbers the files in tmp
	asideMu sync.Mutex    // held while a name in aside is chosen and taken
}

// NewFiles returns a Files. tmp is the directory of files being written, aside that of files set aside.
func NewFiles(fsys FS, tmp, aside string) *Files { return &Files{fs: fsys, tmp: tmp, aside: aside} }

// EmptyTmp removes the files that were being written when a process died. Nothing may be staged at the time.
func (f *Files) EmptyTmp() error {
	entries, err := f.fs.ReadDir(f.tmp)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Regular {
			f.Unstage(f.tmp + "/" + e.Name)
		}
	}
	return nil
}

// Stage writes and fsyncs a temporary file, and returns its name. The caller renames or unstages it.
func (f *Files) Stage(data []byte) (name string, err error) {
	name = fmt.Sprintf("%s/%d", f.tmp, f.tmps.Add(1))
	file, err := f.fs.Create(name, FileMode)
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		f.Unstage(name)
		return "", err
	}
	return name, nil
}

// Unstage removes a staged file. If that fails, the next EmptyTmp removes it.
func (f *Files) Unstage(name string) { _ = f.fs.Remove(name) }

// Place stages data and renames it to its place, replacing a file there. The new content is durable after
// FS.SyncDir of its directory. On an error the file at the place is the old one, or, if the rename is reported as
// failed and happened nevertheless, the new one.
func (f *Files) Place(name string, data []byte) error {
	tmp, err := f.Stage(data)
	if err != nil {
		return err
	}
	if err := f.fs.Rename(tmp, name); err != nil {
		f.Unstage(tmp)
		return err
	}
	return nil
}

// Write is Place followed by SyncDir: the content is durable when it returns nil.
func (f *Files) Write(name string, data []byte) error {
	if err := f.Place(name, data); err != nil {
		return err
	}
	return f.fs.SyncDir(path.Dir(name))
}

// maxAsideBytes leaves room for a number within the file system's limit for names.
const maxAsideBytes = 200

// SetAside moves a file out of its directory, under a free name that it returns. The move is durable.
func (f *Files) SetAside(dir, name string) (string, error) {
	f.asideMu.Lock()
	defer f.asideMu.Unlock()
	entries, err := f.fs.ReadDir(f.aside)
	if err != nil {
		return "", err
	}
	taken := make(map[string]bool, len(entries))
	for _, e := range entries {
		taken[e.Name] = true
	}
	short := name[:min(len(name), maxAsideBytes)]
	to := short + ".1"
	for n := 2; taken[to]; n++ {
		to = fmt.Sprintf("%s.%d", short, n)
	}
	to = f.aside + "/" + to
	if err := f.fs.Rename(dir+"/"+name, to); err != nil {
		return "", err
	}
	return to, errors.Join(f.fs.SyncDir(f.aside), f.fs.SyncDir(dir))
}
