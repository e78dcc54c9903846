// Package boltstore keeps key-value stores in files, one bbolt database for each store.
//
// Each store has one goroutine that writes. It groups the writes that wait, up to maxGroupBytes, into one transaction
// with one fsync. Reads run on the goroutines of their callers and never wait for an fsync: they see the state before the
// transaction in progress. Stores do not wait for each other, except for the disk.
//
// Expired keys are invisible at once. The goroutine of a store deletes them at least every sweepEvery, sweepKeys in one
// transaction, and before it refuses a write because the store is full.
//
// A damaged file is left as it is, and its store refuses all reads and writes.
//
// Stores.mu and store.mu are never held together, and neither is held during an fsync.
package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/services/kv"
)

// Endings of the names of files.
const (
	ending        = ".db"
	newEnding     = ".db.new"     // being created
	droppedEnding = ".db.dropped" // being deleted
)

// Limits are the quotas.
type Limits = kv.Quotas

// Config configures Stores.
type Config struct {
	Dir    string // created with the first store
	Limits Limits
	Log    *slog.Logger // default: discard
}

// Stores implements kv.Stores.
type Stores struct {
	cfg Config // immutable

	keys, bytes atomic.Int64 // of all stores

	mu     sync.Mutex
	stores map[string]*store // guarded by mu
	closed bool              // guarded by mu
}

var _ kv.Stores = (*Stores)(nil)

// Open opens all stores of a directory. It reads each file once to check it. A store whose file is damaged or cannot be
// opened does not fail Open: it refuses its reads and writes.
func Open(cfg Config) (*Stores, error) {
	cfg.Limits = cfg.Limits.WithDefaults()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stores{cfg: cfg, stores: make(map[string]*store)}
	entries, err := os.ReadDir(cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("key-value stores: %w", err)
	}
	for _, e := range entries {
		name, isStore := strings.CutSuffix(e.Name(), ending)
		switch {
		case strings.HasSuffix(e.Name(), newEnding) || strings.HasSuffix(e.Name(), droppedEnding):
			if err := os.Remove(filepath.Join(cfg.Dir, e.Name())); err != nil {
				return nil, errors.Join(fmt.Errorf("key-value stores: %w", err), s.Close())
			}
		case isStore && kv.CheckName(name) == nil:
			st := s.newStore(name)
			st.load()
			s.stores[name] = st
			st.start()
		}
	}
	return s, nil
}

// Close ends the writes in progress and closes all files. Writes that wait are refused, as are all later operations on
// stores that exist. It must be called once.
func (s *Stores) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	var errs []error
	for _, st := range s.all() {
		errs = append(errs, st.close())
	}
	return errors.Join(errs...)
}

// Stats is a snapshot of all stores.
type Stats struct {
	Stores int
	kv.Usage
}

// Stats returns the current state. It does not read a file.
func (s *Stores) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{len(s.stores), kv.Usage{Keys: s.keys.Load(), Bytes: s.bytes.Load()}}
}

// Totals implements kv.Engine.
func (s *Stores) Totals() kv.Totals {
	stats := s.Stats()
	return kv.Totals{Stores: stats.Stores, Usage: stats.Usage}
}

// all returns the stores. One that is being deleted makes its reads wait, but not those of others: mu is not held then.
func (s *Stores) all() []*store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.stores))
}

// lookup returns a store, or nil.
func (s *Stores) lookup(name string) *store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stores[name]
}

// forWrite returns a store, whose file is created by its first write.
func (s *Stores) forWrite(name string) (*store, error) {
	if err := kv.CheckName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errStopped()
	}
	st := s.stores[name]
	switch {
	case st != nil:
		return st, nil
	case len(s.stores) >= s.cfg.Limits.Stores:
		return nil, kv.Reject(kv.ErrFull, "there are %d stores, and no more are allowed: delete one", len(s.stores))
	}
	st = s.newStore(name)
	s.stores[name] = st
	st.start()
	return st, nil
}

// Get implements kv.Stores.
func (s *Stores) Get(ctx context.Context, name, key string) (kv.Entry, error) {
	if err := errors.Join(ctx.Err(), kv.CheckKey(key)); err != nil {
		return kv.Entry{}, err
	}
	if st := s.lookup(name); st != nil {
		return st.get(key)
	}
	return kv.Entry{}, absent(key)
}

// List implements kv.Stores.
func (s *Stores) List(ctx context.Context, name string, q kv.Query) (kv.Page, error) {
	if err := errors.Join(ctx.Err(), q.Check()); err != nil {
		return kv.Page{}, err
	}
	if st := s.lookup(name); st != nil {
		return st.list(q)
	}
	return kv.Page{}, nil
}

// Write implements kv.Stores.
func (s *Stores) Write(ctx context.Context, name string, changes []kv.Change) ([]kv.Result, error) {
	if err := errors.Join(ctx.Err(), kv.CheckChanges(changes, time.Now())); err != nil || len(changes) == 0 {
		return nil, err
	}
	for {
		st, err := s.forWrite(name)
		if err != nil {
			return nil, err
		}
		results, err := st.send(ctx, &write{changes: changes, context: ctx, done: make(chan struct{})})
		if !errors.Is(err, errGone) {
			return results, err
		}
	}
}

// Drop implements kv.Stores.
func (s *Stores) Drop(ctx context.Context, name string) error {
	st := s.lookup(name)
	if st == nil {
		return kv.Reject(kv.ErrNotFound, "there is no store %q", name)
	}
	_, err := st.send(ctx, &write{drop: true, context: ctx, done: make(chan struct{})})
	if errors.Is(err, errGone) { // by another Drop
		return nil
	}
	return err
}

// All implements kv.Stores.
func (s *Stores) All(ctx context.Context) ([]kv.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var all []kv.Info
	for _, st := range s.all() {
		if info, exists := st.info(); exists {
			all = append(all, info)
		}
	}
	slices.SortFunc(all, func(a, b kv.Info) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// forget removes a dropped store.
func (s *Stores) forget(st *store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stores[st.name] == st {
		delete(s.stores, st.name)
	}
}

// makeDir creates the directory of the files.
func (s *Stores) makeDir() error { return durable.MkdirAll(s.cfg.Dir) }

func absent(key string) error { return kv.Reject(kv.ErrNotFound, "the key %.100q is not present", key) }
