package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/registry"
)

// Store is a registry.BlobStore that fetches the blobs that another one lacks. Get stores them there before it returns
// them. All other methods are those of the other store.
type Store struct {
	registry.BlobStore
	fetcher *Fetcher // immutable

	mu       sync.Mutex
	fetching map[registry.Digest]*fetching // guarded by mu
}

// fetching is a fetch in progress.
type fetching struct {
	turn  *ticket
	ended chan struct{}
	err   error // set before ended is closed
}

var _ registry.BlobStore = (*Store)(nil)

// Over returns a Store over a local one.
func (f *Fetcher) Over(local registry.BlobStore) *Store {
	return &Store{BlobStore: local, fetcher: f, fetching: make(map[registry.Digest]*fetching)}
}

// Get returns a stored blob. One that is missing or corrupt is fetched and stored first. Several calls for one blob wait for
// one fetch.
func (s *Store) Get(ctx context.Context, d registry.Digest) ([]byte, error) {
	for {
		blob, err := s.BlobStore.Get(ctx, d)
		if !errors.Is(err, registry.ErrBlobMissing) && !errors.Is(err, registry.ErrBlobCorrupt) {
			return blob, err
		}
		other, own := s.begin(d)
		if own != nil {
			return s.fetch(ctx, d, own, false)
		}
		s.fetcher.turns.hurry(other.turn)
		select {
		case <-other.ended:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if other.err != nil && !errors.Is(other.err, context.Canceled) { // else its caller gave up
			return nil, other.err
		}
	}
}

// begin returns the fetch in progress, or one of the caller's own.
func (s *Store) begin(d registry.Digest) (other, own *fetching) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.fetching[d]; other != nil {
		return other, nil
	}
	own = &fetching{turn: newTicket(), ended: make(chan struct{})}
	s.fetching[d] = own
	return nil, own
}

// fetch fetches and stores a blob, and lets the others go on.
func (s *Store) fetch(ctx context.Context, d registry.Digest, own *fetching, advance bool) (blob []byte, err error) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.fetching, d)
		own.err = err
		close(own.ended)
	}()
	if blob, err = s.fetcher.take(ctx, d, own.turn, advance); err != nil {
		return nil, err
	}
	if err = s.BlobStore.Put(ctx, d, blob); scarce.NoSpace(err) {
		err = fmt.Errorf("%w for blob %s, which has %d bytes: %w", ErrDiskFull, d, len(blob), err)
	}
	return blob, err
}

// ErrDiskFull matches the error for a blob that was fetched and has no room here.
var ErrDiskFull = errors.New("the disk of this host has no room")

// Prefetch fetches the blobs that are not here, in their order, several at a time. Blobs that are asked for by Get come first. It tries
// each of them, except that a full disk ends it. The error is the first one.
func (s *Store) Prefetch(ctx context.Context, digests []registry.Digest) error {
	have, err := s.List(ctx)
	if err != nil {
		return err
	}
	known := make(map[registry.Digest]bool, len(have)+len(digests))
	for _, d := range have {
		known[d] = true
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var first error
	var once sync.Once
	var running sync.WaitGroup
	turns := make(chan struct{}, s.fetcher.cfg.Parallel)
	for _, d := range digests {
		if known[d] {
			continue
		}
		known[d] = true
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-turns }()
			if err := s.prefetch(ctx, d); err != nil {
				once.Do(func() { first = err })
				if errors.Is(err, ErrDiskFull) {
					cancel()
				}
			}
		})
	}
	running.Wait()
	return cmp.Or(first, context.Cause(ctx))
}

// prefetch fetches one blob, unless another goroutine does.
func (s *Store) prefetch(ctx context.Context, d registry.Digest) error {
	_, own := s.begin(d)
	if own == nil {
		return nil
	}
	_, err := s.fetch(ctx, d, own, true)
	return err
}
