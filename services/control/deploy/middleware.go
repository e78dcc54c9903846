package deploy

import (
	"context"
	"errors"
	"fmt"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/middleware"
)

// checkMiddleware returns the violations of a spec's middleware.
func (d *Deployer) checkMiddleware(spec services.Spec) (violations []string) {
	switch {
	case len(spec.Use) == 0 && len(spec.Options.UseConfig) > 0:
		return []string{"use_config: it is for middleware, and none is given by use"}
	case len(spec.Use) == 0:
		return nil
	case d.cfg.Middleware == nil:
		return []string{"use: this server has no middleware"}
	case len(spec.Use) > middleware.MaxLength:
		return []string{fmt.Sprintf("use: %d modules are given, at most %d can be in front of a service", len(spec.Use), middleware.MaxLength)}
	}
	if weight := d.weight(spec.Kind, len(spec.Use)); weight > d.cfg.Gate.Capacity() {
		violations = append(violations, fmt.Sprintf("use: a request would be in %d instances at a time, and this server has %d", weight, d.cfg.Gate.Capacity()))
	}
	for i := range spec.Use {
		violations = append(violations, d.askMiddleware(spec, i)...)
	}
	return violations
}

// askMiddleware validates one module with the middleware kind.
func (d *Deployer) askMiddleware(spec services.Spec, i int) []string {
	err := guarded(context.Background(), d.log, "validate", func() error {
		return d.cfg.Middleware.ValidateMiddleware(middlewareSpec(spec, i))
	})
	var told *problem.Problem
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &told):
		d.log.Error("a middleware could not be checked", "prefix", spec.Prefix, "position", i+1, "error", err)
		return []string{fmt.Sprintf("use: module %d could not be checked", i+1)}
	}
	var violations []string
	for _, v := range reasons(told) {
		violations = append(violations, fmt.Sprintf("use: module %d: %s", i+1, v))
	}
	return violations
}

// reasons returns the violations of a problem, or else its detail.
func reasons(p *problem.Problem) []string {
	if len(p.Violations) > 0 {
		return p.Violations
	}
	return []string{p.Detail}
}

// prepareMiddleware puts the middleware of spec in front of behind. On an error it closes all deployments.
func (d *Deployer) prepareMiddleware(ctx context.Context, spec services.Spec, behind services.Deployment) (services.Deployment, error) {
	var layers []services.Middleware
	for i := range spec.Use {
		var layer services.Middleware
		err := guarded(ctx, d.log, "prepare", func() (err error) {
			if d.cfg.Middleware == nil {
				return problem.New(problem.NotReady, "this server has no middleware")
			}
			layer, err = d.cfg.Middleware.PrepareMiddleware(ctx, middlewareSpec(spec, i))
			return err
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("middleware %d: %w", i+1, err), d.closeUnused(middleware.New(layers, behind)))
		}
		layers = append(layers, layer)
	}
	return middleware.New(layers, behind), nil
}

// closeUnused closes a chain that has never served a request.
func (d *Deployer) closeUnused(c *middleware.Chain) error {
	ctx, cancel := context.WithTimeout(context.Background(), d.cfg.CloseTimeout)
	defer cancel()
	return guarded(ctx, d.log, "close", func() error { return c.Close(ctx) })
}

// middlewareSpec returns the spec of one middleware: it has the budget of the service and the settings of
// UseConfig.
func middlewareSpec(spec services.Spec, i int) services.Spec {
	own := spec
	own.Use, own.Module, own.Digest = nil, spec.Use[i], registry.DigestOf(spec.Use[i])
	own.Options = registry.Options{
		MemoryBytes: spec.Options.MemoryBytes, Timeout: spec.Options.Timeout, Isolation: spec.Options.Isolation, Config: spec.Options.UseConfig,
	}
	return own
}

// withoutMiddleware returns spec as the kind of the service sees it.
func withoutMiddleware(spec services.Spec) services.Spec {
	spec.Use, spec.Options.Use, spec.Options.UseConfig = nil, nil, nil
	return spec
}

// behindMiddleware returns the deployment of the service's kind.
func behindMiddleware(d services.Deployment) services.Deployment {
	if c, ok := d.(*middleware.Chain); ok {
		return c.Unwrap()
	}
	return d
}

// weight returns the number of instances that a request occupies at the same time.
func (d *Deployer) weight(kind string, layers int) int {
	if _, slotless := d.cfg.Admission[kind]; slotless {
		return layers
	}
	return layers + 1
}

// admission returns the admission of a version. A request acquires all its instances at once: one that waited
// for an instance while holding another could deadlock.
func (d *Deployer) admission(v registry.Version) Admission {
	if len(v.Options.Use) == 0 {
		return d.cfg.admission(v.Kind)
	}
	own := Admission{Gate: d.cfg.Gate, Limits: d.cfg.Limits}
	own.Limits.Weight = d.weight(v.Kind, len(v.Options.Use))
	if own.Limits.Concurrency > 0 {
		own.Limits.Concurrency = max(1, own.Limits.Concurrency/own.Limits.Weight)
	}
	return own
}
