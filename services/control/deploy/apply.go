package deploy

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/plan"
)

// Applied describes the outcome of an Apply.
type Applied struct {
	Deployed  []Result       // added or replaced
	TakenOver []routekey.Key // the subset of Deployed that the management API had added
	Removed   []routekey.Key
}

// Failure is the reason why one service of an Apply was refused.
type Failure struct {
	Index int // in the specs
	Err   error
}

// ApplyError is returned if nothing was applied. It holds the failures of all services that could be checked.
type ApplyError struct {
	Failures []Failure // never empty
}

func (e *ApplyError) Error() string {
	var texts []string
	for _, f := range e.Failures {
		texts = append(texts, f.Err.Error())
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the errors of all failures.
func (e *ApplyError) Unwrap() (all []error) {
	for _, f := range e.Failures {
		all = append(all, f.Err)
	}
	return all
}

// failures are the failures of an Apply by index.
type failures map[int]error

// err returns an *ApplyError, or nil without failures.
func (f failures) err() error {
	if len(f) == 0 {
		return nil
	}
	e := &ApplyError{}
	for _, i := range slices.Sorted(maps.Keys(f)) {
		e.Failures = append(e.Failures, Failure{Index: i, Err: f[i]})
	}
	return e
}

// Apply makes specs the set of services declared by the configuration file, in one transaction. It deploys
// new and changed services and removes services that the file no longer declares. Services of the management API
// are kept, unless the file now declares their prefix. Unchanged services are left alone, unless their
// preparation had failed.
//
// Everything is prepared before one commit and one change of the table. On an error nothing has changed; the
// error is an *ApplyError if it concerns single services.
//
// Apply delays only changes of the services that it changes itself. The server can become ready after the
// first Apply.
func (d *Deployer) Apply(ctx context.Context, specs []services.Spec) (Applied, error) {
	return d.ApplyBy(ctx, specs, nil)
}

// ApplyBy is like Apply, with the way in which new versions of services are deployed. It has no dry runs. A version that was
// rolled back after its trial is not tried again, until the file declares another one.
func (d *Deployer) ApplyBy(ctx context.Context, specs []services.Spec, hows map[routekey.Key]How) (Applied, error) {
	declared, p, err := d.declare(specs, hows)
	if err != nil {
		return Applied{}, err
	}
	t := &transaction{
		patience: patient,
		file:     true,
		smoke:    smokeOf(hows),
		claimed:  p.Touched,
		build:    func(*registry.State) (changes, error) { return declared, nil },
	}
	results, err := d.transact(ctx, t)
	if err != nil {
		return Applied{}, err
	}
	applied := Applied{Deployed: results, Removed: t.plan.Remove}
	for _, r := range results {
		if !r.Created && r.Before.Origin != registry.OriginFile {
			applied.TakenOver = append(applied.TakenOver, r.Service.Key)
		}
	}
	return applied, nil
}

// declare checks specs and returns the changes that make them the set of services of the file, with their plan on
// the current state.
func (d *Deployer) declare(specs []services.Spec, hows map[routekey.Key]How) (c changes, p *plan.Plan, err error) {
	c.specs = make(map[routekey.Key]services.Spec, len(specs))
	failed := failures{}
	base := d.base()
	for i, spec := range specs {
		spec, err := d.checked(base, spec)
		if err == nil {
			err = d.checkMirror(spec.Kind, hows[spec.Key])
		}
		if err != nil {
			failed[i] = err
		}
		c.list = append(c.list, plan.Declare{Key: spec.Key, Version: versionOf(spec), Rollout: hows[spec.Key].Rollout})
		c.specs[spec.Key] = spec
	}
	c.list = append(c.list, plan.Prune{})
	p, err = planOf(d.base(), c.list)
	var refused *ApplyError
	if errors.As(err, &refused) {
		for _, f := range refused.Failures {
			failed[f.Index] = f.Err
		}
	}
	return c, p, failed.err()
}

// checked validates a spec of the file and identifies it. Its content is in memory only meanwhile. One that the catalogue
// has as it is, and that has not failed, was validated and is not read.
func (d *Deployer) checked(base plan.Base, spec services.Spec) (services.Spec, error) {
	spec.Origin = registry.OriginFile
	identified := d.identified(spec)
	if service, ok := base.State.Services[spec.Key]; ok && !base.Failed[spec.Key] && service.Current.Origin == registry.OriginFile && service.Current.SameContent(versionOf(identified)) {
		return identified, nil
	}
	whole, err := withContent(identified)
	if err == nil {
		err = d.Validate(whole)
	}
	return identified, err
}

// Rehearse finds errors in specs before an Apply. It validates all specs and prepares those of the given
// kinds, whose Prepare must have no effects outside the process. It changes nothing.
func (d *Deployer) Rehearse(ctx context.Context, specs []services.Spec, kinds ...string) error {
	if _, _, err := d.declare(specs, nil); err != nil {
		return err
	}
	end, err := d.begin(phaseServing)
	if err != nil {
		return err
	}
	defer end()
	var all []*prepared
	for i, spec := range specs {
		if slices.Contains(kinds, spec.Kind) {
			all = append(all, &prepared{change: i, service: registry.Service{Key: spec.Key}, spec: &spec})
		}
	}
	return d.prepareAll(ctx, all, func(p *prepared) {
		var spec services.Spec
		if spec, p.err = withContent(*p.spec); p.err == nil {
			d.prepareSpec(ctx, patient, p, spec)
			d.abandon(p)
		}
	})
}

// expectDeclared adds n services to the progress of the start if this is the first Apply.
func (d *Deployer) expectDeclared(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.applied.Load() {
		d.declared = progress{total: n}
	}
}

func (d *Deployer) declaredDone() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.declared.done < d.declared.total {
		d.declared.done++
	}
}
