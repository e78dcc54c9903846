package stored

import (
	"errors"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/internal/boltfile"
)

// write is a pending change.
type write struct {
	change func(*bbolt.Tx) error
	done   chan error // has capacity for the result
}

// writer groups concurrent changes into one transaction, like bbolt's Batch. Unlike Batch,
// it runs the transaction on the goroutine of a caller, where a panic can be recovered.
type writer struct {
	turn chan struct{} // holds a token while a transaction is written

	mu      sync.Mutex
	waiting []*write // guarded by mu
}

// view runs f in a read-only transaction.
func (s *Store) view(f func(*bbolt.Tx) error) error {
	return s.run(func() error { return s.db.View(f) })
}

// run calls f, unless the file is known to be damaged.
func (s *Store) run(f func() error) error {
	if s.broken.Load() {
		return ErrDamaged
	}
	err := boltfile.Guarded(f)
	if errors.Is(err, ErrDamaged) {
		s.broken.Store(true)
	}
	return err
}

// update applies a change, grouped with other pending ones. change may be called more than once.
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
	return <-w.done // from an earlier turn, or from this one
}

// writeAll writes all changes in one transaction. If that fails, it writes each
// in its own, so that a change too large for the disk does not affect the others.
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
