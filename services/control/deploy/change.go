package deploy

import (
	"context"
	"slices"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services"
)

// Add deploys a new service, or the next version of the service at the prefix. Deploying the current version
// again is a deploy like any other: it gets a generation and fresh instances. When Add returns without an
// error, the change is durable and every later request sees it. On an error nothing has changed. ctx is
// ignored after the commit.
//
// If the options of spec name middleware but spec has no modules for it, the modules are read from the
// catalogue. Such a spec was made from a stored version, whose middleware must not be lost in an unrelated
// change.
func (d *Deployer) Add(ctx context.Context, spec services.Spec) (Result, error) {
	if err := d.checkPhase(phaseServing); err != nil {
		return Result{}, err
	}
	spec, err := d.complete(ctx, spec)
	if err == nil {
		err = d.Validate(spec) // before it waits for anything
	}
	if err != nil {
		return Result{}, err
	}
	return d.change(ctx, spec.Prefix, func(registry.Service) (services.Spec, error) { return spec, nil })
}

// Change is like Add with a spec that build makes from the current service. No other change of the service
// can come between. build gets the zero Service if the prefix is free. It must be quick.
func (d *Deployer) Change(
	ctx context.Context, prefix registry.Prefix, build func(registry.Service) (services.Spec, error),
) (Result, error) {
	return d.change(ctx, prefix, func(current registry.Service) (services.Spec, error) {
		spec, err := build(current)
		if err == nil {
			spec, err = d.complete(ctx, spec)
		}
		if err != nil {
			return services.Spec{}, err
		}
		return spec, d.Validate(spec)
	})
}

// complete reads the middleware modules of a spec that has only their digests.
func (d *Deployer) complete(ctx context.Context, spec services.Spec) (services.Spec, error) {
	if len(spec.Use) > 0 || len(spec.Options.Use) == 0 {
		return spec, nil
	}
	var err error
	if spec.Use, err = d.storedMiddleware(ctx, registry.Version{Options: spec.Options}); err != nil {
		return services.Spec{}, asProblem("read the middleware", err)
	}
	return spec, nil
}

// change deploys the spec that build returns. build must return a valid one.
func (d *Deployer) change(
	ctx context.Context, prefix registry.Prefix, build func(registry.Service) (services.Spec, error),
) (result Result, err error) {
	end, err := d.begin(phaseServing)
	if err != nil {
		return Result{}, err
	}
	defer end()
	release, err := d.claim(ctx, impatient, prefix)
	if err != nil {
		return Result{}, err
	}
	defer release()
	if err := d.changeable(prefix); err != nil {
		return Result{}, err
	}
	spec, err := build(d.cfg.Registry.State().Services[prefix])
	if err != nil {
		return Result{}, err
	}
	releaseBlobs, err := d.putBlobs(ctx, &spec)
	if err != nil {
		return Result{}, err
	}
	defer func() {
		releaseBlobs()
		if err != nil { // else failing deploys fill the disk with their blobs
			d.retiring.Go(d.collectGarbage)
		}
	}()
	return d.deploy(ctx, spec)
}

// Rollback makes the version before the current one current again. Like kubectl's rollout undo and Heroku's
// rollback, it is a deploy with the next generation. The replaced version becomes the previous one, so two
// rollbacks restore the initial state. RollbackTo reaches older versions.
func (d *Deployer) Rollback(ctx context.Context, prefix registry.Prefix) (Result, error) {
	return d.rollback(ctx, prefix, func(s *registry.State) (registry.Version, error) { return s.Previous(prefix) })
}

// RollbackTo is like Rollback, to the version of generation g, which must be in the history.
func (d *Deployer) RollbackTo(ctx context.Context, prefix registry.Prefix, g registry.Generation) (Result, error) {
	return d.rollback(ctx, prefix, func(s *registry.State) (registry.Version, error) { return s.At(prefix, g) })
}

func (d *Deployer) rollback(
	ctx context.Context, prefix registry.Prefix, choose func(*registry.State) (registry.Version, error),
) (Result, error) {
	end, err := d.begin(phaseServing)
	if err != nil {
		return Result{}, err
	}
	defer end()
	release, err := d.claim(ctx, impatient, prefix)
	if err != nil {
		return Result{}, err
	}
	defer release()
	if err := d.changeable(prefix); err != nil {
		return Result{}, err
	}
	version, err := choose(d.cfg.Registry.State())
	if err != nil {
		return Result{}, asProblem("find the earlier version", err)
	}
	spec, err := d.stored(ctx, prefix, version)
	if err != nil {
		return Result{}, asProblem("read the earlier version's module", err)
	}
	spec.Origin = registry.OriginAPI // a rollback comes from the API, even to a version from the file
	if err := d.Validate(spec); err != nil {
		return Result{}, err
	}
	return d.deploy(ctx, spec)
}

