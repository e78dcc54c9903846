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

// quietTime is how long nothing must have happened to the files before they are read: editors and copying write in several steps.
const quietTime = 250 * time.Millisecond

// PollInterval is how often the files are looked at while the system does not report their changes.
const PollInterval = 2 * time.Second

// ErrWatch is matched by errors that say why the system does not report changes.
var ErrWatch = errors.New("files cannot be watched")

// Watcher reports when one of a set of files may have changed. It watches directories, since editors replace files by renaming others. If
// the system has no watches left, or stops reporting, it compares sizes and times every PollInterval.
type Watcher struct {
	system   *fsnotify.Watcher // nil if the system does not report anything
	degraded func(error)       // immutable; called when polling begins
	polling  bool              // the system does not report all changes
	seen     map[string]string // what the places were like at the last look; nil if they are to be looked at anew
	places   map[string]bool   // whose change counts
	dirs     map[string]bool   // watched
}

// NewWatcher starts a goroutine, which ends with Close. degraded is called, on the goroutine of the caller of a method, whenever polling
// begins.
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

// Close ends the watching.
func (w *Watcher) Close() error {
	if w.system == nil {
		return nil
	}
	return w.system.Close()
}

// poll begins to look at the files.
func (w *Watcher) poll(reason error) {
	if !w.polling {
		w.polling = true
		w.degraded(reason)
	}
}

// lose goes on without the system, which has lost changes.
func (w *Watcher) lose() {
	_ = w.system.Close() // it has ended
	w.system, w.seen = nil, nil
	w.poll(ErrWatch)
}

// Follow makes paths the files that are watched. It reports whether other places count now than before: what has changed there until now
// was not noticed, so that files which were read before have to be read again.
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

// watch lets the system watch dirs, and nothing else. What it cannot watch is polled.
func (w *Watcher) watch(dirs map[string]bool) {
	var failed error
	for dir := range dirs {
		// Those that are watched already too: another directory may have their name now.
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

// look returns what is at the places.
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

// changed reports whether a look finds something else than the last one.
func (w *Watcher) changed() bool {
	now := w.look()
	if w.seen != nil && maps.Equal(now, w.seen) {
		return false
	}
	w.seen = now
	return true
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
		case _, ok := <-errs: // events were lost: anything may have changed
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

// counts tells whether the event is about one of the places, or about a directory in which they are.
func (w *Watcher) counts(event fsnotify.Event) bool {
	return w.places[event.Name] || w.dirs[event.Name]
}
