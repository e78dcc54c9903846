package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// Times of a Journal.
const (
	DrainInterval  = 100 * time.Millisecond // entries wait this long to be written and handed to followers
	RetainInterval = 5 * time.Second        // after which logs of services go that are not in the catalogue
)

// Config configures a Journal.
type Config struct {
	Dir          string       // created if it does not exist
	ServiceBytes int64        // of the log of one service
	TotalBytes   int64        // of all logs
	Log          *slog.Logger // of the journal's own failures; its handler must not be the journal's
}

// Journal keeps the logs of all services. Create it with Open, and call Run. It is safe for concurrent use.
type Journal struct {
	cfg  Config
	root *os.Root // immutable

	inboxes sync.Map // of *inbox by the name of the service; changed with adding held
	adding  sync.Mutex
	gone    []string      // guarded by adding: removed services whose files are still there
	wake    chan struct{} // capacity 1

	draining sync.Mutex // keeps the order of the entries of a service

	mu        sync.Mutex
	stores    map[string]*store      // guarded by mu, like all below; by service
	bytes     int64                  // of all stores
	last      uint64                 // number of the latest entry
	followers map[*Follower]struct{} // that are open
	stopped   bool                   // StopFollowers was called
	failed    string                 // text of the latest failure to write; empty after a success
	stats     Stats
}

// Stats counts what a Journal holds, and what it did since Open.
type Stats struct {
	Services  int   // with a log
	Bytes     int64 // of all logs
	Followers int
	Written   uint64 // entries
	Lost      uint64 // entries that could not be written
}

// Open opens a directory, and removes what is no log in it.
func Open(cfg Config) (*Journal, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the logs of services: %w", err)
	}
	root, err := regular.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the logs of services: %w", err)
	}
	j := &Journal{
		cfg:       cfg,
		root:      root,
		wake:      make(chan struct{}, 1),
		stores:    make(map[string]*store),
		followers: make(map[*Follower]struct{}),
		last:      uint64(time.Now().UnixMicro()),
	}
	entries, err := fs.ReadDir(regular.FS(root), ".")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the logs of services: %w", err), root.Close())
	}
	for _, e := range entries {
		if !e.IsDir() || !isDirectory(e.Name()) {
			continue
		}
		s, service, err := openStore(root, e.Name())
		if err != nil || directoryOf(service) != e.Name() {
			cfg.Log.Warn("a directory that is no log of a service is removed", "directory", e.Name(), "error", err)
			_ = root.RemoveAll(e.Name())
			continue
		}
		j.stores[service] = s
		j.bytes += s.bytes
		if n := len(s.segments); n > 0 { // the clock may have gone back
			j.last = max(j.last, s.segments[n-1].first+1<<20)
		}
	}
	return j, nil
}

// Close closes the directory. Run must have ended.
func (j *Journal) Close() error { return j.root.Close() }

// Of returns a listener that adds the requests of a service, until the service is forgotten.
func (j *Journal) Of(service string) accesslog.Listener {
	b := j.inbox(service)
	return func(rec *accesslog.Record) {
		if b.addRequest(rec) {
			j.signal()
		}
	}
}

// add adds an entry about a service.
func (j *Journal) add(service string, e Entry) {
	b := j.inbox(service)
	b.add(e)
	j.signal()
}

// signal wakes Run.
func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// inbox returns the inbox of a service.
func (j *Journal) inbox(name string) *inbox {
	if b, ok := j.inboxes.Load(name); ok {
		return b.(*inbox)
	}
	j.adding.Lock()
	defer j.adding.Unlock()
	b, _ := j.inboxes.LoadOrStore(name, &inbox{name: name})
	return b.(*inbox)
}

// allInboxes yields the inboxes of all services.
func (j *Journal) allInboxes() iter.Seq[*inbox] {
	return func(yield func(*inbox) bool) {
		j.inboxes.Range(func(_, b any) bool { return yield(b.(*inbox)) })
	}
}

// Forget removes the log of a service. It does not wait for the disk.
func (j *Journal) Forget(name string) {
	j.adding.Lock()
	defer j.adding.Unlock()
	j.inboxes.Delete(name)
	j.gone = append(j.gone, name)
	j.signal()
}

// Run writes entries until ctx ends, and then the last ones. Known returns the services of the catalogue; nil means
// that they are not known yet.
func (j *Journal) Run(ctx context.Context, known func() map[string]bool) {
	retain := time.NewTicker(RetainInterval)
	defer retain.Stop()
	gather := time.NewTimer(DrainInterval)
	gather.Stop()
	defer gather.Stop()
	defer j.StopFollowers()
	wake := j.wake // nil while entries are gathered, so that requests wake nobody
	for {
		select {
		case <-wake:
			wake = nil
			gather.Reset(DrainInterval)
		case <-gather.C:
			wake = j.wake
			j.drain(false)
		case <-retain.C:
			j.retain(known())
			j.drain(false) // for notices
		case <-ctx.Done():
			j.drain(true)
			return
		}
	}
}

// retain forgets services that are not known.
func (j *Journal) retain(known map[string]bool) {
	if known == nil {
		return
	}
	for b := range j.allInboxes() {
		if !known[b.name] {
			j.Forget(b.name)
		}
	}
	j.mu.Lock()
	var gone []string
	for name := range j.stores {
		if !known[name] {
			gone = append(gone, name)
		}
	}
	j.mu.Unlock()
	for _, name := range gone {
		j.Forget(name)
	}
}

// Stats returns the current state. It waits for a write in progress.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	s.Services, s.Bytes, s.Followers = len(j.stores), j.bytes, len(j.followers)
	return s
}
