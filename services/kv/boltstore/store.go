package boltstore

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/services/internal/boltfile"
	"github.com/vespo-dev/vespo/services/kv"
)

const (
	openWait  = time.Second // for the lock of a file
	growBytes = 1 << 20     // by which files grow
)

// errGone is the error of writes to a store that was dropped meanwhile.
var errGone = errors.New("the store was dropped")

// store is one store. Its goroutine begins with start and ends with close, or when the store is dropped.
type store struct {
	all  *Stores // immutable
	name string  // immutable
	path string  // immutable

	queue chan *write   // immutable
	quit  chan struct{} // immutable; closed by close
	gone  chan struct{} // immutable; closed when the goroutine has ended

	update func(*bbolt.DB, func(*bbolt.Tx) error) error // immutable; (*bbolt.DB).Update

	keys, bytes atomic.Int64           // committed
	problem     atomic.Pointer[string] // why the file cannot be used; nil if it can

	// mu is held for reading during reads. Only the goroutine changes db; it reads it without the lock.
	mu sync.RWMutex
	db *bbolt.DB // guarded by mu; nil if there is no file
}

func (s *Stores) newStore(name string) *store {
	return &store{
		all:   s,
		name:  name,
		path:  filepath.Join(s.cfg.Dir, name+ending),
		queue: make(chan *write, queueLength),
		quit:  make(chan struct{}),
		gone:  make(chan struct{}),

		update: (*bbolt.DB).Update,
	}
}

// load opens the file, before the goroutine starts.
func (st *store) load() {
	var used kv.Usage
	err := boltfile.Guarded(func() (err error) {
		if err := boltfile.Check(st.path); err != nil {
			return err
		}
		if st.db, err = open(st.path); err != nil {
			return err
		}
		return st.db.View(func(tx *bbolt.Tx) (err error) {
			if err := boltfile.CheckFormat(tx, formatVersion); err != nil {
				return err
			}
			used, err = usageOf(tx)
			return err
		})
	})
	if err != nil {
		st.broke(err)
		return
	}
	st.count(used)
}

func open(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, durable.FileMode, &bbolt.Options{
		Timeout:      openWait,
		OpenFile:     regular.OpenFile,
		FreelistType: bbolt.FreelistMapType,
	})
	if err != nil {
		return nil, err
	}
	db.AllocSize = growBytes
	return db, nil
}

// create creates the file under a temporary name, so that an interrupted creation leaves no store.
func (st *store) create() error {
	if err := st.all.makeDir(); err != nil {
		return err
	}
	temporary := filepath.Join(st.all.cfg.Dir, st.name+newEnding)
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := open(temporary)
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(initialise), db.Close()); err != nil {
		return err
	}
	if err := st.rename(newEnding, ending); err != nil {
		return err
	}
	if db, err = open(st.path); err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.db = db
	return nil
}

// count sets the usage to what is committed.
func (st *store) count(used kv.Usage) {
	st.all.keys.Add(used.Keys - st.keys.Swap(used.Keys))
	st.all.bytes.Add(used.Bytes - st.bytes.Swap(used.Bytes))
}

// broke records that the file cannot be used.
func (st *store) broke(err error) {
	text := err.Error()
	if st.problem.CompareAndSwap(nil, &text) {
		st.all.cfg.Log.Error("a key-value store cannot be used", slog.String("store", st.name), slog.String("file", st.path), slog.Any("error", err))
	}
}

// usable returns an error if the file cannot be used.
func (st *store) usable() error {
	if st.problem.Load() != nil {
		return kv.Reject(kv.ErrUnavailable, "the store %q is damaged or cannot be opened: see the server's log", st.name)
	}
	return nil
}

// run calls f, which uses the file.
func (st *store) run(f func() error) error {
	if err := st.usable(); err != nil {
		return err
	}
	err := boltfile.Guarded(f)
	if errors.Is(err, boltfile.ErrDamaged) {
		st.broke(err)
		return st.usable()
	}
	return err
}

// view runs f in a transaction that reads, or does nothing if there is no file.
func (st *store) view(f func(*bbolt.Tx) error) error {
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.run(func() error {
		if st.db == nil {
			return st.stopped()
		}
		return st.db.View(f)
	})
}

