package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services"
)

// Applied tells what Apply has brought about.
type Applied struct {
	Deployed  []Result          // added or replaced
	TakenOver []registry.Prefix // of these, those that the management API had added
	Removed   []registry.Prefix
}

// Failure is why one service of an Apply cannot be.
type Failure struct {
	Index int // of the spec
	Err   error
}

// ApplyError says why nothing was applied, for all services of which that could be found out.
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

// Unwrap gives all reasons.
func (e *ApplyError) Unwrap() (all []error) {
	for _, f := range e.Failures {
		all = append(all, f.Err)
	}
	return all
}

// Apply makes specs what the configuration file has declared, in one transaction: what is new or different is deployed, what the file
// declared before and does not any more is removed, and services of the management API stay, unless the file declares their prefix
// now. All is prepared before one commit and one change of the table; where anything fails, nothing has changed, and the error is an
// *ApplyError if it is about single services. A service that is as it is declared is left alone, unless it could not be
// prepared before.
//
// Single services are not held up by an Apply, but for those that it changes. After the first one, the server can be ready.
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

// claimDifference finds the specs, by index, that are not served as they are declared, and takes the claims to them and to
// what is to be removed.
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
		release() // the management API has taken a prefix that the file declares; it can do so once for each
	}
}

// difference returns the specs, by index, that are to be deployed, and all prefixes that change.
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

// countDeclared makes n services a part of the start if this is the first Apply.
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

// Rehearse finds what is wrong with specs before an Apply does: it validates all and prepares those of the kinds that are named, whose
// Prepare reaches nothing outside of the process. It changes nothing.
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

// validateAll looks at all specs and at their being different.
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

// prepareAll prepares the changed specs side by side, all of them even if some fail, so that all reasons are told at once.
func (d *Deployer) prepareAll(ctx context.Context, b *batch, specs []services.Spec, changed []int) error {
	var all sync.WaitGroup
	turn := make(chan struct{}, 2*d.cfg.PrepareParallel) // bounds the goroutines; those of guests wait for the turns beside
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

// closeAll closes what was prepared for a batch that is given up.
func (d *Deployer) closeAll(b *batch) {
	for _, p := range b.prepared {
		d.closeUnpublished(p.spec.Prefix, p.deployment)
	}
}

// unchanged reports whether the service is served as it is declared.
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

// changeable refuses the management API what the configuration file declares.
func (d *Deployer) changeable(prefix registry.Prefix) error {
	if !d.cfg.FileRules || d.cfg.Registry.State().Services[prefix].Current.Origin != registry.OriginFile {
		return nil
	}
	return problem.New(problem.Conflict, "this service is declared in the server's configuration file; change it there").WithCause(ErrDeclared)
}
