// Package embedded keeps events in a bbolt file, or in memory alone. It is for one process: the leases of a file end with
// the process, and the file has the number of leases that ended without a result.
//
// An event has two values: a record, which changes with its attempts, and its content. Both have checksums. A damaged
// event is set aside. The file does not shrink, but the space of deleted events is reused.
//
// Lock order: mu is not held while the file is used.
package embedded

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/events"
	"github.com/vespo-dev/vespo/services/internal/boltfile"
	"github.com/vespo-dev/vespo/services/internal/budget"
)

// idleWait is the longest time until a caller of Take looks again.
const idleWait = time.Hour

// Config configures a Store. Zero fields take their defaults.
type Config struct {
	Path   string // of the file; empty: events are in memory alone
	Events int    // limit; default events.MaxEvents
	Bytes  int64  // limit; default events.MaxBytes
	Log    *slog.Logger
}

// Store implements events.Store.
type Store struct {
	cfg    Config         // immutable
	file   *boltfile.File // immutable; nil without a file
	count  *budget.Budget // immutable; places of events
	bytes  *budget.Budget // immutable; their content
	signal chan struct{}  // immutable

	mu      sync.Mutex
	closed  bool              // guarded by mu
	using   sync.WaitGroup    // operations on the file; Add with mu held
	known   map[string]*entry // guarded by mu; by id, including events that are being stored or deleted
	leases  map[string]*entry // guarded by mu; by lease id
	queue   queue             // guarded by mu; events that no operation has in hand
	damaged uint64            // guarded by mu
}

var _ events.Store = (*Store)(nil)

// entry is a known event. Its fields are guarded by Store.mu.
type entry struct {
	record
	content []byte // without a file
	due     time.Time
	lease   string // empty: none
	ending  bool   // an operation that ends the lease is in progress
	at      int    // place in the queue; absent: none
}

// Open opens a store. The directory of the file must exist. A file with a damaged structure is not opened: the error matches
// boltfile.ErrDamaged.
func Open(cfg Config) (*Store, error) {
	cfg.Events = cmp.Or(cfg.Events, events.MaxEvents)
	cfg.Bytes = cmp.Or(cfg.Bytes, events.MaxBytes)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		cfg:    cfg,
		count:  budget.New(int64(cfg.Events)),
		bytes:  budget.New(cfg.Bytes),
		signal: make(chan struct{}, 1),
		known:  make(map[string]*entry),
		leases: make(map[string]*entry),
	}
	if cfg.Path == "" {
		return s, nil
	}
	var err error
	if s.file, err = boltfile.Open(cfg.Path); err != nil {
		return nil, fmt.Errorf("open %s: %w", cfg.Path, err)
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("open %s: %w", cfg.Path, errors.Join(err, boltfile.Guarded(s.file.DB.Close)))
	}
	return s, nil
}

// Close waits for operations in progress and closes the file. Later operations return events.ErrUnavailable.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	s.using.Wait()
	if closed || s.file == nil {
		return nil
	}
	return s.file.Close()
}

// errClosed is the error of operations after Close.
var errClosed = fmt.Errorf("%w: it is closed", events.ErrUnavailable)

// enterLocked begins an operation, which ends with s.using.Done.
func (s *Store) enterLocked() error {
	if s.closed {
		return errClosed
	}
	s.using.Add(1)
	return nil
}

// Put implements events.Store.
func (s *Store) Put(_ context.Context, e events.Event) error {
	n := int64(len(e.Content))
	r := record{Bytes: n, Accepted: time.Now(), Sum: sumOf(contents, e.ID, e.Content)}
	r.ID, r.Function, r.Service = strings.Clone(e.ID), strings.Clone(e.Function), strings.Clone(e.Service) // they may be parts of a whole request
	s.mu.Lock()
	if s.known[r.ID] != nil {
		s.mu.Unlock()
		return nil
	}
	err := s.enterLocked()
	if err == nil {
		defer s.using.Done()
		err = s.reserve(r.Function, n)
	}
	if err != nil {
		s.mu.Unlock()
		return err
	}
	known := &entry{record: r, due: r.Accepted, at: absent}
	s.known[r.ID] = known
	s.mu.Unlock()
	if s.file == nil {
		known.content = e.Content
	} else if err := s.write(func(tx *bbolt.Tx) error { return insert(tx, r, e.Content) }); err != nil {
		s.forget(known)
		return err
	}
	s.enqueue(known)
	return nil
}

// reserve charges an event to the limits.
func (s *Store) reserve(function string, n int64) error {
	if !s.bytes.For(function).Take(n) {
		return events.ErrFull
	}
	if !s.count.For(function).Take(1) {
		s.bytes.For(function).Give(n)
		return events.ErrFull
	}
	return nil
}

// forget removes an event that is not in the queue.
func (s *Store) forget(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, e.ID)
	delete(s.leases, e.lease)
	s.count.For(e.Function).Give(1)
	s.bytes.For(e.Function).Give(e.Bytes)
}

