package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	// Check returns why the store cannot be used, or nil. It changes nothing.
	Check(ctx context.Context) error
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
	n.sawObjects(ctx, err)
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
