package stored

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"go.etcd.io/bbolt"
)

// guarded calls f. What bbolt does about pages that it finds damaged is to panic, or to read beyond its mapping: both become an error.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, v)
		}
	}()
	return f()
}

// write is one change that waits to be written.
type write struct {
	change func(*bbolt.Tx) error
	done   chan error // has room for the result
}

// writer writes changes that come together in one transaction, as bbolt's Batch does, but on the goroutine of one of its callers, so that
// no panic ends the server.
type writer struct {
	turn chan struct{} // holds one while a transaction is written

	mu      sync.Mutex
	waiting []*write // guarded by mu
}

// view reads in a transaction.
func (s *Store) view(f func(*bbolt.Tx) error) error {
	return s.run(func() error { return s.db.View(f) })
}

// run calls f, unless the file was found damaged before.
func (s *Store) run(f func() error) error {
	if s.broken.Load() {
		return ErrDamaged
	}
	err := guarded(f)
	if errors.Is(err, ErrDamaged) {
		s.broken.Store(true)
	}
	return err
}

// update writes a change, together with others that wait. change may be called more than once.
func (s *Store) update(change func(*bbolt.Tx) error) error {
	w := &write{change: change, done: make(chan error, 1)}
	s.writer.mu.Lock()
	s.writer.waiting = append(s.writer.waiting, w)
	s.writer.mu.Unlock()
	s.writer.turn <- struct{}{}
	defer func() { <-s.writer.turn }()
	s.writer.mu.Lock()
	all := s.writer.waiting
	s.writer.waiting = nil
	s.writer.mu.Unlock()
	s.writeAll(all)
	return <-w.done // written by an earlier turn, or just now
}

// writeAll writes changes as one, or each for itself if that fails: one that is too large for the disk does not keep the others from it.
func (s *Store) writeAll(all []*write) {
	together := func(some ...*write) error {
		return s.run(func() error {
			return s.db.Update(func(tx *bbolt.Tx) error {
				for _, w := range some {
					if err := w.change(tx); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	if len(all) > 1 && together(all...) == nil {
		for _, w := range all {
			w.done <- nil
		}
		return
	}
	for _, w := range all {
		w.done <- together(w)
	}
}
