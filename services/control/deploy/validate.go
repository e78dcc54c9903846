package deploy

import (
	"context"
	"errors"
	"fmt"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services"
)

// Validate reports all violations of a spec as one problem. It has no side effects. Add calls it too.
func (d *Deployer) Validate(spec services.Spec) error {
	violations := append(d.checkSpec(spec), d.checkMiddleware(spec)...)
	err := d.askKind(spec)
	var told *problem.Problem
	switch {
	case len(violations) == 0 && err == nil:
		return nil
	case len(violations) == 0:
		return asProblem("check the service", err)
	case errors.As(err, &told) && len(told.Violations) > 0:
		violations = append(violations, told.Violations...)
	case errors.As(err, &told):
		violations = append(violations, told.Detail)
	}
	return invalidSpec(violations)
}

// askKind calls the Validate of the spec's kind, if that kind exists.
func (d *Deployer) askKind(spec services.Spec) error {
	kind, ok := d.kinds[spec.Kind]
	if !ok {
		return nil
	}
	return guarded(context.Background(), d.log, "validate", func() error { return kind.Validate(withoutMiddleware(spec)) })
}

// checkSpec checks the fields that do not depend on the kind.
func (d *Deployer) checkSpec(spec services.Spec) (violations []string) {
	violations = checkPrefix(spec.Prefix)
	if _, ok := d.kinds[spec.Kind]; !ok {
		violations = append(violations, fmt.Sprintf("kind: there is no kind of service called %.80q", spec.Kind))
	}
	if spec.Digest != "" && spec.Digest != registry.DigestOf(spec.Module) {
		violations = append(violations, "digest: the module does not have the one that was given; it was damaged on its way")
	}
	if spec.Options.MemoryBytes < 0 {
		violations = append(violations, "memory: it is negative")
	}
	if spec.Options.Timeout < 0 {
		violations = append(violations, "timeout: it is negative")
	}
	return violations
}

// checkPrefix returns the violations of a prefix and its optional match.
func checkPrefix(prefix registry.Prefix) (violations []string) {
	canonical, err := router.ParseKey(string(prefix))
	var malformed *router.PrefixError
	var unmatched *router.MatchError
	switch {
	case errors.As(err, &malformed):
		for _, v := range malformed.Violations {
			violations = append(violations, "prefix: "+v)
		}
	case errors.As(err, &unmatched):
		for _, v := range unmatched.Violations {
			violations = append(violations, "match: "+v)
		}
	case err != nil:
		violations = append(violations, "prefix: "+err.Error())
	case canonical.String() != string(prefix):
		violations = append(violations, fmt.Sprintf("prefix: %q is not canonical, write %q", prefix, canonical.String()))
	}
	return violations
}
