package deploy

import (
	"context"
	"errors"
	"fmt"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/middleware"
	"github.com/vespo-dev/vespo/services/schema"
)

// checkMiddleware returns the violations of a spec's middleware.
func (d *Deployer) checkMiddleware(spec services.Spec) (violations problem.Violations) {
	use := spec.Middleware()
	switch {
	case len(use) == 0 && schema.Pick(spec.Manifest, schema.FieldUseConfig) != registry.EmptyManifest:
		return []problem.Violation{problem.Violate(schema.FieldUseConfig, "is for middleware, and none is given by use")}
	case len(use) == 0:
		return nil
	case d.cfg.Middleware == nil:
		return []problem.Violation{problem.Violate(schema.FieldUse, "is given, and this server has no middleware")}
	case len(use) > middleware.MaxLength:
		return []problem.Violation{problem.Violate(schema.FieldUse, "has %d modules: at most %d can be in front of a service", len(use), middleware.MaxLength)}
	}
	if weight := d.weight(spec.Kind, len(use)); weight > d.cfg.Gate.Capacity() {
		violations.Add(schema.FieldUse, "needs %d instances at a time for a request, and this server has %d", weight, d.cfg.Gate.Capacity())
	}
	for i := range use {
		violations = append(violations, d.askMiddleware(spec, i)...)
	}
	return violations
}

// askMiddleware validates one module with the middleware kind.
func (d *Deployer) askMiddleware(spec services.Spec, i int) (violations []problem.Violation) {
	err := guarded(context.Background(), d.log, "validate", func() error {
		return d.cfg.Middleware.ValidateMiddleware(middlewareSpec(spec, i))
	})
	var told *problem.Problem
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &told):
		d.log.Error("a middleware could not be checked", "prefix", spec.Key, "position", i+1, "error", err)
		return []problem.Violation{problem.Violate(schema.FieldUse, "has module %d, which could not be checked", i+1)}
	}
	for _, v := range reasons(told) {
		violations = append(violations, aboutMiddleware(i+1, v))
	}
	return violations
}

// aboutMiddleware returns a violation of one middleware as one of the field use.
func aboutMiddleware(position int, v problem.Violation) problem.Violation {
	if v.Field == schema.FieldModule {
		return problem.Violate(schema.FieldUse, "has module %d, which %s", position, v.Text)
	}
	return problem.Violate(schema.FieldUse, "is refused: module %d: %s", position, v)
}

// reasons returns the violations of a problem, or else its detail.
func reasons(p *problem.Problem) []problem.Violation {
	if len(p.Violations) > 0 {
		return p.Violations
	}
	return []problem.Violation{{Text: p.Detail}}
}

// prepareMiddleware puts the middleware of spec in front of behind. On an error it closes all deployments.
func (d *Deployer) prepareMiddleware(ctx context.Context, spec services.Spec, behind services.Deployment) (services.Deployment, error) {
	var layers []services.Middleware
	for i := range spec.Middleware() {
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

// middlewareSpec returns the spec of one middleware: it has the manifest of the service.
func middlewareSpec(spec services.Spec, i int) services.Spec {
	module := spec.Middleware()[i]
	module.Field = schema.FieldModule
	if module.Digest == "" {
		module.Digest = registry.DigestOf(module.Content)
	}
	spec.Blobs, spec.Version = []services.Blob{module}, module.Digest
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

// admission returns the admission of a version.
func (d *Deployer) admission(v registry.Version) Admission { return d.admissionOf(v.Kind, layers(v)) }

// admissionOf returns the admission of services with that many middleware modules. A request acquires all its instances at once: one
// that waited for an instance while holding another could deadlock.
func (d *Deployer) admissionOf(kind string, layers int) Admission {
	if layers == 0 {
		return d.cfg.admission(kind)
	}
	own := Admission{Gate: d.cfg.Gate, Limits: d.cfg.Limits}
	own.Limits.Weight = d.weight(kind, layers)
	if own.Limits.Concurrency > 0 {
		own.Limits.Concurrency = max(1, own.Limits.Concurrency/own.Limits.Weight)
	}
	return own
}
