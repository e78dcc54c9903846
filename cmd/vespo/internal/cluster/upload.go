package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// Times of uploads.
const (
	// condemnedWait is how long a deploy waits for the deletion of an earlier copy of its blob.
	condemnedWait = 20 * time.Second
	condemnedPoll = 100 * time.Millisecond
	// freshTime is how long an upload counts before the commit stores the blob again: much less than objects are kept.
	freshTime  = 15 * time.Minute
	maxUploads = 5    // of one blob that is deleted each time
	maxFresh   = 4096 // uploads that are remembered
)

// upload stores a blob in the object store, so that no host deletes it: sweeps spare new objects, and an earlier deletion
// is waited for.
func (n *Node) upload(ctx context.Context, d registry.Digest, blob []byte) error {
	for range maxUploads {
		began := time.Now()
		err := n.cfg.Objects.Put(ctx, d, blob)
		n.sawObjects(ctx, err)
		there := false
		if err == nil {
			there, err = n.spared(ctx, d)
		}
		if err != nil {
			return n.notUploaded(ctx, d, err)
		}
		if there {
			n.noteUpload(d, began)
			return nil
		}
	}
	return n.notUploaded(ctx, d, errors.New("it does not keep it"))
}

// notUploaded returns the error of a deploy whose blob is not in the object store.
func (n *Node) notUploaded(ctx context.Context, d registry.Digest, err error) error {
	var known *registry.UnreachableError
	var told *problem.Problem
	if ctx.Err() != nil || errors.As(err, &known) || errors.As(err, &told) {
		return err
	}
	n.log.Error("the object store did not take a module", "store", n.cfg.Objects.String(), "digest", d, "error", err)
	return problem.New(problem.NotReady, fmt.Sprintf("the object store (%s) has not taken the module; nothing was changed", n.cfg.Objects)).WithCause(err)
}

// spared waits until no host is about to delete a blob that was just stored, and reports whether it is there then. A deletion that is
// announced later spares it for its age.
func (n *Node) spared(ctx context.Context, d registry.Digest) (bool, error) {
	for began := time.Now(); ; {
		condemned, err := n.store.Condemned(ctx, d)
		if err != nil {
			return false, err
		}
		if !condemned {
			there, err := n.cfg.Objects.Has(ctx, d)
			n.sawObjects(ctx, err)
			return there, err
		}
		if time.Since(began) > condemnedWait {
			return false, problem.New(problem.NotReady, "another host is deleting an unused module with the same content from the object store; nothing was changed. "+
				"If that host has failed, it takes some minutes; try again")
		}
		if !peer.Sleep(ctx, condemnedPoll) {
			return false, context.Cause(ctx)
		}
	}
}

// noteUpload remembers when the upload of a blob has begun.
func (n *Node) noteUpload(d registry.Digest, began time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.uploads) >= maxFresh {
		clear(n.uploads) // they are stored again at worst
	}
	n.uploads[d] = began
}

// fresh reports whether a blob was uploaded a short time ago.
func (n *Node) fresh(d registry.Digest) bool {
	limit := freshTime
	if n.cfg.ObjectsGrace > 0 {
		limit = min(limit, n.cfg.ObjectsGrace/4)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	began, ok := n.uploads[d]
	return ok && time.Since(began) < limit
}

// Catalogue returns the store for the registry. Before a commit, it stores the blobs in the object store again whose upload was long
// ago: a sweep may have deleted them.
func (n *Node) Catalogue() registry.Store {
	if n.cfg.Objects == nil {
		return n.store
	}
	return &guarded{n.store, n}
}

type guarded struct {
	registry.Store
	node *Node
}

// Commit implements registry.Store.
func (g *guarded) Commit(ctx context.Context, base, next *registry.State) error {
	named := base.Digests()
	for d := range next.Digests() {
		if _, ok := named[d]; ok || g.node.fresh(d) {
			continue
		}
		blob, err := g.node.local.Get(ctx, d)
		if err == nil {
			err = g.node.upload(ctx, d, blob)
		}
		if err != nil {
			return err
		}
	}
	return g.Store.Commit(ctx, base, next)
}
