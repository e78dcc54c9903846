package usage

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/router/accesslog"
)

// Times and sizes.
const (
	Interval  = 10 * time.Second     // between two writes: the most that a crash loses, besides the time of a write
	Keep      = 400 * 24 * time.Hour // age of the oldest hour
	FileBytes = 1 << 30              // default size of the file
	removals  = 48                   // hours removed at a time
	idle      = time.Hour            // versions without requests for so long leave memory
	logEvery  = 10 * time.Minute     // between log lines about a failing disk
)

// Config configures a Ledger. Zero values select the defaults.
type Config struct {
	Path      string           // of the file
	Unit      int              // version of the unit of work
	FileBytes int64            // default FileBytes
	Now       func() time.Time // default time.Now
	Log       *slog.Logger
}

// Ledger keeps the sums of all services. Open it with Open. It is safe for concurrent use.
type Ledger struct {
	cfg Config // immutable

	services atomic.Pointer[map[string][]*version] // the map and its slices are immutable; replaced with mu held

	mu     sync.Mutex            // guards replacements of services, too
	recent map[string][]*version // guarded by mu; all versions of services that are not in services, or have a new version

	flushing sync.Mutex
	db       *bbolt.DB   // guarded by flushing; nil after Close
	leaving  []*version  // guarded by flushing; not in services any more, and not yet written for the last time
	pruned   time.Time   // guarded by flushing; last removal of old hours
	failed   time.Time   // guarded by flushing; last log line about a failure
	stats    atomicStats // atomic
}

// version has the counters of a version of a service.
type version struct {
	service  string   // immutable
	number   uint64   // immutable
	counters counters // atomic
	written  Sums     // guarded by Ledger.flushing; part of counters that is on disk
	used     time.Time
}

// Stats describes a Ledger.
type Stats struct {
	Versions  int    // with counters in memory
	FileBytes int64  // size of the file
	Writes    uint64 // since Open
	Failures  uint64 // of writes
	Removed   uint64 // hours removed because of their age or the size of the file
}

type atomicStats struct {
	writes, failures, removed atomic.Uint64
	fileBytes                 atomic.Int64
}

// Stats returns the current state.
func (l *Ledger) Stats() Stats {
	s := Stats{
		FileBytes: l.stats.fileBytes.Load(),
		Writes:    l.stats.writes.Load(),
		Failures:  l.stats.failures.Load(),
		Removed:   l.stats.removed.Load(),
	}
	for _, versions := range *l.services.Load() {
		s.Versions += len(versions)
	}
	return s
}

// Listen adds a request to the sums. It is an accesslog.Listener. Requests that no route has served are ignored.
func (l *Ledger) Listen(rec *accesslog.Record) {
	if rec.Generation == 0 {
		return
	}
	for _, v := range (*l.services.Load())[rec.Service] {
		if v.number == rec.Number {
			v.counters.count(rec)
			return
		}
	}
	l.add(rec.Service, rec.Number, rec)
}

// add counts a request of a version that may have no counters yet.
func (l *Ledger) add(service string, number uint64, rec *accesslog.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := *l.services.Load()
	known := l.recent[service]
	if known == nil {
		known = all[service]
	}
	for _, v := range known {
		if v.number == number {
			v.counters.count(rec)
			return
		}
	}
	v := &version{service: service, number: number}
	v.counters.count(rec)
	l.recent[service] = append(slices.Clone(known), v)
	if len(l.recent) > mergeFrom+len(all)/4 {
		l.mergeLocked()
	}
}

// mergeFrom is the number of recent services from which on they are merged. Each merge copies the whole map.
const mergeFrom = 8

// mergeLocked moves the recent services to the others.
func (l *Ledger) mergeLocked() {
	if len(l.recent) == 0 {
		return
	}
	all := maps.Clone(*l.services.Load())
	maps.Copy(all, l.recent)
	l.services.Store(&all)
	clear(l.recent)
}

// Run writes the sums at each multiple of Interval until ctx ends.
func (l *Ledger) Run(ctx context.Context) {
	for {
		now := time.Now()
		timer := time.NewTimer(now.Truncate(Interval).Add(Interval).Sub(now))
		select {
		case <-timer.C:
			_ = l.Flush() // logged; the next one tries again
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Flush writes what the counters have gained. If it fails, they keep that.
func (l *Ledger) Flush() error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	if l.db == nil {
		return errClosed
	}
	l.mu.Lock()
	l.mergeLocked()
	l.mu.Unlock()
	now := l.cfg.Now()
	gains, err := l.writeLocked(now)
	if err != nil {
		l.stats.failures.Add(1)
		l.reportLocked(now, err)
		return err
	}
	for _, g := range gains {
		g.of.written = g.until
		g.of.used = now
	}
	l.leaving = nil
	l.dropIdleLocked(now)
	if now.Sub(l.pruned).Abs() >= time.Hour {
		l.pruned = now
		if err := l.pruneLocked(now); err != nil {
			l.reportLocked(now, err)
		}
	}
	return nil
}

var errClosed = errors.New("usage: closed")

// reportLocked logs a failure of the disk, at a limited rate.
func (l *Ledger) reportLocked(now time.Time, err error) {
	if now.Sub(l.failed).Abs() < logEvery {
		return
	}
	l.failed = now
	l.cfg.Log.Error("the usage of services could not be written; it stays in memory until the disk works again", slog.Any("error", err))
}

// gain is what a version has gained since the last write.
type gain struct {
	of    *version
	sums  Sums // gained
	until Sums // counters
}

// gainsLocked returns the gains of all versions that have any.
func (l *Ledger) gainsLocked() (gains []gain) {
	note := func(v *version) {
		until := v.counters.load()
		sums := until
		sums.minus(&v.written)
		if sums != (Sums{}) {
			gains = append(gains, gain{of: v, sums: sums, until: until})
		}
	}
	for _, versions := range *l.services.Load() {
		for _, v := range versions {
			note(v)
		}
	}
	for _, v := range l.leaving {
		note(v)
	}
	return gains
}

// dropIdleLocked removes versions from memory that had no requests for a while. A request that has just found its version may still
// count, so they are written once more.
func (l *Ledger) dropIdleLocked(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mergeLocked()
	var all map[string][]*version
	for service, versions := range *l.services.Load() {
		kept := slices.DeleteFunc(slices.Clone(versions), func(v *version) bool {
			if v.used.IsZero() { // added after the counters were read
				return false
			}
			gone := now.Sub(v.used).Abs() > idle
			if gone {
				l.leaving = append(l.leaving, v)
			}
			return gone
		})
		if len(kept) == len(versions) {
			continue
		}
		if all == nil {
			all = maps.Clone(*l.services.Load())
		}
		if all[service] = kept; len(kept) == 0 {
			delete(all, service)
		}
	}
	if all != nil {
		l.services.Store(&all)
	}
}

// Close writes the sums for the last time and closes the file.
func (l *Ledger) Close() error {
	err := l.Flush()
	l.flushing.Lock()
	defer l.flushing.Unlock()
	if l.db == nil {
		return nil
	}
	err = errors.Join(err, l.db.Close())
	l.db = nil
	return err
}
