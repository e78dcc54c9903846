package registry

import (
	"context"
	"errors"
	"io"
	"iter"
)

// Errors that the errors of a Store or a BlobStore match.
var (
	// ErrStale is returned if the base of a commit is no longer the current state.
	ErrStale = errors.New("the catalogue has changed meanwhile")
	// ErrUncertain is returned if a failed Commit may nevertheless have become durable and could not be undone.
	// A store on disk refuses all changes until it is opened again and reads the disk.
	ErrUncertain = errors.New("the stored state is uncertain")
	// ErrBlobMissing is returned if a referenced blob is not stored.
	ErrBlobMissing = errors.New("blob is missing")
	// ErrBlobCorrupt is returned if a stored blob does not match its digest.
	ErrBlobCorrupt = errors.New("blob is corrupt")
)

// UnreachableError is returned by Commit if a store on other machines cannot be asked. Nothing was changed, unless it
// matches ErrUncertain too. Later commits may succeed.
type UnreachableError struct {
	Store string // for the operator, without secrets
	Err   error
}

func (e *UnreachableError) Error() string {
	return "the store " + e.Store + " cannot be reached: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Store stores a catalogue. It is safe for concurrent use. Package storetest has the tests that every Store must
// pass.
type Store interface {
	// Load returns the current state and the problems found. An empty store returns an empty state. A non-nil
	// error means that the catalogue exists but must not be touched, by this program or by this version of it.
	// Load is called once, before the other methods.
	Load(ctx context.Context) (Loaded, error)
	// Commit replaces base by next, wholly or not at all. It returns ErrStale unless base is the current state,
	// as Load, Watch or an earlier Commit has it (compared by identity), and next has a later generation. It
	// returns ErrInvalidState for a state that it could not read back: one that State.Check refuses, or that is
	// too large.
	//
	// When it returns nil, the change survives a crash of the process and of the machine. When it returns an
	// error other than ErrUncertain, nothing was changed. ctx is ignored once writing has begun.
	Commit(ctx context.Context, base, next *State) error
	// Watch returns the current state, and then each newer one until ctx ends. A state is not seen before it is
	// durable. Of several states that come while the caller is busy it returns only the last, so it never
	// delays a Commit and needs no memory. Any number of callers may watch.
	Watch(ctx context.Context) iter.Seq[*State]
}

// Loaded is the result of Store.Load.
type Loaded struct {
	State    *State
	Problems []Problem
	// KeepBlobs is set if there are, or were, unreadable manifests. Their blobs may be all that is left of
	// acknowledged deploys, so none is collected while the store is open.
	KeepBlobs bool
}

// BlobStore stores blobs by their digests. It is safe for concurrent use. It is apart from Store, so that a
// catalogue can be replicated while its blobs are fetched from where they lie.
type BlobStore interface {
	// Put stores a blob under its digest. When it returns nil, the blob survives a crash. It may be called for
	// a stored blob, and replaces a corrupt one. It returns ErrBlobCorrupt if the blob does not have the digest.
	Put(ctx context.Context, d Digest, blob []byte) error
	// Get returns the blob after checking its digest. It returns ErrBlobMissing or ErrBlobCorrupt.
	Get(ctx context.Context, d Digest) ([]byte, error)
	// Open returns the blob for reading in parts, without checking its digest. It returns ErrBlobMissing.
	Open(ctx context.Context, d Digest) (io.ReadSeekCloser, error)
	// List returns the digests of the stored blobs, corrupt ones included.
	List(ctx context.Context) ([]Digest, error)
	// Delete deletes the blob; a missing one is not an error. A deleted blob may reappear after a crash.
	Delete(ctx context.Context, d Digest) error
}
