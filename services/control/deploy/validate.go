package deploy

import (
	"context"
	"errors"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/rate"
	"github.com/vespo-dev/vespo/services/schedule"
	"github.com/vespo-dev/vespo/services/schema"
)

// Validate reports all violations of a spec as one problem. It has no side effects. Add calls it too.
func (d *Deployer) Validate(spec services.Spec) error {
	return together(append(d.checkFields(spec), d.checkMiddleware(spec)...), d.askKind(spec))
}

// checkFields returns the violations that depend neither on the kind nor on a module.
func (d *Deployer) checkFields(spec services.Spec) problem.Violations {
	violations := append(d.checkSpec(spec), d.checkSchedules(spec)...)
	violations = append(violations, rate.Check(spec.Manifest)...)
	violations = append(violations, d.checkConcurrency(spec)...)
	violations = append(violations, d.checkCache(spec)...)
	return append(violations, d.checkPlacement(spec)...)
}

// together returns the violations of a spec and the refusal of its kind as one problem.
func together(violations problem.Violations, err error) error {
	var told *problem.Problem
	switch {
	case len(violations) == 0 && err == nil:
		return nil
	case len(violations) == 0:
		return asProblem("check the service", err)
	case errors.As(err, &told) && len(told.Violations) > 0:
		violations = append(violations, told.Violations...)
	case errors.As(err, &told):
		violations = append(violations, problem.Violation{Text: told.Detail})
	}
	return invalidSpec(violations)
}

// askKind calls the Validate of the spec's kind, if that kind exists.
func (d *Deployer) askKind(spec services.Spec) error {
	kind, ok := d.kinds[spec.Kind]
	if !ok {
		return nil
	}
	return guarded(context.Background(), d.log, "validate", func() error { return kind.Validate(spec.OfKind()) })
}

// ValidateFields is Validate for a spec whose modules are not known.
func (d *Deployer) ValidateFields(spec services.Spec) error {
	var err error
	if kind, ok := d.kinds[spec.Kind].(services.FieldsChecker); ok {
		err = guarded(context.Background(), d.log, "validate", func() error { return kind.ValidateFields(schema.OfKind(spec.Manifest)) })
	}
	return together(d.checkFields(spec), err)
}

// checkSchedules returns the violations of a spec's schedules.
func (d *Deployer) checkSchedules(spec services.Spec) problem.Violations {
	own := len(schedule.Of(spec.Manifest).Schedules)
	violations := schedule.Check(spec.Manifest)
	if own == 0 || len(violations) > 0 {
		return violations
	}
	all := own
	for key, other := range d.cfg.Registry.State().Services {
		if key != spec.Key {
			all += schedule.Count(other.Current.Manifest)
		}
	}
	if all > schedule.MaxServer {
		violations.Add(schema.FieldCron, "has %d schedules, and the server would have %d: at most %d are possible", own, all, schedule.MaxServer)
	}
	return violations
}

// checkSpec checks what does not depend on the kind.
func (d *Deployer) checkSpec(spec services.Spec) (violations problem.Violations) {
	violations = checkKey(spec.Key)
	if _, ok := d.kinds[spec.Kind]; !ok {
		violations.Add("kind", "is %.80q: there is no kind of service called so", spec.Kind)
	}
	for _, b := range spec.Blobs {
		if b.Digest != "" && b.Digest != registry.DigestOf(b.Content) {
			violations.Add(b.Field, "does not have the digest that was given; it was damaged on its way")
		}
	}
	return violations
}

// checkKey returns the violations of a route key.
func checkKey(key routekey.Key) (violations problem.Violations) {
	var invalid *routekey.Error
	if errors.As(key.Canonical(), &invalid) {
		for _, text := range invalid.Violations {
			violations.Add(invalid.Field, "is refused: %s", text)
		}
	}
	return violations
}
