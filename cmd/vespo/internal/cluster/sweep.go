package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// Bounds of sweeps.
const (
	sweepTime  = 10 * time.Minute // of one sweep
	sweepPause = time.Hour        // between two sweeps, at most
	sweepClaim = "/objects"       // no schedule has such a name
	maxSwept   = 1000             // unreferenced objects of one sweep
	sweepBatch = 50               // that are announced together

	// deleteTime is how long the object store takes a deletion once it was prepared, and condemnTime is how long deploys of the blob
	// wait. The difference is more than the clocks of the object store and of this host may differ by.
	deleteTime  = time.Minute
	condemnTime = 5 * time.Minute
	// clockSlack is added to ages: times of objects are in seconds.
	clockSlack = time.Second
)

// Swept is the outcome of a sweep.
type Swept struct {
	Unreferenced int // objects of any age; at most maxSwept
	Deleted      int
	Bytes        int64
}

// sweepObjects deletes unreferenced objects from time to time, on one host at a time, until ctx ends.
func (n *Node) sweepObjects(ctx context.Context) {
	grace := n.cfg.ObjectsGrace
	if n.cfg.Objects == nil || grace <= 0 {
		return
	}
	pause := min(sweepPause, max(grace/4, time.Second))
	for peer.Sleep(ctx, pause) {
		if first, err := n.Claim(ctx, sweepClaim, time.Now().Truncate(pause)); err != nil || !first {
			continue // the store is away, or another host sweeps
		}
		swept, err := n.SweepObjects(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			n.log.Warn("unreferenced modules of the object store could not be deleted; they are tried again", "store", n.cfg.Objects.String(), "deleted", swept.Deleted, "error", err)
		case swept.Deleted > 0:
			n.log.Info("unreferenced modules of the object store were deleted", "store", n.cfg.Objects.String(), "deleted", swept.Deleted, "bytes", swept.Bytes)
		}
	}
}

// SweepObjects deletes objects that no version of the catalogue refers to, and has not since the grace. A first sweep marks them in
// the object store. A later one deletes objects that were marked, and stored, at least the grace ago by the clock of the object store.
//
// A deploy stores its blob first, then asks whether a host is about to delete it, and then whether it is still there. A sweep
// announces the blobs first, then looks whether the catalogue names them, and then at their ages. So either the deploy sees the
// announcement, or the sweep sees the commit or a new object. The object store refuses deletions that are late, and announcements
// last longer.
func (n *Node) SweepObjects(ctx context.Context) (swept Swept, err error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	defer func() {
		n.sweptObjects.Add(uint64(swept.Deleted))
		n.sweptBytes.Add(swept.Bytes)
	}()
	use, err := n.use(ctx, nil)
	if err != nil {
		return swept, err
	}
	due, err := n.dueObjects(ctx, use, &swept)
	for len(due) > 0 && err == nil {
		batch := due[:min(len(due), sweepBatch)]
		due = due[len(batch):]
		err = n.deleteObjects(ctx, batch, &swept)
	}
	return swept, err
}

// use is what the catalogue refers to.
type use struct {
	state *registry.State
	named map[registry.Digest]struct{}
}

var (
	errKeepBlobs = errors.New("parts of the catalogue were lost, which may have referred to them")
	errNoNames   = errors.New("the catalogue refers to no module at all: it may have been lost")
)

// use returns what the catalogue of the store refers to at present. before may be an earlier result.
func (n *Node) use(ctx context.Context, before *use) (*use, error) {
	if catalogue := n.catalogue.Load(); catalogue == nil || !catalogue.Collects() {
		return nil, errKeepBlobs
	}
	state, err := n.store.Current(ctx)
	if err != nil {
		return nil, err
	}
	if before != nil && before.state == state {
		return before, nil
	}
	now := &use{state, state.Digests()}
	if len(now.named) == 0 {
		return nil, errNoNames
	}
	return now, nil
}

// dueObjects returns the unreferenced objects that were marked and stored long enough ago, marks the others, and removes the marks
// that are of no use any more.
func (n *Node) dueObjects(ctx context.Context, use *use, swept *Swept) (due []registry.Digest, err error) {
	now, err := n.cfg.Objects.Now(ctx)
	if err != nil {
		return nil, err
	}
	marks, err := n.cfg.Objects.Marks(ctx)
	if err != nil {
		return nil, err
	}
	least := n.cfg.ObjectsGrace + clockSlack
	for o, err := range n.cfg.Objects.Blobs(ctx) {
		if err != nil {
			return nil, err
		}
		marked, known := marks[o.Digest]
		if _, named := use.named[o.Digest]; named {
			continue // its mark goes with the rest
		}
		delete(marks, o.Digest)
		if swept.Unreferenced++; !known {
			err = n.cfg.Objects.Mark(ctx, o.Digest, true)
		} else if now.Sub(marked) >= least && now.Sub(o.Stored) >= least {
			due = append(due, o.Digest)
		}
		if err != nil {
			return nil, err
		}
		if swept.Unreferenced == maxSwept {
			return due, nil // the marks of the others are not known to be useless
		}
	}
	for d := range marks {
		if err := n.cfg.Objects.Mark(ctx, d, false); err != nil {
			return nil, err
		}
	}
	return due, nil
}

// deleteObjects deletes objects of which each is still unreferenced and old enough when it is deleted.
func (n *Node) deleteObjects(ctx context.Context, batch []registry.Digest, swept *Swept) error {
	condemned, err := n.store.Condemn(ctx, batch, condemnTime)
	if err != nil {
		return err
	}
	settled := true
	defer func() {
		if settled {
			condemned.Release()
		}
	}()
	deletions := make([]Deletion, len(batch))
	now, err := n.cfg.Objects.Now(ctx)
	for i, d := range batch {
		if err == nil {
			deletions[i], err = n.cfg.Objects.Deletion(ctx, d, now, deleteTime)
		}
	}
	if err == nil { // after the preparation: the announcement outlasts it
		err = condemned.Extend(ctx)
	}
	var use *use
	for i := 0; i < len(batch) && err == nil; i++ {
		if use, err = n.use(ctx, use); err != nil {
			break
		}
		if _, named := use.named[batch[i]]; named {
			continue
		}
		var size int64
		var deleted bool
		size, deleted, err = deletions[i].Delete(ctx, n.cfg.ObjectsGrace+clockSlack)
		settled = settled && !errors.Is(err, ErrUnsettled)
		if deleted {
			swept.Deleted++
			swept.Bytes += size
			err = n.cfg.Objects.Mark(ctx, batch[i], false)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", batch[i], err)
		}
	}
	return err
}
