package cluster

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/vespo-dev/vespo/registry"
)

// Objects is an object store that has the blobs of the catalogue, beside the disks of the hosts. It is safe for concurrent use.
type Objects interface {
	// String returns the store's name for people, without secrets.
	String() string
	// Put stores a blob. It is durable when Put returns nil.
	Put(ctx context.Context, d registry.Digest, blob []byte) error
	// Get returns a blob with its digest. The error matches registry.ErrBlobMissing or registry.ErrBlobCorrupt where they
	// apply.
	Get(ctx context.Context, d registry.Digest) ([]byte, error)
	// Has reports whether there is a blob, without reading it.
	Has(ctx context.Context, d registry.Digest) (bool, error)
	// Blobs lists the blobs. Other objects are left out.
	Blobs(ctx context.Context) iter.Seq2[Object, error]
	// Marks lists the blobs that were marked as unreferenced, with the times at which they were.
	Marks(ctx context.Context) (map[registry.Digest]time.Time, error)
	// Mark sets or removes the mark of a blob.
	Mark(ctx context.Context, d registry.Digest, on bool) error
	// Now returns the time by the clock of the store.
	Now(ctx context.Context) (time.Time, error)
	// Deletion prepares the deletion of a blob: the store refuses it when the time valid has passed since the call. now was
	// returned by Now just before; it is an error if the clocks of the store and of this host differ much.
	Deletion(ctx context.Context, d registry.Digest, now time.Time, valid time.Duration) (Deletion, error)
	// Check returns why the store cannot be used, or nil. It changes nothing.
	Check(ctx context.Context) error
	Close() error
}

// Object is a blob in an object store.
type Object struct {
	Digest    registry.Digest
	SizeBytes int64
	Stored    time.Time // the last time that it was stored, by the clock of the store
}

// Deletion deletes a blob.
type Deletion interface {
	// Delete deletes the blob if it was stored at least this long ago, by the clock of the store, and returns its size. Deleted is
	// false if it is younger or not there. An error that matches ErrUnsettled means that it may be deleted later.
	Delete(ctx context.Context, age time.Duration) (sizeBytes int64, deleted bool, err error)
}

// ErrUnsettled matches the error of a deletion whose answer was lost.
var ErrUnsettled = errors.New("the blob may be deleted later")

// ObjectsOptions are what an object store is opened with.
type ObjectsOptions struct {
	URL      string
	MaxBytes int64 // of a blob
}

// ObjectsOpener opens the object store of a URL. It need not be reachable.
type ObjectsOpener func(o ObjectsOptions) (Objects, error)

// last returns a blob that no host has sent.
func (n *Node) last() func(ctx context.Context, d registry.Digest) ([]byte, error) {
	if n.cfg.Objects == nil {
		return nil
	}
	return func(ctx context.Context, d registry.Digest) ([]byte, error) {
		blob, err := n.cfg.Objects.Get(ctx, d)
		n.sawObjects(ctx, err)
		return blob, err
	}
}

// objectsTime is the time between two checks of the object store.
const objectsTime = 30 * time.Second

// watchObjects checks the object store until ctx ends, so that its loss is known before a deploy. Serving does not depend on it.
func (n *Node) watchObjects(ctx context.Context) {
	if n.cfg.Objects == nil {
		return
	}
	for ctx.Err() == nil {
		n.sawObjects(ctx, n.cfg.Objects.Check(ctx))
		select {
		case <-time.After(objectsTime):
		case <-ctx.Done():
		}
	}
}

// sawObjects takes the outcome of an operation of the object store. It logs when the store is lost, and when it is back.
func (n *Node) sawObjects(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // of the caller, perhaps
	}
	if errors.Is(err, registry.ErrBlobMissing) || errors.Is(err, registry.ErrBlobCorrupt) {
		err = nil // it has answered
	}
	switch away := err != nil; {
	case n.objectsAway.Swap(away) == away:
	case away:
		n.log.Warn("the object store cannot be used; deploys of modules are refused until it is back", "store", n.cfg.Objects.String(), "error", err)
	default:
		n.log.Info("the object store can be used again", "store", n.cfg.Objects.String())
	}
}
