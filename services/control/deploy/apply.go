package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// Applied describes the outcome of an Apply.
type Applied struct {
	Deployed  []Result          // added or replaced
	TakenOver []registry.Prefix // the subset of Deployed that the management API had added
	Removed   []registry.Prefix
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

// Apply makes specs the set of services declared by the configuration file, in one transaction. It deploys
// new and changed services and removes those that the file no longer declares. Services of the management API
// are kept, unless the file now declares their prefix. Unchanged services are left alone, unless their
// preparation had failed.
//
// Everything is prepared before one commit and one change of the table. On an error nothing has changed; the
// error is an *ApplyError if it concerns single services.
//
// Apply delays only changes of the services that it changes itself. The server can become ready after the
// first Apply.
func (d *Deployer) Apply(ctx context.Context, specs []services.Spec) (Applied, error) {
	if err := d.validateAll(specs); err != nil {
		return Applied{}, err
	}
	end, err := d.begin(phaseServing)
	if err != nil {
		return Applied{}, err
	}
	defer end()
	changed, release, err := d.claimDifference(ctx, specs)
	if err != nil {
		return Applied{}, err
	}
	defer release()
	b := &batch{gone: make(map[registry.Prefix]bool)}
	defer d.release(b)
	defer d.countDeclared(len(changed))()
	if err := d.prepareAll(ctx, b, specs, changed); err != nil {
		return Applied{}, err
	}
	return d.commitBatch(ctx, b, specs)
}

// claimDifference returns the indices of the specs that differ from the served version. It claims their
// prefixes and those of the services to be removed.
func (d *Deployer) claimDifference(ctx context.Context, specs []services.Spec) (changed []int, release func(), err error) {
	for {
		_, prefixes := d.difference(specs)
		if release, err = d.claim(ctx, patient, prefixes...); err != nil {
			return nil, nil, err
		}
		changed, now := d.difference(specs)
		if !slices.ContainsFunc(now, func(p registry.Prefix) bool { return !slices.Contains(prefixes, p) }) {
			return changed, release, nil
		}
		release() // the management API took a prefix that the file declares, at most once for each
	}
}

// difference returns the indices of the specs to deploy, and all prefixes that change.
func (d *Deployer) difference(specs []services.Spec) (changed []int, prefixes []registry.Prefix) {
	base := d.cfg.Registry.State()
	declared := make(map[registry.Prefix]bool, len(specs))
	for i, spec := range specs {
		declared[spec.Prefix] = true
		spec.Origin = registry.OriginFile
		if !d.unchanged(base, spec) {
			changed, prefixes = append(changed, i), append(prefixes, spec.Prefix)
		}
	}
	for _, service := range base.Sorted() {
		if !declared[service.Prefix] && service.Current.Origin == registry.OriginFile {
			prefixes = append(prefixes, service.Prefix)
		}
	}
	return changed, prefixes
}

// countDeclared adds n services to the progress of the start if this is the first Apply.
func (d *Deployer) countDeclared(n int) (end func()) {
	if d.applied.Load() {
		return func() {}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.declared.total = n
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.declared.done = n
	}
}

// Rehearse finds errors in specs before an Apply. It validates all specs and prepares those of the given
// kinds, whose Prepare must have no effects outside the process. It changes nothing.
func (d *Deployer) Rehearse(ctx context.Context, specs []services.Spec, kinds ...string) error {
	if err := d.validateAll(specs); err != nil {
		return err
	}
	end, err := d.begin(phaseServing)
	if err != nil {
		return err
	}
	defer end()
	var failures []Failure
	for i, spec := range specs {
		if !slices.Contains(kinds, spec.Kind) {
			continue
		}
		deployment, err := d.prepare(ctx, impatient, spec)
		if err != nil {
			failures = append(failures, Failure{Index: i, Err: asProblem("prepare the service", err)})
			continue
		}
		d.closeUnpublished(spec.Prefix, deployment)
	}
	if len(failures) > 0 {
		return &ApplyError{Failures: failures}
	}
	return nil
}

// validateAll validates all specs and checks that their prefixes are unique.
func (d *Deployer) validateAll(specs []services.Spec) error {
	var failures []Failure
	seen := make(map[registry.Prefix]bool)
	for i, spec := range specs {
		if seen[spec.Prefix] {
			failures = append(failures, Failure{Index: i, Err: invalidSpec([]string{fmt.Sprintf("prefix: %q is declared more than once", spec.Prefix)})})
			continue
		}
		seen[spec.Prefix] = true
		if err := d.Validate(spec); err != nil {
			failures = append(failures, Failure{Index: i, Err: err})
		}
	}
	if len(failures) > 0 {
		return &ApplyError{Failures: failures}
	}
	return nil
}

// prepareAll prepares the changed specs in parallel. It prepares all even if some fail, so that all errors
// are reported at once.
func (d *Deployer) prepareAll(ctx context.Context, b *batch, specs []services.Spec, changed []int) error {
	var all sync.WaitGroup
	turn := make(chan struct{}, 2*d.cfg.PrepareParallel) // bounds the goroutines; preparations with guests also wait for turns
	for _, i := range changed {
		p := &prepared{spec: specs[i]}
		p.spec.Origin = registry.OriginFile
		b.prepared = append(b.prepared, p)
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			d.prepareOne(ctx, p)
			d.declaredDone()
		})
	}
	all.Wait()
	var failures []Failure
	for n, p := range b.prepared {
		if p.err == nil {
			continue
		}
		if ctx.Err() != nil || d.closing.Err() != nil {
			d.closeAll(b)
			return p.err
		}
		failures = append(failures, Failure{Index: changed[n], Err: p.err})
	}
	if len(failures) > 0 {
		d.closeAll(b)
		return &ApplyError{Failures: failures}
	}
	return nil
}

func (d *Deployer) declaredDone() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.declared.done < d.declared.total {
		d.declared.done++
	}
}

// closeAll closes the deployments of an abandoned batch.
func (d *Deployer) closeAll(b *batch) {
	for _, p := range b.prepared {
		d.closeUnpublished(p.spec.Prefix, p.deployment)
	}
}

// unchanged reports whether the service is served exactly as spec declares it.
func (d *Deployer) unchanged(base *registry.State, spec services.Spec) bool {
	current, ok := base.Services[spec.Prefix]
	spec.Options.Use = digestsOf(spec.Use)
	l := d.liveAt(spec.Prefix)
	return ok && l != nil && l.problem == nil && current.Current.Origin == spec.Origin && current.Current.SameContent(registry.Version{
		Digest: registry.DigestOf(spec.Module), Kind: spec.Kind, Options: spec.Options,
	})
}

func (d *Deployer) prepareOne(ctx context.Context, p *prepared) {
	if p.release, p.err = d.putBlobs(ctx, &p.spec); p.err != nil {
		return
	}
	var err error
	if p.deployment, err = d.prepare(ctx, patient, p.spec); err != nil {
		p.err = asProblem("prepare the service", err)
	}
}

// changeable returns an error if the configuration file declares the service: the management API must not
// change it.
func (d *Deployer) changeable(prefix registry.Prefix) error {
	if !d.cfg.FileRules || d.cfg.Registry.State().Services[prefix].Current.Origin != registry.OriginFile {
		return nil
	}
	return problem.New(problem.Conflict, "this service is declared in the server's configuration file; change it there").WithCause(ErrDeclared)
}
