package registry

import (
	"context"
	"errors"
)

// Errors that a Store's are matched with.
var (
	// ErrBlobMissing says that a blob which is named by a version is not stored.
	ErrBlobMissing = errors.New("blob is missing")
	// ErrBlobCorrupt says that a stored blob is not what its digest says.
	ErrBlobCorrupt = errors.New("blob is corrupt")
	// ErrUncertain says that a failed Save may have become durable all the same, and could not be undone. The store
	// takes no change any more until it is opened again, when it finds out.
	ErrUncertain = errors.New("it is uncertain what is stored")
)

// Store keeps a catalogue. Load, Save and DeleteBlob are not called while another call of them goes on. Blobs are put, read
// and listed at any time, by several goroutines.
//
// When a method that changes something returns without an error, the change survives the death of the process and of
// the machine. When it returns an error other than ErrUncertain, nothing was changed.
type Store interface {
	// Load gives what was saved last, and what was found wrong; an empty store gives an empty state. A non-nil error
	// means that the catalogue is there but must not be touched (by this program, or by this version of it).
	Load(ctx context.Context) (Loaded, error)
	// Save replaces the state, wholly or not at all.
	Save(ctx context.Context, s *State) error
	// PutBlob stores a blob under its digest; storing it again is fine, and mends a corrupt one.
	PutBlob(ctx context.Context, d Digest, blob []byte) error
	// Blob gives the blob, checked against its digest: ErrBlobMissing, ErrBlobCorrupt.
	Blob(ctx context.Context, d Digest) ([]byte, error)
	// Blobs lists what is stored.
	Blobs(ctx context.Context) ([]Digest, error)
	// DeleteBlob deletes the blob; one that is missing is fine.
	DeleteBlob(ctx context.Context, d Digest) error
}

// Loaded is the outcome of Store.Load.
type Loaded struct {
	State    *State
	Problems []Problem
	// KeepBlobs says that there are, or were, manifests which could not be read. The blobs that they named may be all
	// that is left of acknowledged deploys, so none is to be collected for as long as the store is open.
	KeepBlobs bool
}
