package registry

import (
	"context"
	"errors"
)

// Errors that the errors of a Store match.
var (
	// ErrBlobMissing is returned if a referenced blob is not stored.
	ErrBlobMissing = errors.New("blob is missing")
	// ErrBlobCorrupt is returned if a stored blob does not match its digest.
	ErrBlobCorrupt = errors.New("blob is corrupt")
	// ErrUncertain is returned if a failed Save may nevertheless have become durable and could not be undone.
	// The store refuses all changes until it is opened again and reads the disk.
	ErrUncertain = errors.New("the stored state is uncertain")
)

// Store stores a catalogue. Calls of Load, Save and DeleteBlob do not overlap. Blobs are put, read and listed
// at any time, by several goroutines.
//
// When a method that makes a change returns nil, the change survives a crash of the process and of the
// machine. When it returns an error other than ErrUncertain, nothing was changed.
type Store interface {
	// Load returns the last saved state and the problems found. An empty store returns an empty state. A
	// non-nil error means that the catalogue exists but must not be touched, by this program or by this
	// version of it.
	Load(ctx context.Context) (Loaded, error)
	// Save replaces the state, wholly or not at all.
	Save(ctx context.Context, s *State) error
	// PutBlob stores a blob under its digest. It may be called for a stored blob, and replaces a corrupt one.
	PutBlob(ctx context.Context, d Digest, blob []byte) error
	// Blob returns the blob after checking its digest. It returns ErrBlobMissing or ErrBlobCorrupt.
	Blob(ctx context.Context, d Digest) ([]byte, error)
	// Blobs lists the stored blobs.
	Blobs(ctx context.Context) ([]Digest, error)
	// DeleteBlob deletes the blob; a missing one is not an error.
	DeleteBlob(ctx context.Context, d Digest) error
}

// Loaded is the result of Store.Load.
type Loaded struct {
	State    *State
	Problems []Problem
	// KeepBlobs is set if there are, or were, unreadable manifests. Their blobs may be all that is left of
	// acknowledged deploys, so none is collected while the store is open.
	KeepBlobs bool
}
