package deploy

import (
	"context"
	"slices"
	"sync"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/plan"
)

// versionKey identifies a version of a service.
type versionKey struct {
	key    routekey.Key
	number registry.Number
}

// prepared is a version with its held blobs and its deployment, before it is published.
type prepared struct {
	change     int              // index in the transaction
	service    registry.Service // in the plan
	spec       *services.Spec   // nil: it is in the catalogue
	deployment services.Deployment
	used       bool   // the deployment is published
	smoked     bool   // it has answered the smoke requests
	release    func() // releases the blobs; nil if none were stored
	err        error
}

// prepareDifference prepares the versions of the plan in parallel. It keeps those of an earlier plan that are
// still wanted. It prepares all even if some fail, so that all errors are reported at once.
func (d *Deployer) prepareDifference(ctx context.Context, t *transaction) error {
	before := t.prepared
	t.prepared = make(map[versionKey]*prepared)
	var missing []*prepared
	for _, step := range t.plan.Prepare {
		for _, n := range d.notServed(step) {
			key, service := versionKey{step.Service.Key, n}, only(step.Service, n)
			p, wanted := before[key], service.Current
			if p != nil && p.service.Current.Origin == wanted.Origin && p.service.Current.SameContent(wanted) {
				delete(before, key)
			} else {
				p = &prepared{change: step.Change, service: service}
				if spec, ok := t.changes.specs[key.key]; ok && versionOf(spec).SameContent(wanted) {
					p.spec = &spec
				}
				missing = append(missing, p)
			}
			t.prepared[key] = p
		}
	}
	for _, p := range before {
		d.abandon(p)
	}
	if t.file {
		d.expectDeclared(len(missing))
	}
	return d.prepareAll(ctx, missing, func(p *prepared) {
		if d.prepareOne(ctx, t, p); t.file {
			d.declaredDone()
		}
	})
}

// notServed returns the versions of a step that have to be prepared: the fresh ones, and those that the catalogue got
// elsewhere and that no Adopt has published yet.
func (d *Deployer) notServed(step plan.Step) []registry.Number {
	served := d.placementAt(step.Service.Key)
	return slices.DeleteFunc(step.Service.Live(), func(n registry.Number) bool {
		l := served.at(n)
		return l != nil && !slices.Contains(step.Fresh, n) && l.service.Current.SameContent(only(step.Service, n).Current)
	})
}

// prepareAll calls prepare for each of all, in parallel, and returns the errors as an *ApplyError.
func (d *Deployer) prepareAll(ctx context.Context, all []*prepared, prepare func(*prepared)) error {
	var running sync.WaitGroup
	turn := make(chan struct{}, 2*d.cfg.PrepareParallel) // bounds the goroutines; preparations with guests also wait for turns
	for _, p := range all {
		turn <- struct{}{}
		running.Go(func() {
			defer func() { <-turn }()
			prepare(p)
		})
	}
	running.Wait()
	failed := failures{}
	for _, p := range all {
		switch {
		case p.err == nil:
		case ctx.Err() != nil || d.closing.Err() != nil:
			return p.err
		default:
			failed[p.change] = p.err
		}
	}
	return failed.err()
}

// prepareOne stores the blobs of a new version, or reads those of an earlier one, and prepares it.
func (d *Deployer) prepareOne(ctx context.Context, t *transaction, p *prepared) {
	var spec services.Spec
	if p.spec == nil {
		spec, p.err = d.earlier(ctx, p.service)
	} else if spec, p.err = withContent(*p.spec); p.err == nil && !t.dryRun {
		p.release, p.err = d.putBlobs(ctx, spec)
	}
	if p.err == nil && !d.onlyMoves(t, p.service) {
		d.prepareSpec(ctx, t.patience, p, spec)
	}
}

// earlier returns the spec of a version from the history. It is checked again: the rules may have changed.
func (d *Deployer) earlier(ctx context.Context, service registry.Service) (services.Spec, error) {
	spec, err := d.stored(ctx, service.Key, service.Current)
	if err != nil {
		return spec, asProblem("read the earlier version's module", err)
	}
	return spec, d.Validate(spec)
}

func (d *Deployer) prepareSpec(ctx context.Context, patience patience, p *prepared, spec services.Spec) {
	var err error
	if p.deployment, err = d.prepare(ctx, patience, spec); err != nil {
		p.err = asProblem("prepare the service", err)
	}
}

// abandon closes a version that is not published, and releases its blobs.
func (d *Deployer) abandon(p *prepared) {
	d.closeUnpublished(p.service.Key, p.deployment)
	if p.release != nil {
		p.release()
	}
}

// with returns all placements as they are after placed are published and removed are gone. The ones of placed come last.
func (d *Deployer) with(placed []*placement, removed []routekey.Key) []*placement {
	gone := make(map[routekey.Key]bool)
	for _, key := range append(servedKeys(placed), removed...) {
		gone[key] = true
	}
	all := slices.DeleteFunc(d.placements(), func(p *placement) bool { return gone[p.service.Key] })
	return append(all, placed...)
}

// publishLocked publishes a table of the versions returned by with, and retires those that it replaces. It is
// called with the writer lock held.
func (d *Deployer) publishLocked(table *router.Table, placed []*placement, removed []routekey.Key) {
	d.cfg.Router.Publish(table)
	for _, old := range d.exchange(placed, removed) {
		d.retire(old)
	}
}

// exchange makes placed live and forgets removed. It returns the versions that do not serve any more.
func (d *Deployer) exchange(placed []*placement, removed []routekey.Key) (old []*live) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := make(map[routekey.Key]*placement)
	for _, key := range append(servedKeys(placed), removed...) {
		delete(d.behind, key)
		if p := d.live[key]; p != nil {
			before[key] = p
			delete(d.live, key)
		}
	}
	for _, p := range placed {
		d.live[p.service.Key] = p
		d.limit(p)
	}
	for key, p := range before {
		for _, l := range p.all {
			if d.live[key].has(l) {
				continue
			}
			old = append(old, l)
			if l.startup != nil {
				d.start.left--
			}
		}
	}
	return old
}