// stopped returns an error if the file was closed by close.
func (st *store) stopped() error {
	select {
	case <-st.quit:
		return errStopped()
	default:
		return nil
	}
}

// errStopped is the error of operations after Close.
func errStopped() error { return kv.Reject(kv.ErrUnavailable, "the server is being stopped") }

func (st *store) get(key string) (kv.Entry, error) {
	e, found := kv.Entry{}, false
	err := st.view(func(tx *bbolt.Tx) error {
		raw := tx.Bucket(entriesName).Get([]byte(key))
		if raw == nil {
			return nil
		}
		r, err := decode(key, raw)
		if err != nil {
			return kv.Reject(kv.ErrUnavailable, "the key %.100q of the store %q: %v", key, st.name, err)
		}
		if found = r.present(time.Now()); found {
			e = r.entry(key, true)
		}
		return nil
	})
	if err == nil && !found {
		err = absent(key)
	}
	return e, err
}

// list returns a page. Entries that are damaged are left out.
func (st *store) list(q kv.Query) (kv.Page, error) {
	var page kv.Page
	err := st.view(func(tx *bbolt.Tx) error {
		now, filler := time.Now(), kv.NewFiller(q)
		c := tx.Bucket(entriesName).Cursor()
		k, raw := c.Seek([]byte(max(q.Prefix, q.After)))
		if string(k) == q.After && q.After != "" {
			k, raw = c.Next()
		}
		for ; k != nil && strings.HasPrefix(string(k), q.Prefix); k, raw = c.Next() {
			r, err := decode(string(k), raw)
			present := err == nil && r.present(now)
			if !filler.Add(r.entry(string(k), q.Values && present), present) {
				page = filler.Page(false)
				return nil
			}
		}
		page = filler.Page(true)
		return nil
	})
	return page, err
}

// info describes the store, if it exists.
func (st *store) info() (info kv.Info, exists bool) {
	st.mu.RLock()
	defer st.mu.RUnlock()
	info = kv.Info{Name: st.name, Usage: kv.Usage{Keys: st.keys.Load(), Bytes: st.bytes.Load()}}
	if problem := st.problem.Load(); problem != nil {
		info.Problem = *problem
	}
	return info, st.db != nil || info.Problem != ""
}

// exists reports whether there is a file, for the goroutine alone.
func (st *store) exists() bool { return st.db != nil || st.problem.Load() != nil }

// close ends the goroutine and closes the file.
func (st *store) close() error {
	close(st.quit)
	<-st.gone
	return st.detach()
}

// rename gives the file another ending, durably.
func (st *store) rename(from, to string) error {
	dir := durable.Dir(st.all.cfg.Dir)
	if err := dir.Rename(st.name+from, st.name+to); err != nil {
		return err
	}
	return dir.SyncDir(".")
}

// drop deletes the file. The store is gone with the rename, which the rest follows.
func (st *store) drop() (gone bool, err error) {
	if !st.exists() {
		return true, kv.Reject(kv.ErrNotFound, "there is no store %q", st.name)
	}
	if err := st.detach(); err != nil { // Windows renames no open file
		st.broke(err)
	}
	if err := st.rename(ending, droppedEnding); err != nil {
		st.reopen()
		return false, kv.Reject(kv.ErrUnavailable, "the store %q cannot be deleted: %v", st.name, err)
	}
	st.count(kv.Usage{})
	dropped := filepath.Join(st.all.cfg.Dir, st.name+droppedEnding)
	if err := os.Remove(dropped); err != nil {
		st.all.cfg.Log.Warn("the file of a deleted key-value store remains until the next start", slog.String("file", dropped), slog.Any("error", err))
	}
	return true, nil
}

// detach closes the file, unless a panic may have left locks held: the lock of the file ends with the process.
func (st *store) detach() error {
	st.mu.Lock()
	db := st.db
	st.db = nil
	st.mu.Unlock()
	if db == nil || st.problem.Load() != nil {
		return nil
	}
	return boltfile.Guarded(db.Close)
}

// reopen opens the file of a store that could not be deleted, under its name.
func (st *store) reopen() {
	if _, err := os.Stat(st.path); err != nil {
		_ = st.rename(droppedEnding, ending) // the next line reports it
	}
	db, err := open(st.path)
	if err != nil {
		st.broke(err)
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.db = db
}
