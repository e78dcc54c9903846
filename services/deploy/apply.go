package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
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
func (d *Deployer) Apply(ctx context.Context, specs []services.Spec) (Applied, error) {
	if err := d.validateAll(specs); err != nil {
		return Applied{}, err
	}
	unlock, err := d.lockPatiently(ctx, phaseReady)
	if err != nil {
		return Applied{}, err
	}
	defer unlock()
	b := &batch{base: d.cfg.Registry.State(), gone: make(map[registry.Prefix]bool)}
	b.next = b.base
	defer d.release(b)
	err = d.prepareAll(ctx, b, specs)
	if err == nil {
		err = b.removeUndeclared(specs)
	}
	if err == nil {
		err = d.publishLocked(ctx, b)
	}
	if err != nil {
		d.discardAll(b.fresh)
		return Applied{}, err
	}
	return d.settleLocked(b), nil
}

// Rehearse finds what is wrong with specs before an Apply does: it validates all and prepares those of the kinds that are named, whose
// Prepare reaches nothing outside of the process. It changes nothing.
func (d *Deployer) Rehearse(ctx context.Context, specs []services.Spec, kinds ...string) error {
	if err := d.validateAll(specs); err != nil {
		return err
	}
	unlock, err := d.lock(ctx, phaseReady)
	if err != nil {
		return err
	}
	defer unlock()
	var failures []Failure
	for i, spec := range specs {
		if !slices.Contains(kinds, spec.Kind) {
			continue
		}
		deployment, err := d.prepare(ctx, spec)
		if err != nil {
			failures = append(failures, Failure{Index: i, Err: asProblem("prepare the service", err)})
			continue
		}
		d.discard(d.newLive(registry.Service{Prefix: spec.Prefix, Current: version(spec)}, deployment, nil))
	}
	if len(failures) > 0 {
		return &ApplyError{Failures: failures}
	}
	return nil
}

// batch is a transaction under way. It is the one writer's.
type batch struct {
	base, next *registry.State
	fresh      []*live
	taken      []registry.Prefix
	removed    []registry.Prefix
	gone       map[registry.Prefix]bool // removed or replaced
	releases   []func()                 // of blobs
}

// release lets the blobs go, those that no version names in the end to the collector.
func (d *Deployer) release(b *batch) {
	for _, release := range b.releases {
		release()
	}
	if len(b.releases) > 0 {
		d.retiring.Go(d.collectGarbage)
	}
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

// prepareAll prepares what is not served as it is declared, all of it even if some fails, so that all reasons are told at once.
func (d *Deployer) prepareAll(ctx context.Context, b *batch, specs []services.Spec) error {
	var failures []Failure
	for i, spec := range specs {
		spec.Origin = registry.OriginFile
		if d.unchanged(b.base, spec) {
			continue
		}
		err := d.prepareOne(ctx, b, spec)
		switch {
		case err == nil:
		case ctx.Err() != nil || d.closing.Err() != nil:
			return err
		default:
			failures = append(failures, Failure{Index: i, Err: err})
		}
	}
	if len(failures) > 0 {
		return &ApplyError{Failures: failures}
	}
	return nil
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

func (d *Deployer) prepareOne(ctx context.Context, b *batch, spec services.Spec) error {
	release, err := d.putBlobs(ctx, &spec)
	if err != nil {
		return err
	}
	b.releases = append(b.releases, release)
	old, replaces := b.base.Services[spec.Prefix]
	next, service := b.next.Put(spec.Prefix, version(spec))
	spec.Generation = service.Current.Generation
	deployment, err := d.prepare(ctx, spec)
	if err != nil {
		return asProblem("prepare the service", err)
	}
	b.next, b.fresh = next, append(b.fresh, d.newLive(service, deployment, nil))
	b.gone[spec.Prefix] = true
	if replaces && old.Current.Origin != registry.OriginFile {
		b.taken = append(b.taken, spec.Prefix)
	}
	return nil
}

// version is what the catalogue keeps of a spec whose blob is stored.
func version(spec services.Spec) registry.Version {
	return registry.Version{
		Digest: spec.Digest, SizeBytes: int64(len(spec.Module)), Kind: spec.Kind, Options: spec.Options, Origin: spec.Origin,
		Deployed: time.Now(),
	}
}

// removeUndeclared takes out what came from the file and is not in it any more.
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

// tableOf builds the table that is current once the batch is applied.
func (d *Deployer) tableOf(b *batch) (*router.Table, error) {
	all := slices.DeleteFunc(d.snapshot(), func(l *live) bool { return b.gone[l.service.Prefix] })
	all = append(all, b.fresh...)
	if err := checkNeighbours(b.fresh, all); err != nil {
		return nil, asProblem("route to the services", err)
	}
	table, err := router.BuildTable(routes(all))
	if err != nil {
		return nil, asProblem("route to the services", err)
	}
	return table, nil
}

// publishLocked commits the batch and makes it what is served. With an error nothing has changed.
func (d *Deployer) publishLocked(ctx context.Context, b *batch) error {
	if b.next == b.base {
		return nil
	}
	table, err := d.tableOf(b)
	if err != nil {
		return err
	}
	if err := d.cfg.Registry.Commit(ctx, b.base, b.next); err != nil {
		return asProblem("store the change", err)
	}
	// The point of no return is behind: nothing from here on can fail.
	d.cfg.Router.Publish(table)
	return nil
}

// settleLocked retires what the published batch has replaced, and tells of it.
func (d *Deployer) settleLocked(b *batch) Applied {
	applied := Applied{Removed: b.removed, TakenOver: b.taken}
	for _, l := range b.fresh {
		prefix := l.service.Prefix
		old := d.replace(prefix, l)
		if old != nil {
			d.retire(old)
		}
		result := Result{Created: old == nil, Service: l.service, Status: l.deployment.Status()}
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

// changeable refuses the management API what the configuration file declares.
func (d *Deployer) changeable(prefix registry.Prefix) error {
	if !d.cfg.FileRules || d.cfg.Registry.State().Services[prefix].Current.Origin != registry.OriginFile {
		return nil
	}
	return problem.New(problem.Conflict, "this service is declared in the server's configuration file; change it there").WithCause(ErrDeclared)
}
