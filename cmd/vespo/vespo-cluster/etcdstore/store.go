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

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engineurl"
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
	tokens *clientv3.Client // immutable; nil without a user
	counts *counts          // immutable
	log    *slog.Logger     // immutable
	keys   string           // immutable: the prefix of the catalogue's keys

	stop       context.CancelFunc // immutable; ends the watch
	running    context.Context    // immutable; ends when Close is called
	background sync.WaitGroup     // the watch, and the writer of the copy

	commitMu sync.Mutex // one commit at a time

	mu        sync.Mutex
	image     *image          // guarded by mu; nil until the store was read
	current   *registry.State // guarded by mu; nil before Load
	at        int64           // guarded by mu: revision of the head that current belongs to; may be ahead of image
	commit    string          // guarded by mu: the commit of current
	catalogue string          // guarded by mu: the id of the catalogue; empty before its first commit
	from      string          // guarded by mu: name of the store that has sent it, which a copy knows from its own time
	own       ownCommit       // guarded by mu
	trouble   error           // guarded by mu: why the store cannot be used at present; nil if it can
	advanced  chan struct{}   // guarded by mu: closed, and made anew, when one of the above changes

	keepables []keepable // guarded by mu: the last states that were current, the latest last

	feed registry.Feed
	kept registry.Feed // states of Keep
}

// ownCommit is the last commit of this store. When the watch sees it, the state is next itself.
type ownCommit struct {
	id   string
	next *registry.State
}

var _ registry.Store = (*Store)(nil)

// Open connects to etcd. It does not wait for an answer, and starts nothing but the client: Load begins to watch.
func Open(cfg Config, log *slog.Logger) (*Store, error) {
	counted := new(counts)
	client, tokens, err := cfg.connect(counted)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", cfg, err)
	}
	s := &Store{cfg: cfg, client: client, tokens: tokens, counts: counted, log: log, keys: cfg.Prefix + "/catalogue/", advanced: make(chan struct{})}
	s.running, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// OpenURL is a cluster.Opener.
func OpenURL(_ context.Context, o cluster.Options) (cluster.Store, error) {
	cfg, err := Parse(o.URL)
	if err == nil {
		err = cfg.Load(o.Password, engineurl.ReadFile)
	}
	if err != nil {
		return nil, fmt.Errorf("--store: %w", err)
	}
	cfg.Name, cfg.Copy = o.Host, o.Copy
	s, err := Open(cfg, o.Log)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends the watch and the connection. No method may be called afterwards.
func (s *Store) Close() error {
	s.stop()
	err := s.client.Close()
	s.background.Wait()
	if s.tokens != nil {
		_ = s.tokens.Close() // it has no request any more
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Load reads the catalogue, and begins to watch it. If the store cannot be reached, it returns the copy of this host.
func (s *Store) Load(ctx context.Context) (registry.Loaded, error) {
	var loaded registry.Loaded
	var own *copied
	if s.cfg.Copy != nil {
		var err error
		if own, loaded, err = loadCopy(ctx, s.cfg.Copy); err != nil {
			return registry.Loaded{}, err
		}
	}
	m, err := s.read(ctx)
	switch {
	case err == nil:
		err = s.loadImage(&loaded, m, own)
	case own != nil && own.state != nil && ctx.Err() == nil:
		s.loadCopied(&loaded, own, err)
		err = nil
	}
	if err != nil {
		return registry.Loaded{}, fmt.Errorf("store %s: %w", s.cfg, err)
	}
	s.background.Go(s.run)
	if own != nil {
		s.background.Go(func() { s.keepCopy(own) })
	}
	return loaded, nil
}

// loadImage makes the state of the store the current one.
func (s *Store) loadImage(loaded *registry.Loaded, m *image, own *copied) error {
	problems, err := checkCopy(own, m)
	if err := errors.Join(err, m.newer(), m.headErr); err != nil {
		return err
	}
	loaded.State = m.state(&registry.State{})
	if err := loaded.State.Check(); err != nil {
		return err
	}
	if m.head.Sum != "" && m.head.Sum != m.sum.String() {
		problems = append(problems, registry.Problem{
			Subject: s.keys,
			Detail:  fmt.Sprintf("the services are not those of generation %d: something other than a deploy has changed the keys", m.head.Generation),
		})
	}
	loaded.KeepBlobs = loaded.KeepBlobs || len(problems) > 0 || m.damaged()
	loaded.Problems = append(append(loaded.Problems, problems...), m.problems(s.keys)...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.image = m
	s.setLocked(loaded.State, m.head, m.headRev)
	return nil
}

// loadCopied makes the copy the current state.
func (s *Store) loadCopied(loaded *registry.Loaded, own *copied, cause error) {
	loaded.State = own.state
	loaded.Problems = append(loaded.Problems, registry.Problem{
		Subject: s.cfg.String(),
		Detail:  fmt.Sprintf("cannot be reached; the copy of generation %d is served, and changes are refused until then", own.mark.Generation),
		Err:     cause,
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = cause
	s.from = own.mark.Store // this one may be another
	s.setLocked(own.state, head{Commit: own.mark.Commit, Catalogue: own.mark.Catalogue}, 0)
}

// Watch returns the current state, and then newer ones, of this host and of others.
func (s *Store) Watch(ctx context.Context) iter.Seq[*registry.State] { return s.feed.Watch(ctx) }

// String returns the store's URL, without secrets.
func (s *Store) String() string { return s.cfg.String() }

// Trouble returns why the store cannot be used at present, or nil.
func (s *Store) Trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

// setLocked makes a state the current one, unless a later one is.
func (s *Store) setLocked(state *registry.State, h head, at int64) {
	if at < s.at {
		return
	}
	if s.at = at; at > 0 {
		s.from = s.cfg.String()
	}
	if s.current == nil || s.commit != h.Commit {
		s.current, s.commit, s.catalogue = state, h.Commit, h.Catalogue
		s.rememberLocked()
		s.feed.Publish(state)
	}
	s.advanceLocked()
}

// advanceLocked wakes the callers of await.
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
	return &registry.UnreachableError{Store: s.cfg.String(), Err: s.counts.explain(err)}
}

// request returns the context of one request to etcd. A commit that has begun does not end with its caller.
func (s *Store) request(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.RequestTimeout)
}
