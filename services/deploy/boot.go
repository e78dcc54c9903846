package deploy

import (
	"context"
	"fmt"
	"sync"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services"
)

// Boot prepares all that the catalogue names, publishes it and turns readiness on. A service that cannot be prepared
// any more stays in the catalogue, is reported by Events.Unavailable and the log, and answers 503 until it is
// deployed anew, rolled back or removed; the others serve. The error is ctx's or ErrClosed, when nothing was
// published, or ErrBooted.
func (d *Deployer) Boot(ctx context.Context) error {
	unlock, err := d.lock(ctx, phaseNew)
	if err != nil {
		return err
	}
	defer unlock()
	all := d.bootAll(ctx)
	if err := d.interrupted(ctx); err != nil {
		d.discardAll(all)
		return err
	}
	d.refuseNeighbours(ctx, all)
	table, err := router.BuildTable(routes(all))
	if err != nil {
		d.discardAll(all)
		return fmt.Errorf("boot: build the table: %w", err)
	}
	d.cfg.Router.Publish(table)
	for _, l := range all {
		d.replace(l.service.Prefix, l)
	}
	d.phase.Store(phaseReady)
	d.log.Info("catalogue loaded", "services", len(all), "generation", d.cfg.Registry.State().Generation)
	d.collectGarbage()
	return nil
}

// bootAll makes one live for each service, at most BootParallel at a time.
func (d *Deployer) bootAll(ctx context.Context) []*live {
	stored := d.cfg.Registry.State().Sorted()
	all := make([]*live, len(stored))
	turn := make(chan struct{}, d.cfg.BootParallel)
	var wg sync.WaitGroup
	for i, service := range stored {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			all[i] = d.bootOne(ctx, service)
		})
	}
	wg.Wait()
	return all
}

// bootOne never fails: what cannot be prepared is live as a refusal.
func (d *Deployer) bootOne(ctx context.Context, service registry.Service) *live {
	deployment, err := d.reprepare(ctx, service)
	if err == nil {
		return d.newLive(service, deployment, nil)
	}
	return d.unavailable(ctx, service, err)
}

// unavailable is live as a refusal, and tells why.
func (d *Deployer) unavailable(ctx context.Context, service registry.Service, err error) *live {
	err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	if d.interrupted(ctx) == nil {
		d.log.Error("service is in the catalogue but cannot be served",
			"prefix", service.Prefix, "digest", service.Current.Digest, "error", err)
		d.cfg.Events.Unavailable(service.Prefix, err)
	}
	return d.newLive(service, refusal{
		kind:   problem.NotReady,
		detail: "this service could not be started; its operator can deploy it anew, roll it back or remove it",
		cause:  err,
	}, err)
}

func (d *Deployer) reprepare(ctx context.Context, service registry.Service) (services.Deployment, error) {
	if err := d.interrupted(ctx); err != nil {
		return nil, err
	}
	if violations := checkPrefix(service.Prefix); len(violations) > 0 {
		return nil, invalidSpec(violations)
	}
	spec, err := d.stored(ctx, service.Prefix, service.Current)
	if err != nil {
		return nil, err
	}
	if !d.cfg.FileRules {
		spec.Origin = registry.OriginAPI // a file that is gone vouches for nothing
	}
	return d.prepare(ctx, spec)
}

// interrupted says why a boot is to be given up.
func (d *Deployer) interrupted(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	if d.closing.Err() != nil {
		return fmt.Errorf("boot: %w", ErrClosed)
	}
	return nil
}

func (d *Deployer) discardAll(all []*live) {
	for _, l := range all {
		d.discard(l)
	}
}
