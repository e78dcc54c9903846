package configfile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quietTime is how long nothing must have happened to the files before they are read: editors and copying write in several steps.
const quietTime = 250 * time.Millisecond

// ErrWatch says that the system does not tell of changes.
var ErrWatch = errors.New("files cannot be watched")

// Watcher tells when one of a set of files may have changed. It watches directories, since editors replace files by renaming others.
type Watcher struct {
	system *fsnotify.Watcher
	places map[string]bool // whose change counts
	dirs   map[string]bool // watched
}

// NewWatcher starts a goroutine, which ends with Close.
func NewWatcher() (*Watcher, error) {
	system, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWatch, err)
	}
	return &Watcher{system: system, places: map[string]bool{}, dirs: map[string]bool{}}, nil
}

// Close ends the watching.
func (w *Watcher) Close() error { return w.system.Close() }

// Follow makes paths the files that are watched. It reports whether other places count now than before: what has changed there until now
// was not noticed, so that files which were read before have to be read again.
func (w *Watcher) Follow(paths []string) (moved bool, err error) {
	places, dirs := make(map[string]bool), make(map[string]bool)
	for _, path := range paths {
		for _, place := range trail(path) {
			places[place], dirs[filepath.Dir(place)] = true, true
		}
	}
	for dir := range dirs {
		// Those that are watched already too: another directory may have their name now.
		if failed := w.system.Add(dir); failed != nil {
			delete(dirs, dir)
			err = errors.Join(err, fmt.Errorf("%w: %s: %w", ErrWatch, dir, failed))
		}
	}
	for dir := range w.dirs {
		if !dirs[dir] {
			_ = w.system.Remove(dir) // fails if it is gone
		}
	}
	moved = !maps.Equal(places, w.places)
	w.places, w.dirs = places, dirs
	return moved, err
}

// Wait returns when one of the files may have changed and nothing has happened to them for a while, or with the cause of ctx.
func (w *Watcher) Wait(ctx context.Context) error {
	quiet := time.NewTimer(quietTime)
	quiet.Stop()
	return w.wait(ctx, quiet, quietTime)
}

// Settle returns when nothing has happened to the files for this long, or with the cause of ctx.
func (w *Watcher) Settle(ctx context.Context, atLeast time.Duration) error {
	return w.wait(ctx, time.NewTimer(atLeast), atLeast)
}

// wait returns when the timer has run out, which each event sets to quietTime anew.
func (w *Watcher) wait(ctx context.Context, timer *time.Timer, quietTime time.Duration) error {
	defer timer.Stop()
	for {
		select {
		case event, ok := <-w.system.Events:
			if !ok {
				return ErrWatch
			}
			if w.counts(event) {
				timer.Reset(quietTime)
			}
		case _, ok := <-w.system.Errors: // events were lost: anything may have changed
			if !ok {
				return ErrWatch
			}
			timer.Reset(quietTime)
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// counts tells whether the event is about one of the places, or about a directory in which they are.
func (w *Watcher) counts(event fsnotify.Event) bool {
	return w.places[event.Name] || w.dirs[event.Name]
}
