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

// scanInterval is how often a watcher looks, and so how long a change can go unseen.
const scanInterval = 300 * time.Millisecond

// maxFiles bounds what a look costs: some 50 ms for so many.
const maxFiles = 20_000

// Watcher tells of changes to a project's sources: any file of the directory that is not hidden, a module, an editor's backup, or
// below the directories that package managers and compilers fill. Links are not followed.
//
// It looks at sizes and times of modification every so often, rather than asking the system for events: that is the same everywhere,
// sees changes on network and shared file systems, is not confused by editors that replace files, and costs a millisecond for a project of some
// hundred files.
type Watcher struct {
	dir  string
	seen state
}

// state stands for names, sizes and times of all sources.
type state [sha256.Size]byte

// Watch begins to watch. A project with very many files is refused.
func (p *Project) Watch() (*Watcher, error) {
	seen, err := scan(p.dir, maxFiles)
	return &Watcher{dir: p.dir, seen: seen}, err
}

// Wait returns when the sources differ from what they were when Watch, or Wait before, returned. Its error is that of ctx, or
// fs.ErrNotExist if the directory is gone. Whatever else keeps it from looking, such as a lack of descriptors, is taken to pass.
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
		case !d.IsDir(): // what is in a directory tells of its changes
			fmt.Fprintf(hash, "%q %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return state(hash.Sum(nil)), err
}

// ignored tells what is no source.
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
