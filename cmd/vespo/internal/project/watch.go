package project

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// scanInterval is the time between two scans, and so the longest delay of a change.
	scanInterval = 300 * time.Millisecond
	// settleTime is the time without events of the system before a scan: editors write a file in several steps.
	settleTime = 15 * time.Millisecond
	// maxNotified is the number of directories whose events the system is asked for. Some systems open all files in them.
	maxNotified = 200
)

// maxFiles bounds the cost of a scan, some 50 ms for this number of files.
const maxFiles = 20_000

// Watcher reports changes to a project's sources. Sources are all files of the
// directory except hidden files, modules, editors' backups, and the directories
// that package managers and compilers fill. Symbolic links are not followed.
//
// It polls sizes and modification times rather than relying on the system's file events. Polling works
// the same on all systems, sees changes on network and shared file systems, and is not confused
// by editors that replace files. It costs a millisecond for a project of some hundred files. Events only
// make it look earlier.
type Watcher struct {
	dir    string
	own    []fs.FileInfo // files that are no sources
	every  time.Duration // between scans
	seen   state
	system *fsnotify.Watcher // nil if there are no events
}

// state is a hash of the names, sizes and times of all sources.
type state [sha256.Size]byte

// Watch starts watching a directory. It returns an error if the directory has more than maxFiles files. own are files that
// this process writes, such as its log: they are no sources, wherever they are.
func Watch(dir string, own ...fs.FileInfo) (*Watcher, error) {
	seen, err := scan(dir, maxFiles, own)
	return &Watcher{dir: dir, own: own, every: scanInterval, seen: seen}, err
}

// Notify makes Wait look as soon as the system reports a change. The caller must call Close.
func (w *Watcher) Notify() {
	system, err := fsnotify.NewWatcher()
	if err != nil {
		return // polling goes on
	}
	w.system = system
	_, _ = scanDirs(w.dir, maxFiles, nil, w.follow) // Wait finds the error, too
}

// Close ends the use of events.
func (w *Watcher) Close() error {
	if w.system == nil {
		return nil
	}
	return w.system.Close()
}

// follow asks for the events of a directory. Directories without events are polled.
func (w *Watcher) follow(dir string) {
	if w.system != nil && len(w.system.WatchList()) < maxNotified {
		_ = w.system.Add(dir)
	}
}

// Wait returns when the sources have changed since Watch or the last Wait returned.
// Its error is the cause of ctx, or matches fs.ErrNotExist if the directory is gone.
// Other scan errors, such as a lack of file descriptors, are taken to be temporary.
func (w *Watcher) Wait(ctx context.Context) error {
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	for {
		now, err := scan(w.dir, maxFiles, w.own)
		if errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && now != w.seen {
			w.seen = now
			return nil
		}
		if err := w.pause(ctx, ticker.C); err != nil {
			return err
		}
	}
}

// pause returns when it is time for the next scan.
func (w *Watcher) pause(ctx context.Context, interval <-chan time.Time) error {
	var events chan fsnotify.Event
	var failures chan error
	if w.system != nil {
		events, failures = w.system.Events, w.system.Errors
	}
	settled := time.NewTimer(settleTime)
	settled.Stop()
	defer settled.Stop()
	for {
		select {
		case event, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			if event.Has(fsnotify.Create) && isDir(event.Name) {
				w.follow(event.Name)
			}
			settled.Reset(settleTime)
		case _, ok := <-failures: // events were lost
			if !ok {
				failures = nil
			}
			settled.Reset(settleTime)
		case <-settled.C:
			return nil
		case <-interval:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir() && !ignored(fs.FileInfoToDirEntry(info))
}

func scan(dir string, maxFiles int, own []fs.FileInfo) (state, error) {
	return scanDirs(dir, maxFiles, own, nil)
}

// scanDirs hashes the sources, and calls found for each directory unless it is nil.
func scanDirs(dir string, maxFiles int, own []fs.FileInfo, found func(dir string)) (state, error) {
	hash, files := sha256.New(), 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if path == dir {
			if found != nil && err == nil {
				found(dir)
			}
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
		case d.IsDir():
			if found != nil {
				found(path)
			}
		case slices.ContainsFunc(own, func(o fs.FileInfo) bool { return os.SameFile(o, info) }):
		default: // changes of a directory show in its files
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
