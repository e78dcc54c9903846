package project

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// scanInterval is the time between two scans, and so the longest delay of a change.
const scanInterval = 300 * time.Millisecond

// maxFiles bounds the cost of a scan, some 50 ms for this number of files.
const maxFiles = 20_000

// Watcher reports changes to a project's sources. Sources are all files of the
// directory except hidden files, modules, editors' backups, and the directories
// that package managers and compilers fill. Symbolic links are not followed.
//
// It polls sizes and modification times rather than using the system's file events. Polling works
// the same on all systems, sees changes on network and shared file systems, and is not confused
// by editors that replace files. It costs a millisecond for a project of some hundred files.
type Watcher struct {
	dir  string
	seen state
}

// state is a hash of the names, sizes and times of all sources.
type state [sha256.Size]byte

// Watch starts watching a directory. It returns an error if the directory has more than maxFiles files.
func Watch(dir string) (*Watcher, error) {
	seen, err := scan(dir, maxFiles)
	return &Watcher{dir: dir, seen: seen}, err
}

// Wait returns when the sources have changed since Watch or the last Wait returned.
// Its error is the cause of ctx, or matches fs.ErrNotExist if the directory is gone.
// Other scan errors, such as a lack of file descriptors, are taken to be temporary.
func (w *Watcher) Wait(ctx context.Context) error {
	ticker := time.NewTicker(scanInterval)
	defer ticker.Stop()
	for {
		now, err := scan(w.dir, maxFiles)
		if errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && now != w.seen {
			w.seen = now
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func scan(dir string, maxFiles int) (state, error) {
	hash, files := sha256.New(), 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if path == dir {
			return err
		}
		if err == nil && ignored(d) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if files++; files > maxFiles {
			return fmt.Errorf("%s has more than %d files: give the directory of one project", dir, maxFiles)
		}
		var info fs.FileInfo
		if err == nil {
			info, err = d.Info()
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
			return nil
		case err != nil:
			return err
		case !d.IsDir(): // changes of a directory show in its files
			fmt.Fprintf(hash, "%q %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return state(hash.Sum(nil)), err
}

// ignored reports whether a file or directory is not part of the sources.
func ignored(d fs.DirEntry) bool {
	name := d.Name()
	if strings.HasPrefix(name, ".") {
		return true
	}
	if d.IsDir() {
		return name == "node_modules" || name == "target"
	}
	return strings.HasSuffix(name, ".wasm") || strings.HasSuffix(name, "~")
}
