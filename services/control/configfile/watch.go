package configfile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quietTime is the time without events before files are read, because editors and copies write in several
// steps.
const quietTime = 250 * time.Millisecond

// PollInterval is the interval at which files are checked if the system does not report changes.
const PollInterval = 2 * time.Second

// ErrWatch is matched by errors that explain why the system does not report changes.
var ErrWatch = errors.New("files cannot be watched")

// Watcher reports when one of a set of files may have changed. It watches directories, because editors
// replace files by renaming. If the system has no watches left or stops reporting, it compares sizes and
// times every PollInterval.
type Watcher struct {
	system   *fsnotify.Watcher // nil if the system reports nothing
	degraded func(error)       // immutable; called when polling begins
	polling  bool              // the system does not report all changes
	seen     map[string]string // state of the places at the last look; nil to force a new look
	places   map[string]bool   // paths whose changes are reported
	dirs     map[string]bool   // watched directories
}

// NewWatcher starts a goroutine that ends with Close. degraded is called whenever polling begins, on the
// goroutine that called a method.
func NewWatcher(degraded func(error)) *Watcher {
	w := &Watcher{degraded: degraded, places: map[string]bool{}, dirs: map[string]bool{}}
	system, err := fsnotify.NewWatcher()
	if err != nil {
		w.poll(fmt.Errorf("%w: %w", ErrWatch, err))
		return w
	}
	w.system = system
	return w
}

// Close stops watching.
func (w *Watcher) Close() error {
	if w.system == nil {
		return nil
	}
	return w.system.Close()
}

// poll starts polling.
func (w *Watcher) poll(reason error) {
	if !w.polling {
		w.polling = true
		w.degraded(reason)
	}
}

// lose switches to polling after the system has stopped reporting and changes may have been lost.
func (w *Watcher) lose() {
	_ = w.system.Close() // already ended
	w.system, w.seen = nil, nil
	w.poll(ErrWatch)
}

// Follow sets the watched files. It returns true if the watched places differ from before. Earlier changes
// there were not noticed, so files that the caller has already read must be read again.
func (w *Watcher) Follow(paths []string) (moved bool) {
	places, dirs := make(map[string]bool), make(map[string]bool)
	for _, path := range paths {
		for _, place := range trail(path) {
			places[place], dirs[filepath.Dir(place)] = true, true
		}
	}
	moved = !maps.Equal(places, w.places)
	w.places = places
	if w.system != nil {
		w.watch(dirs)
	}
	if moved || w.polling && w.seen == nil {
		w.seen = w.look()
	}
	return moved
}

// watch makes the system watch exactly dirs. Directories that it cannot watch are polled.
func (w *Watcher) watch(dirs map[string]bool) {
	var failed error
	for dir := range dirs {
		// Also add directories that are already watched: another directory may have taken the name.
		if err := w.system.Add(dir); err != nil {
			delete(dirs, dir)
			failed = errors.Join(failed, fmt.Errorf("%w: %s: %w", ErrWatch, dir, err))
		}
	}
	for dir := range w.dirs {
		if !dirs[dir] {
			_ = w.system.Remove(dir) // fails if it is gone
		}
	}
	w.dirs = dirs
	if failed != nil {
		w.poll(failed)
	} else {
		w.polling = false
	}
}

// look returns the current state of the places.
func (w *Watcher) look() map[string]string {
	seen := make(map[string]string, len(w.places))
	for place := range w.places {
		seen[place] = "nothing"
		if info, err := os.Lstat(place); err == nil {
			seen[place] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime().UnixNano())
		}
		if target, err := os.Readlink(place); err == nil {
			seen[place] += target
		}
	}
	return seen
}

// changed reports whether the places differ from the last look.
func (w *Watcher) changed() bool {
	now := w.look()
	if w.seen != nil && maps.Equal(now, w.seen) {
		return false
	}
	w.seen = now
	return true
}

// Wait returns nil when a file may have changed and no event has followed for quietTime. It returns the cause
// of ctx when that ends.
func (w *Watcher) Wait(ctx context.Context) error {
	quiet := time.NewTimer(quietTime)
	quiet.Stop()
	return w.wait(ctx, quiet, quietTime)
}

// Settle returns nil when there was no event for atLeast, and after an event for quietTime. It returns the
// cause of ctx when that ends.
func (w *Watcher) Settle(ctx context.Context, atLeast time.Duration) error {
	return w.wait(ctx, time.NewTimer(atLeast), atLeast)
}

// wait returns when timer expires. Each event resets it to quietTime.
func (w *Watcher) wait(ctx context.Context, timer *time.Timer, quietTime time.Duration) error {
	defer timer.Stop()
	poll := time.NewTicker(PollInterval)
	defer poll.Stop()
	for {
		var events chan fsnotify.Event
		var errs chan error
		if w.system != nil {
			events, errs = w.system.Events, w.system.Errors
		}
		select {
		case event, ok := <-events:
			if !ok {
				w.lose()
			} else if w.counts(event) {
				timer.Reset(quietTime)
			}
		case _, ok := <-errs: // events were lost: any file may have changed
			if !ok {
				w.lose()
			} else {
				timer.Reset(quietTime)
			}
		case <-poll.C:
			if w.polling && w.changed() {
				timer.Reset(quietTime)
			}
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// counts reports whether the event concerns a watched place or its directory.
func (w *Watcher) counts(event fsnotify.Event) bool {
	return w.places[event.Name] || w.dirs[event.Name]
}
