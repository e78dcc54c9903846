package deploy

import (
	"context"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services"
)

// prepared is a spec of an Apply with its held blobs and its deployment.
type prepared struct {
	spec       services.Spec
	deployment services.Deployment
	release    func() // releases the blobs; nil if they could not be stored
	err        error
}

// batch is a transaction in progress. It is confined to one goroutine.
type batch struct {
	prepared   []*prepared
	base, next *registry.State
	fresh      []*live
	taken      []registry.Prefix
	removed    []registry.Prefix
	gone       map[registry.Prefix]bool // removed or replaced
}

// release releases the blobs and starts a garbage collection for those that no version refers to.
func (d *Deployer) release(b *batch) {
	for _, p := range b.prepared {
		if p.release != nil {
			p.release()
		}
	}
	if len(b.prepared) > 0 {
		d.retiring.Go(d.collectGarbage)
	}
}

// commitBatch commits the prepared services and the removal of undeclared ones as one change. On an error
// nothing has changed.
func (d *Deployer) commitBatch(ctx context.Context, b *batch, specs []services.Spec) (Applied, error) {
	unlock, err := d.lock(ctx)
	if err != nil {
		d.closeAll(b)
		return Applied{}, err
	}
	defer unlock()
	b.base = d.cfg.Registry.State()
	b.next = b.base
	for _, p := range b.prepared {
		b.add(d, p)
	}
	if err = b.removeUndeclared(specs); err == nil {
		err = d.publishLocked(ctx, b)
	}
	if err != nil {
		for _, l := range b.fresh {
			d.discard(l)
		}
		return Applied{}, err
	}
	return d.settleLocked(b), nil
}

// add adds a prepared service to the batch.
func (b *batch) add(d *Deployer, p *prepared) {
	old, replaces := b.base.Services[p.spec.Prefix]
	next, service := b.next.Put(p.spec.Prefix, version(p.spec))
	b.next, b.fresh = next, append(b.fresh, d.newLive(service, p.deployment, nil))
	b.gone[p.spec.Prefix] = true
	if replaces && old.Current.Origin != registry.OriginFile {
		b.taken = append(b.taken, p.spec.Prefix)
	}
}

// version returns the catalogue entry of a spec whose blobs are stored.
func version(spec services.Spec) registry.Version {
	return registry.Version{
		Digest: spec.Digest, SizeBytes: int64(len(spec.Module)), Kind: spec.Kind, Options: spec.Options, Origin: spec.Origin,
		Deployed: time.Now(),
	}
}

// removeUndeclared removes the services that came from the file and are no longer in it.
func (b *batch) removeUndeclared(specs []services.Spec) (err error) {
	declared := make(map[registry.Prefix]bool, len(specs))
	for _, spec := range specs {
		declared[spec.Prefix] = true
	}
	for _, service := range b.base.Sorted() {
		if declared[service.Prefix] || service.Current.Origin != registry.OriginFile {
			continue
		}
		if b.next, err = b.next.Remove(service.Prefix); err != nil {
			return asProblem("remove the service", err)
		}
		b.removed = append(b.removed, service.Prefix)
		b.gone[service.Prefix] = true
	}
	return nil
}

// tableOf builds the table that becomes current with the batch.
func (d *Deployer) tableOf(b *batch) (*router.Table, error) {
	all := slices.DeleteFunc(d.snapshot(), func(l *live) bool { return b.gone[l.service.Prefix] })
	all = append(all, b.fresh...)
	if err := checkNeighbours(b.fresh, all); err != nil {
		return nil, asProblem("route to the services", err)
	}
	table, err := d.buildTable(all)
	if err != nil {
		return nil, asProblem("route to the services", err)
	}
	return table, nil
}

// publishLocked commits the batch and publishes its table. On an error nothing has changed.
func (d *Deployer) publishLocked(ctx context.Context, b *batch) error {
	first := !d.applied.Load()
	if b.next == b.base && !first {
		return nil
	}
	table, err := d.tableOf(b)
	if err != nil {
		return err
	}
	if b.next != b.base {
		if err := d.cfg.Registry.Commit(ctx, b.base, b.next); err != nil {
			return asProblem("store the change", err)
		}
	}
	// The point of no return: nothing from here on can fail.
	d.applied.Store(true)
	d.cfg.Router.Publish(table.Complete())
	return nil
}

// settleLocked retires the versions that the published batch has replaced, and reports the changes.
func (d *Deployer) settleLocked(b *batch) Applied {
	applied := Applied{Removed: b.removed, TakenOver: b.taken}
	for _, l := range b.fresh {
		prefix := l.service.Prefix
		old := d.replace(prefix, l)
		if old != nil {
			d.retire(old)
		}
		result := Result{Created: old == nil, Before: b.base.Services[prefix].Current, Service: l.service, Status: l.deployment.Status()}
		applied.Deployed = append(applied.Deployed, result)
		d.log.Info("service deployed", "prefix", prefix, "digest", l.service.Current.Digest,
			"generation", l.service.Current.Generation, "created", result.Created, "origin", registry.OriginFile)
		d.cfg.Events.Deployed(result)
	}
	for _, prefix := range b.removed {
		if old := d.replace(prefix, nil); old != nil {
			d.retire(old)
		}
		d.log.Info("service removed", "prefix", prefix, "generation", b.next.Generation, "origin", registry.OriginFile)
		d.cfg.Events.Removed(prefix)
	}
	return applied
}
