package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrUnheldBlob is returned if a commit refers to a blob that is neither held by the committer nor referenced by
// the base state, so that it may have been collected.
var ErrUnheldBlob = errors.New("commit names a blob that is not held")

// Registry is a durable catalogue. All methods are safe for concurrent use.
type Registry struct {
	store     Store     // immutable
	blobs     BlobStore // immutable
	keepBlobs bool      // immutable; see Loaded.KeepBlobs

	current atomic.Pointer[State]

	commitMu sync.Mutex

	blobMu sync.Mutex
	holds  map[Digest]int // guarded by blobMu: number of unreleased holds by PutBlob
}

// Open loads the catalogue from the store. The caller remains responsible for closing both stores. The problems
// are for the operator.
func Open(ctx context.Context, store Store, blobs BlobStore) (*Registry, []Problem, error) {
	loaded, err := store.Load(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("open catalogue: %w", err)
	}
	r := &Registry{store: store, blobs: blobs, keepBlobs: loaded.KeepBlobs, holds: make(map[Digest]int)}
	r.current.Store(loaded.State)
	return r, loaded.Problems, nil
}

// State returns the current catalogue. It never blocks.
func (r *Registry) State() *State { return r.current.Load() }

// Watch returns the current catalogue, and then each newer one until ctx ends: see Store.Watch.
func (r *Registry) Watch(ctx context.Context) iter.Seq[*State] { return r.store.Watch(ctx) }

// Commit makes next, derived from base by Put, Remove and PutRecord, the current state. When it returns nil the change
// is durable. On an error the current state is unchanged, except that after ErrStale it is the latest state of the
// store, which another registry may have committed. ctx is ignored once writing has begun.
func (r *Registry) Commit(ctx context.Context, base, next *State) error {
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	if r.current.Load() != base {
		return ErrStale
	}
	if err := r.checkHeld(base, next); err != nil {
		return err
	}
	if err := r.store.Commit(ctx, base, next); err != nil {
		if errors.Is(err, ErrStale) {
			r.catchUp(ctx)
		}
		return fmt.Errorf("commit catalogue: %w", err)
	}
	r.current.Store(next)
	return nil
}

// catchUp makes the state that another registry has committed the current one. It never goes back: a store of several
// hosts may learn of the commits of this one late.
func (r *Registry) catchUp(ctx context.Context) {
	for latest := range r.store.Watch(ctx) {
		if latest.Generation >= r.current.Load().Generation {
			r.current.Store(latest)
		}
		return
	}
}

// checkHeld keeps CollectGarbage from racing with a commit: every blob must be referenced by base or held.
func (r *Registry) checkHeld(base, next *State) error {
	named := base.Digests()
	r.blobMu.Lock()
	defer r.blobMu.Unlock()
	for d := range next.Digests() {
		if _, ok := named[d]; !ok && r.holds[d] == 0 {
			return fmt.Errorf("%w: %s", ErrUnheldBlob, d)
		}
	}
	return nil
}

// PutBlob stores a blob and holds it: it is not garbage until release is called, even if no version refers to
// it. On an error there is nothing to release.
func (r *Registry) PutBlob(ctx context.Context, blob []byte) (d Digest, release func(), err error) {
	d = DigestOf(blob)
	// Hold it before storing: a concurrent collection must not delete a blob that the store finds already
	// present.
	r.hold(d)
	release = sync.OnceFunc(func() { r.unhold(d) })
	if err := r.blobs.Put(ctx, d, blob); err != nil {
		release()
		return "", nil, fmt.Errorf("store blob: %w", err)
	}
	return d, release, nil
}

// Blob returns the blob with digest d. Errors match ErrBlobMissing or ErrBlobCorrupt where they apply.
func (r *Registry) Blob(ctx context.Context, d Digest) ([]byte, error) {
	return r.blobs.Get(ctx, d)
}

// OpenBlob returns a blob for reading in parts, without checking its digest. The error matches ErrBlobMissing where it
// applies.
func (r *Registry) OpenBlob(ctx context.Context, d Digest) (io.ReadSeekCloser, error) {
	return r.blobs.Open(ctx, d)
}

// Collects reports whether what no version refers to may be deleted. It may not if manifests were lost, which may
// have referred to it.
func (r *Registry) Collects() bool { return !r.keepBlobs }

// CollectGarbage deletes the blobs that no version refers to, current or in a history, and that no deploy
// holds. It returns the deleted ones and continues after a failed deletion.
func (r *Registry) CollectGarbage(ctx context.Context) (deleted []Digest, err error) {
	if r.keepBlobs {
		return nil, nil
	}
	stored, err := r.blobs.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list blobs: %w", err)
	}
	// Filter all blobs that are referenced now in one pass. The few that remain are checked again one by one,
	// under the lock.
	named := r.State().Digests()
	stored = slices.DeleteFunc(stored, func(d Digest) bool {
		_, ok := named[d]
		return ok
	})
	var failed []error
	for _, d := range stored {
		gone, err := r.deleteIfGarbage(ctx, d)
		if err != nil {
			failed = append(failed, fmt.Errorf("delete blob %s: %w", d, err))
		}
		if gone {
			deleted = append(deleted, d)
		}
	}
	return deleted, errors.Join(failed...)
}

// deleteIfGarbage deletes under blobMu, so that PutBlob either finds the blob gone or has already held it.
func (r *Registry) deleteIfGarbage(ctx context.Context, d Digest) (bool, error) {
	r.blobMu.Lock()
	defer r.blobMu.Unlock()
	if r.holds[d] > 0 {
		return false, nil
	}
	// Read the holds before the state: a hold is released only after the commit.
	if _, ok := r.State().Digests()[d]; ok {
		return false, nil
	}
	if err := r.blobs.Delete(ctx, d); err != nil {
		return false, err
	}
	return true, nil
}

func (r *Registry) hold(d Digest) {
	r.blobMu.Lock()
	defer r.blobMu.Unlock()
	r.holds[d]++
}

func (r *Registry) unhold(d Digest) {
	r.blobMu.Lock()
	defer r.blobMu.Unlock()
	if r.holds[d]--; r.holds[d] == 0 {
		delete(r.holds, d)
	}
}
