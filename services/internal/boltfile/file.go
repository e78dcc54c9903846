package boltfile

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/regular"
)

// ErrUncertain is matched by the error of a change that may be in the file, such as after a failed fsync.
var ErrUncertain = errors.New("it is not known whether the file has the change")

const (
	fileMode = 0o600
	openWait = time.Second // for the lock of another process
)

// File is an open bbolt file. Once it is found damaged, all transactions fail with ErrDamaged. It is safe for concurrent use.
//
// Concurrent changes share a transaction, as with bbolt's Batch. Unlike Batch, the transaction runs on the goroutine of a
// caller, where a panic can be recovered.
type File struct {
	DB *bbolt.DB // for tests and statistics

	broken atomic.Bool
	turn   chan struct{} // holds a token while a transaction is written

	mu      sync.Mutex
	waiting []*write // guarded by mu
}

// write is a pending change.
type write struct {
	change func(*bbolt.Tx) error
	done   chan error // has capacity for the result
}

// Open opens a file, and creates it if necessary. Its directory must exist. The error matches ErrDamaged if the structure of
// the file is damaged. The lock of the file ends with the process.
func Open(path string) (f *File, err error) {
	err = Guarded(func() error {
		if err := Check(path); err != nil {
			return err
		}
		db, err := bbolt.Open(path, fileMode, &bbolt.Options{Timeout: openWait, OpenFile: regular.OpenFile})
		if err != nil {
			return err
		}
		if err := durable.SyncDir(filepath.Dir(path)); err != nil {
			return errors.Join(err, db.Close())
		}
		f = &File{DB: db, turn: make(chan struct{}, 1)}
		return nil
	})
	return f, err
}

// Close closes the file. No method may be called afterwards.
func (f *File) Close() error {
	if f.broken.Load() {
		return nil // a panic may have left its locks held; the file's lock ends with the process
	}
	return Guarded(f.DB.Close)
}

// Broken reports whether the file was found damaged while in use.
func (f *File) Broken() bool { return f.broken.Load() }

// View runs read in a read-only transaction.
func (f *File) View(read func(*bbolt.Tx) error) error {
	return f.run(func() error { return f.DB.View(read) })
}

// run calls transaction, unless the file is known to be damaged.
func (f *File) run(transaction func() error) error {
	if f.broken.Load() {
		return ErrDamaged
	}
	err := Guarded(transaction)
	if errors.Is(err, ErrDamaged) {
		f.broken.Store(true)
	}
	return err
}

// Update applies a change, grouped with other pending ones. When it returns nil, the change is on disk. Without ErrUncertain, an
// error means that the file does not have the change. change may be called more than once.
func (f *File) Update(change func(*bbolt.Tx) error) error {
	w := &write{change: change, done: make(chan error, 1)}
	f.mu.Lock()
	f.waiting = append(f.waiting, w)
	f.mu.Unlock()
	select {
	case err := <-w.done: // written by another caller
		return err
	case f.turn <- struct{}{}:
	}
	defer func() { <-f.turn }()
	select {
	case err := <-w.done: // others that wait have callers of their own
		return err
	default:
	}
	f.mu.Lock()
	all := f.waiting
	f.waiting = nil
	f.mu.Unlock()
	f.writeAll(all)
	return <-w.done
}

// writeAll writes all changes in one transaction. If that fails, it writes each
// in its own, so that a change too large for the disk does not affect the others.
func (f *File) writeAll(all []*write) {
	unsure := false
	if len(all) > 1 {
		err := f.together(all...)
		if err == nil {
			for _, w := range all {
				w.done <- nil
			}
			return
		}
		unsure = errors.Is(err, ErrUncertain)
	}
	for _, w := range all {
		err := f.together(w)
		if err != nil && unsure && !errors.Is(err, ErrUncertain) {
			err = fmt.Errorf("%w: %w", ErrUncertain, err)
		}
		w.done <- err
	}
}

// together writes changes in one transaction.
func (f *File) together(some ...*write) error {
	id := 0 // of the transaction, once it commits
	err := f.run(func() error {
		return f.DB.Update(func(tx *bbolt.Tx) error {
			for _, w := range some {
				if err := w.change(tx); err != nil {
					return err
				}
			}
			id = tx.ID()
			return nil
		})
	})
	if err != nil && id != 0 && f.reached(id) {
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return err
}

// reached reports whether the file may have a transaction whose commit has failed. bbolt writes the page with its id last, so
// a transaction without it, such as on a full disk, is not in the file.
func (f *File) reached(id int) bool {
	last := 0
	err := f.View(func(tx *bbolt.Tx) error {
		last = tx.ID()
		return nil
	})
	return err != nil || last >= id
}
