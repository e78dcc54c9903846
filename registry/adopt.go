package registry

import (
	"context"
	"fmt"
	"sync"
)

// Adopt makes target, which was decided elsewhere, the current state, unless that is as new. It commits target if the
// store is behind it. Unlike Commit, it does not require blobs: the caller holds the needed ones, and others can
// be fetched later. On an error the current state is unchanged.
func (r *Registry) Adopt(ctx context.Context, target *State) error {
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	current := r.current.Load()
	if target.Generation <= current.Generation {
		return nil
	}
	stored := current
	for latest := range r.store.Watch(ctx) {
		stored = latest
		break
	}
	if stored.Generation < target.Generation {
		if err := r.store.Commit(ctx, stored, target); err != nil {
			return fmt.Errorf("adopt catalogue: %w", err)
		}
	}
	r.current.Store(target)
	return nil
}

// HoldBlob is like PutBlob, for a blob that is stored already, or that the BlobStore can fetch. Errors match
// ErrBlobMissing or ErrBlobCorrupt where they apply.
func (r *Registry) HoldBlob(ctx context.Context, d Digest) (release func(), err error) {
	r.hold(d) // first: see PutBlob
	release = sync.OnceFunc(func() { r.unhold(d) })
	if _, err := r.blobs.Get(ctx, d); err != nil {
		release()
		return nil, err
	}
	return release, nil
}
