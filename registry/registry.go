package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

var (
	// ErrStale says that a commit was worked out from a state that is not the current one any more.
	ErrStale = errors.New("the catalogue has changed meanwhile")
	// ErrUnheldBlob says that a commit names a blob which the committer does not hold and the catalogue did not name
	// before, so that it may be gone.
	ErrUnheldBlob = errors.New("commit names a blob that nobody holds")
)

// Registry is a catalogue that survives. All methods are safe for concurrent use.
type Registry struct {
	store     Store // immutable
	keepBlobs bool  // immutable; see Loaded.KeepBlobs

	current atomic.Pointer[State]

	commitMu sync.Mutex

	blobMu sync.Mutex
	holds  map[Digest]int // guarded by blobMu: how often PutBlob's hold has been taken and not released
}

// Open loads the catalogue from the store, which stays its caller's to close. The problems are for the operator's
// eyes.
func Open(ctx context.Context, store Store) (*Registry, []Problem, error) {
	loaded, err := store.Load(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("open catalogue: %w", err)
	}
	r := &Registry{store: store, keepBlobs: loaded.KeepBlobs, holds: make(map[Digest]int)}
	r.current.Store(loaded.State)
	return r, loaded.Problems, nil
}

// State gives the current catalogue. It never waits.
func (r *Registry) State() *State { return r.current.Load() }

// Commit makes next, worked out from base by Put and Remove, the current state. It is durable when Commit returns
// nil; otherwise the current state stays what it was. ctx is looked at before anything is written and not after.
func (r *Registry) Commit(ctx context.Context, base, next *State) error {
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	if r.current.Load() != base || next.Generation <= base.Generation {
		return ErrStale
	}
	if err := r.checkHeld(base, next); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.store.Save(context.WithoutCancel(ctx), next); err != nil {
		return fmt.Errorf("save catalogue: %w", err)
	}
	r.current.Store(next)
	return nil
}

// checkHeld is what keeps CollectGarbage from racing with a commit: a blob is either named already or held.
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

// PutBlob stores a blob and holds it: until release is called, it is not garbage even if no version names it. When
// PutBlob fails, there is nothing to release.
func (r *Registry) PutBlob(ctx context.Context, blob []byte) (d Digest, release func(), err error) {
	d = DigestOf(blob)
	// Held before it is stored: a collection that runs now must not take away what the store finds to be there
	// already.
	r.hold(d)
	release = sync.OnceFunc(func() { r.unhold(d) })
	if err := r.store.PutBlob(ctx, d, blob); err != nil {
		release()
		return "", nil, fmt.Errorf("store blob: %w", err)
	}
	return d, release, nil
}

// Blob reads a blob; what it returns has the digest. Errors match ErrBlobMissing or ErrBlobCorrupt where it is that.
func (r *Registry) Blob(ctx context.Context, d Digest) ([]byte, error) {
	return r.store.Blob(ctx, d)
}

// CollectGarbage deletes the blobs that no version names, current or in a history, and no deploy holds. It returns those
// deleted, and goes on after a blob that could not be.
func (r *Registry) CollectGarbage(ctx context.Context) (deleted []Digest, err error) {
	if r.keepBlobs {
		return nil, nil
	}
	stored, err := r.store.Blobs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list blobs: %w", err)
	}
	// What is named now is left out once, for all; the few that remain are looked at again one by one, under the lock.
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

// deleteIfGarbage deletes under blobMu, so that PutBlob either finds the blob gone or has held it before.
func (r *Registry) deleteIfGarbage(ctx context.Context, d Digest) (bool, error) {
	r.blobMu.Lock()
	defer r.blobMu.Unlock()
	if r.holds[d] > 0 {
		return false, nil
	}
	// Holds are read before the state: who releases a hold has committed before.
	if _, ok := r.State().Digests()[d]; ok {
		return false, nil
	}
	if err := r.store.DeleteBlob(ctx, d); err != nil {
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
