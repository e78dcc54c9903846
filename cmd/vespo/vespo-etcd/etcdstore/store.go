package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// Times of the store.
const (
	firstRetry = 100 * time.Millisecond // after a lost watch; doubled up to lastRetry
	lastRetry  = 5 * time.Second
	settleTime = 10 * time.Second // for finding out whether a commit without an answer was made
	closeTime  = 5 * time.Second
)

// Store is a registry.Store in etcd. It is safe for concurrent use.
type Store struct {
	cfg    Config           // immutable
	client *clientv3.Client // immutable
	log    *slog.Logger     // immutable
	keys   string           // immutable: the prefix of the catalogue's keys

	stop    context.CancelFunc // immutable; ends the watch
	running context.Context    // immutable; ends when Close is called
	watcher sync.WaitGroup

	commitMu sync.Mutex // one commit at a time

	mu       sync.Mutex
	image    *image          // guarded by mu; nil until the store was read
	current  *registry.State // guarded by mu; nil before Load
	at       int64           // guarded by mu: revision of the head that current belongs to; may be ahead of image
	commit   string          // guarded by mu: the commit of current
	own      ownCommit       // guarded by mu
	trouble  error           // guarded by mu: why the store cannot be used at present; nil if it can
	advanced chan struct{}   // guarded by mu: closed, and made anew, when one of the above changes

	feed registry.Feed
}

// ownCommit is the last commit of this store. When the watch sees it, the state is next itself.
type ownCommit struct {
	id   string
	next *registry.State
}

var _ registry.Store = (*Store)(nil)

// Open connects to etcd. It does not wait for an answer, and starts nothing but the client: Load begins to watch.
func Open(cfg Config, log *slog.Logger) (*Store, error) {
	client, err := cfg.dial()
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", cfg, err)
	}
	s := &Store{cfg: cfg, client: client, log: log, keys: cfg.Prefix + "/catalogue/", advanced: make(chan struct{})}
	s.running, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Close ends the watch and the connection. No method may be called afterwards.
func (s *Store) Close() error {
	s.stop()
	err := s.client.Close()
	s.watcher.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Load reads the catalogue, and begins to watch it.
func (s *Store) Load(ctx context.Context) (registry.Loaded, error) {
	m, err := s.read(ctx)
	if err != nil {
		return registry.Loaded{}, fmt.Errorf("store %s: %w", s.cfg, err)
	}
	if err := errors.Join(m.newer(), m.headErr); err != nil {
		return registry.Loaded{}, fmt.Errorf("store %s: %w", s.cfg, err)
	}
	loaded := registry.Loaded{State: m.state(&registry.State{Services: map[routekey.Key]registry.Service{}}), Problems: m.problems(s.keys)}
	if m.head.Sum != "" && m.head.Sum != m.sum.String() {
		loaded.Problems = append(loaded.Problems, registry.Problem{
			Subject: s.keys,
			Detail:  fmt.Sprintf("the services are not those of generation %d: something other than a deploy has changed the keys", m.head.Generation),
		})
		loaded.KeepBlobs = true
	}
	if err := loaded.State.Check(); err != nil {
		return registry.Loaded{}, fmt.Errorf("store %s: %w", s.cfg, err)
	}
	s.mu.Lock()
	s.image = m
	s.setLocked(loaded.State, m.head.Commit, m.headRev)
	s.mu.Unlock()
	s.watcher.Go(s.run)
	return loaded, nil
}

// Watch returns the current state, and then newer ones, of this host and of others.
func (s *Store) Watch(ctx context.Context) iter.Seq[*registry.State] { return s.feed.Watch(ctx) }

// Trouble returns why the store cannot be used at present, or nil.
func (s *Store) Trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

// setLocked makes a state the current one, unless a later one is.
func (s *Store) setLocked(state *registry.State, commit string, at int64) {
	if at < s.at {
		return
	}
	s.at = at
	if s.current == nil || s.commit != commit {
		s.current, s.commit = state, commit
		s.feed.Publish(state)
	}
	s.advanceLocked()
}

// advanceLocked wakes those that wait in await.
func (s *Store) advanceLocked() {
	close(s.advanced)
	s.advanced = make(chan struct{})
}

// await waits until done returns true, which is called with mu held. The error is ctx's, or that of the store.
func (s *Store) await(ctx context.Context, done func() bool) error {
	for {
		s.mu.Lock()
		ready, advanced, trouble := done(), s.advanced, s.trouble
		s.mu.Unlock()
		if ready {
			return nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), trouble)
		case <-s.running.Done():
			return errClosed
		}
	}
}

var errClosed = errors.New("the store is closed")

// unreachable returns the error of a change that could not be made now.
func (s *Store) unreachable(err error) error {
	return &registry.UnreachableError{Store: s.cfg.String(), Err: err}
}

// request returns the context of one request to etcd. A commit that has begun does not end with its caller.
func (s *Store) request(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.RequestTimeout)
}