// enqueue adds an event to the queue.
func (s *Store) enqueue(e *entry) {
	s.mu.Lock()
	s.queue.add(e)
	s.mu.Unlock()
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// Take implements events.Store. Damaged events are set aside.
func (s *Store) Take(_ context.Context, most int, lease time.Duration, _ ...string) (taken []events.Taken, wait time.Duration, err error) {
	s.mu.Lock()
	if err := s.enterLocked(); err != nil {
		s.mu.Unlock()
		return nil, 0, err
	}
	defer s.using.Done()
	now := time.Now()
	due, wait := s.queue.takeDue(now, most)
	before := make([]record, len(due))
	for i, e := range due {
		delete(s.leases, e.lease)
		before[i] = e.record
		e.lease = ""
		e.Lost++
	}
	s.mu.Unlock()
	if len(due) == 0 {
		return nil, wait, nil
	}
	bad := make(map[*entry]error)
	read := make([][]byte, len(due))
	if s.file != nil {
		err = s.write(func(tx *bbolt.Tx) error {
			clear(bad)
			for i, e := range due {
				content, err := contentOf(tx, before[i])
				if err != nil {
					bad[e] = err
					continue
				}
				read[i] = content
				if err := putRecord(tx, e.record); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for i, e := range due {
		cause := bad[e]
		if err == nil && cause != nil && s.setAside(e.ID, cause) == nil {
			s.forget(e)
			continue
		}
		if err != nil || cause != nil {
			s.undo(e, before[i])
			continue
		}
		if s.file == nil {
			read[i] = e.content
		}
		taken = append(taken, s.lend(e, read[i], before[i].Lost, lease))
	}
	return taken, 0, err
}

// undo puts an event back whose take failed.
func (s *Store) undo(e *entry, before record) {
	s.mu.Lock()
	e.record, e.due = before, time.Now().Add(time.Second)
	s.mu.Unlock()
	s.enqueue(e)
}

// lend begins the lease of an event. The event is in the queue with the end of the lease.
func (s *Store) lend(e *entry, content []byte, lost int, lease time.Duration) events.Taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.lease = rand.Text()
	e.due = time.Now().Add(lease)
	s.leases[e.lease] = e
	s.queue.add(e)
	return events.Taken{
		Event:    events.Event{ID: e.ID, Function: e.Function, Service: e.Service, Content: content},
		Progress: e.Progress,
		LeaseID:  e.lease,
		Age:      time.Since(e.Accepted),
		Lost:     lost,
	}
}

// Renew implements events.Store.
func (s *Store) Renew(_ context.Context, leaseID string, lease time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.leases[leaseID]
	if e == nil {
		return events.ErrEnded
	}
	e.due = time.Now().Add(lease)
	if !e.ending { // else the end of the lease may fail, and it lasts until then
		s.queue.remove(e)
		s.queue.add(e)
	}
	return nil
}

// claim takes the event of a lease out of the queue. The caller ends with s.using.Done, after restore if the lease goes on.
func (s *Store) claim(leaseID string) (*entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.leases[leaseID]
	if e == nil || e.ending {
		return nil, events.ErrEnded
	}
	if err := s.enterLocked(); err != nil {
		return nil, err
	}
	s.queue.remove(e)
	e.ending = true
	return e, nil
}

// restore lets a lease last that could not be ended.
func (s *Store) restore(e *entry) {
	s.mu.Lock()
	e.ending = false
	s.mu.Unlock()
	s.enqueue(e)
}

// Retry implements events.Store.
func (s *Store) Retry(_ context.Context, leaseID string, after time.Duration, p events.Progress) error {
	e, err := s.claim(leaseID)
	if err != nil {
		return err
	}
	defer s.using.Done()
	r := e.record
	r.Progress, r.Lost, r.NotBefore = p, 0, time.Now().Add(after)
	if s.file != nil {
		if err := s.write(func(tx *bbolt.Tx) error { return putRecord(tx, r) }); err != nil {
			s.restore(e)
			return err
		}
	}
	s.mu.Lock()
	delete(s.leases, e.lease)
	e.record, e.due, e.lease, e.ending = r, r.NotBefore, "", false
	s.mu.Unlock()
	s.enqueue(e)
	return nil
}

// Done implements events.Store.
func (s *Store) Done(_ context.Context, leaseID string) error {
	e, err := s.claim(leaseID)
	if err != nil {
		return err
	}
	defer s.using.Done()
	if s.file != nil {
		if err := s.write(func(tx *bbolt.Tx) error { return drop(tx, e.ID) }); err != nil {
			s.restore(e)
			return err
		}
	}
	s.forget(e)
	return nil
}

// Due implements events.Store.
func (s *Store) Due() <-chan struct{} { return s.signal }

// Stats implements events.Store.
func (s *Store) Stats() events.Stats {
	places, content := s.count.Stats(), s.bytes.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	return events.Stats{
		Events:    int(places.HeldBytes),
		MaxEvents: s.cfg.Events,
		Leased:    len(s.leases),
		Bytes:     content.HeldBytes,
		MaxBytes:  s.cfg.Bytes,
		Damaged:   s.damaged,
		Refused:   places.Refused + content.Refused,
		Away:      s.file != nil && s.file.Broken(),
	}
}

// write makes a change of the file. Its errors match events.ErrUnavailable, or events.ErrUncertain if the file may have the change.
func (s *Store) write(change func(*bbolt.Tx) error) error {
	err := s.file.Update(change)
	switch {
	case errors.Is(err, boltfile.ErrUncertain):
		return fmt.Errorf("%w: %w", events.ErrUncertain, err)
	case err != nil:
		return fmt.Errorf("%w: %w", events.ErrUnavailable, err)
	}
	return nil
}