// stored returns the spec of a version in the catalogue.
func (d *Deployer) stored(ctx context.Context, prefix registry.Prefix, v registry.Version) (services.Spec, error) {
	module, err := d.cfg.Registry.Blob(ctx, v.Digest)
	if err != nil {
		return services.Spec{}, err
	}
	use, err := d.storedMiddleware(ctx, v)
	if err != nil {
		return services.Spec{}, err
	}
	return services.Spec{
		Use:    use,
		Prefix: prefix, Kind: v.Kind, Digest: v.Digest, Module: module, Options: v.Options, Origin: v.Origin,
	}, nil
}

// deploy runs the steps from "prepare" to "drain". The blobs of spec must be held or referenced by the
// catalogue, and its prefix claimed.
func (d *Deployer) deploy(ctx context.Context, spec services.Spec) (Result, error) {
	deployment, err := d.prepare(ctx, impatient, spec)
	if err != nil {
		return Result{}, asProblem("prepare the service", err)
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		d.closeUnpublished(spec.Prefix, deployment)
		return Result{}, err
	}
	defer unlock()
	base := d.cfg.Registry.State()
	next, service := base.Put(spec.Prefix, version(spec))
	fresh := d.newLive(service, deployment, nil)
	if err := d.commitLocked(ctx, base, next, spec.Prefix, fresh); err != nil {
		d.discard(fresh)
		return Result{}, err
	}
	before, replaced := base.Services[spec.Prefix]
	result := Result{Created: !replaced, Before: before.Current, Service: service, Status: deployment.Status()}
	d.log.Info("service deployed",
		"prefix", spec.Prefix, "digest", spec.Digest, "generation", service.Current.Generation, "created", !replaced)
	d.cfg.Events.Deployed(result)
	return result, nil
}

// Remove removes a service and its history from the catalogue. Requests in flight complete normally.
func (d *Deployer) Remove(ctx context.Context, prefix registry.Prefix) error {
	end, err := d.begin(phaseServing)
	if err != nil {
		return err
	}
	defer end()
	release, err := d.claim(ctx, impatient, prefix)
	if err != nil {
		return err
	}
	defer release()
	if err := d.changeable(prefix); err != nil {
		return err
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	base := d.cfg.Registry.State()
	next, err := base.Remove(prefix)
	if err != nil {
		return asProblem("remove the service", err)
	}
	if err := d.commitLocked(ctx, base, next, prefix, nil); err != nil {
		return err
	}
	d.log.Info("service removed", "prefix", prefix, "generation", next.Generation)
	d.cfg.Events.Removed(prefix)
	return nil
}

// commitLocked commits next and makes fresh the live version at prefix; nil removes the service. On an error
// nothing has changed.
func (d *Deployer) commitLocked(
	ctx context.Context, base, next *registry.State, prefix registry.Prefix, fresh *live,
) error {
	table, err := d.tableWith(prefix, fresh)
	if err != nil {
		return asProblem("route to the service", err)
	}
	if err := d.cfg.Registry.Commit(ctx, base, next); err != nil {
		return asProblem("store the change", err)
	}
	// The point of no return: nothing below can fail.
	d.cfg.Router.Publish(table)
	if old := d.replace(prefix, fresh); old != nil {
		d.retire(old)
	}
	return nil
}

// tableWith builds the table that becomes current with fresh at prefix, or without a service there if fresh
// is nil.
func (d *Deployer) tableWith(prefix registry.Prefix, fresh *live) (*router.Table, error) {
	all := slices.DeleteFunc(d.snapshot(), func(l *live) bool { return l.service.Prefix == prefix })
	if fresh != nil {
		all = append(all, fresh)
		if err := checkNeighbours([]*live{fresh}, all); err != nil {
			return nil, err
		}
	}
	return d.buildTable(all)
}

// replace makes fresh the live version at prefix, or removes it if fresh is nil. It returns the previous one.
func (d *Deployer) replace(prefix registry.Prefix, fresh *live) (old *live) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old = d.live[prefix]; old != nil && old.startup != nil {
		d.start.left--
	}
	if fresh == nil {
		delete(d.live, prefix)
	} else {
		d.live[prefix] = fresh
	}
	return old
}
