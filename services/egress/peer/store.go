package peer

import (
	"context"
	"errors"
	"sync"

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
			return s.fetch(ctx, d, own)
		}
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
	own = &fetching{ended: make(chan struct{})}
	s.fetching[d] = own
	return nil, own
}

// fetch fetches and stores a blob, and lets the others go on.
func (s *Store) fetch(ctx context.Context, d registry.Digest, own *fetching) (blob []byte, err error) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.fetching, d)
		own.err = err
		close(own.ended)
	}()
	if blob, err = s.fetcher.Fetch(ctx, d); err != nil {
		return nil, err
	}
	return blob, s.BlobStore.Put(ctx, d, blob)
}
