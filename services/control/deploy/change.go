package deploy

import (
	"context"
	"errors"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/plan"
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
	put, err := d.put(ctx, spec) // checked before it waits for anything
	if err != nil {
		return Result{}, err
	}
	return d.changeOne(ctx, spec.Key, func(registry.Service) (changes, error) { return put, nil })
}

// Change is like Add with a spec that build makes from the current service. No other change of the service
// can come between. build gets the zero Service if the prefix is free. It delays other changes of the service, and
// is called again if another writer of the catalogue was first.
func (d *Deployer) Change(
	ctx context.Context, key routekey.Key, build func(registry.Service) (services.Spec, error),
) (Result, error) {
	return d.changeOne(ctx, key, func(current registry.Service) (changes, error) {
		spec, err := build(current)
		if err != nil {
			return changes{}, err
		}
		return d.put(ctx, spec)
	})
}

// put returns the change that deploys spec, after checking it.
func (d *Deployer) put(ctx context.Context, spec services.Spec) (changes, error) {
	spec, err := d.complete(ctx, spec)
	if err == nil {
		err = d.Validate(spec)
	}
	if err != nil {
		return changes{}, err
	}
	spec = d.identified(spec)
	return changes{
		list:  []plan.Change{plan.Put{Key: spec.Key, Version: versionOf(spec)}},
		specs: map[routekey.Key]services.Spec{spec.Key: spec},
	}, nil
}

// Rollback makes the version before the current one current again. Like kubectl's rollout undo and Heroku's
// rollback, it is a deploy with the next generation. The replaced version becomes the previous one, so two
// rollbacks restore the initial state. RollbackTo reaches older versions.
func (d *Deployer) Rollback(ctx context.Context, key routekey.Key) (Result, error) {
	return d.RollbackTo(ctx, key, 0)
}

// RollbackTo is like Rollback, to the version of generation g, which must be in the history. Zero means the version
// before the current one.
func (d *Deployer) RollbackTo(ctx context.Context, key routekey.Key, g registry.Generation) (Result, error) {
	rollback := changes{list: []plan.Change{plan.Rollback{Key: key, Generation: g}}}
	return d.changeOne(ctx, key, func(registry.Service) (changes, error) { return rollback, nil })
}

// RollbackToNumber is like RollbackTo, to the version with a number.
func (d *Deployer) RollbackToNumber(ctx context.Context, key routekey.Key, n registry.Number) (Result, error) {
	rollback := changes{list: []plan.Change{plan.Rollback{Key: key, Number: n}}}
	return d.changeOne(ctx, key, func(registry.Service) (changes, error) { return rollback, nil })
}

// Remove removes a service and its history from the catalogue. Requests in flight complete normally.
func (d *Deployer) Remove(ctx context.Context, key routekey.Key) error {
	remove := changes{list: []plan.Change{plan.Remove{Key: key}}}
	_, err := d.changeOne(ctx, key, func(registry.Service) (changes, error) { return remove, nil })
	return err
}

// changeOne carries out one change, which build makes from the current service. The result is zero if the change
// removes the service.
func (d *Deployer) changeOne(
	ctx context.Context, key routekey.Key, build func(registry.Service) (changes, error),
) (result Result, err error) {
	results, err := d.transact(ctx, &transaction{
		claimed: []routekey.Key{key},
		build:   func(s *registry.State) (changes, error) { return build(s.Services[key]) },
	})
	if len(results) > 0 {
		result = results[0]
	}
	return result, first(err)
}

// first returns the first failure of an *ApplyError, and any other error unchanged.
func first(err error) error {
	var refused *ApplyError
	if errors.As(err, &refused) {
		return refused.Failures[0].Err
	}
	return err
}
