package cluster

import (
	"context"
	"fmt"

	"github.com/vespo-dev/vespo/internal/problem"
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
	Close() error
}

// ObjectsOptions are what an object store is opened with.
type ObjectsOptions struct {
	URL      string
	MaxBytes int64 // of a blob
}

// ObjectsOpener opens the object store of a URL. It need not be reachable.
type ObjectsOpener func(o ObjectsOptions) (Objects, error)

// upload stores a blob in the object store.
func (n *Node) upload(ctx context.Context, d registry.Digest, blob []byte) error {
	err := n.cfg.Objects.Put(ctx, d, blob)
	if err == nil || ctx.Err() != nil {
		return err
	}
	n.log.Error("the object store did not take a module", "store", n.cfg.Objects.String(), "digest", d, "error", err)
	return problem.New(problem.NotReady, fmt.Sprintf("the object store (%s) has not taken the module; nothing was changed", n.cfg.Objects)).WithCause(err)
}

// last returns a blob that no host has sent.
func (n *Node) last() func(ctx context.Context, d registry.Digest) ([]byte, error) {
	if n.cfg.Objects == nil {
		return nil
	}
	return n.cfg.Objects.Get
}
