package servicetest

import (
	"context"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

// HandlersKind is the name of the kind Handlers.
const HandlersKind = "handlers"

// Handlers is a kind whose services are functions of a test. The module of a service is the name of its function.
type Handlers map[string]router.HandlerFunc

// Handler returns the spec of a service of Handlers.
func Handler(key, name string, options ...Option) services.Spec {
	return Module(HandlersKind, key, []byte(name), options...)
}

// Describe implements services.Kind.
func (h Handlers) Describe() schema.Kind { return moduleKind(HandlersKind) }

// Validate implements services.Kind.
func (h Handlers) Validate(s services.Spec) error {
	if name := s.Blob(schema.FieldModule).Content; h[string(name)] == nil {
		return problem.Newf(problem.ModuleInvalid, "there is no handler %q", name)
	}
	return nil
}

// Prepare implements services.Kind.
func (h Handlers) Prepare(_ context.Context, s services.Spec) (services.Deployment, error) {
	return handler{h[string(s.Blob(schema.FieldModule).Content)]}, h.Validate(s)
}

// handler is a services.Deployment.
type handler struct{ router.HandlerFunc }

func (handler) Status() services.Status                     { return services.Status{State: services.StateReady} }
func (handler) Scale(context.Context, services.Scale) error { return nil }
func (handler) Close(context.Context) error                 { return nil }
