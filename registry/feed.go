package registry

import (
	"context"
	"iter"
	"sync"
)

// Feed implements Store.Watch for stores that learn of all changes themselves. The zero value has no state yet.
// It is safe for concurrent use.
type Feed struct {
	mu     sync.Mutex
	latest *State        // guarded by mu
	newer  chan struct{} // guarded by mu: closed by the next Publish; nil if no watcher waits
}

// Publish makes s the latest state. It never blocks on a watcher.
func (f *Feed) Publish(s *State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latest = s
	if f.newer != nil {
		close(f.newer)
		f.newer = nil
	}
}

// Latest returns the latest state; nil before the first.
func (f *Feed) Latest() *State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.latest
}

// Watch returns the latest state, and then each newer one until ctx ends: see Store.Watch.
func (f *Feed) Watch(ctx context.Context) iter.Seq[*State] {
	return func(yield func(*State) bool) {
		var seen *State
		for ctx.Err() == nil {
			latest, newer := f.next()
			if latest != seen {
				if seen = latest; !yield(latest) {
					return
				}
				continue
			}
			select {
			case <-newer:
			case <-ctx.Done():
			}
		}
	}
}

// next returns the latest state, and a channel that is closed when there is a newer one.
func (f *Feed) next() (*State, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.newer == nil {
		f.newer = make(chan struct{})
	}
	return f.latest, f.newer
}
