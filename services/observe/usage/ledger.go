package usage

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/observe/tally"
)

// Times and sizes.
const (
	Interval  = 10 * time.Second     // between two writes: the most that a crash loses, besides the time of a write
	Keep      = 400 * 24 * time.Hour // age of the oldest hour
	FileBytes = 1 << 30              // default size of the file
	removals  = 48                   // hours removed at a time
	logEvery  = 10 * time.Minute     // between log lines about a failing disk
)

// Config configures a Ledger. Zero values select the defaults.
type Config struct {
	Path      string           // of the file
	Tally     *tally.Tally     // counts the requests
	Unit      int              // version of the unit of work
	FileBytes int64            // default FileBytes
	Now       func() time.Time // default time.Now
	Log       *slog.Logger
}

// Ledger keeps the sums of all services. Open it with Open. It is safe for concurrent use.
type Ledger struct {
	cfg Config // immutable

	flushing sync.Mutex
	db       *bbolt.DB                   // guarded by flushing; nil after Close
	versions map[*tally.Version]*version // guarded by flushing; with at least one request
	pruned   time.Time                   // guarded by flushing; last removal of old hours
	failed   time.Time                   // guarded by flushing; last log line about a failure
	stats    atomicStats                 // atomic
}

// version is a version that has had requests.
type version struct {
	counted *tally.Version // immutable
	written Sums           // guarded by Ledger.flushing; part of the counts that is on disk
}

// Stats describes a Ledger.
type Stats struct {
	Versions  int    // with requests, at the last write
	FileBytes int64  // size of the file
	Writes    uint64 // since Open
	Failures  uint64 // of writes
	Removed   uint64 // hours removed because of their age or the size of the file
}

type atomicStats struct {
	writes, failures, removed atomic.Uint64
	fileBytes, versions       atomic.Int64
}

// Stats returns the current state.
func (l *Ledger) Stats() Stats {
	return Stats{
		Versions:  int(l.stats.versions.Load()),
		FileBytes: l.stats.fileBytes.Load(),
		Writes:    l.stats.writes.Load(),
		Failures:  l.stats.failures.Load(),
		Removed:   l.stats.removed.Load(),
	}
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
	now := l.cfg.Now()
	listed := l.adoptLocked()
	gains, err := l.writeLocked(now)
	if err != nil {
		l.stats.failures.Add(1)
		l.reportLocked(now, err)
		return err
	}
	for _, g := range gains {
		g.of.written = g.until
	}
	maps.DeleteFunc(l.versions, func(v *tally.Version, _ *version) bool { return !listed[v] }) // those had their last counts
	l.stats.versions.Store(int64(len(l.versions)))
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

// adoptLocked adds the versions that have had their first requests. It returns all that can have further ones.
func (l *Ledger) adoptLocked() (listed map[*tally.Version]bool) {
	listed = make(map[*tally.Version]bool)
	for _, v := range l.cfg.Tally.Versions() {
		if v.Counters() == nil {
			continue
		}
		listed[v] = true
		if l.versions[v] == nil {
			l.versions[v] = &version{counted: v}
		}
	}
	return listed
}

// gainsLocked returns the gains of all versions that have any.
func (l *Ledger) gainsLocked() (gains []gain) {
	for _, v := range l.versions {
		until := load(v.counted.Counters())
		sums := until
		sums.minus(&v.written)
		if sums != (Sums{}) {
			gains = append(gains, gain{of: v, sums: sums, until: until})
		}
	}
	return gains
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
