package function

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/internal/recorder"
	"github.com/vespo-dev/vespo/services/kinds/function/internal/runtimeapi"
)

// Modules implements services.Kind for functions that are modules. Another kind runs them. Its
// deployments take an event as the request body and return the function's output as the response body.
type Modules struct {
	services.Kind       // immutable; runs the modules
	functions     *Kind // immutable; provides everything else
}

// NewModules returns a Modules whose modules run as deployments of runs.
func NewModules(functions *Kind, runs services.Kind) *Modules {
	return &Modules{Kind: runs, functions: functions}
}

// Prepare implements services.Kind.
func (m *Modules) Prepare(ctx context.Context, s services.Spec) (services.Deployment, error) {
	inner, err := m.Kind.Prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	b := &module{prefix: string(s.Prefix), held: m.functions.budget.For(string(s.Prefix)), inner: inner}
	return &moduleDeployment{deployment: newDeployment(m.functions, s, b), inner: inner}, nil
}

// moduleDeployment is a deployment of a function module. It implements services.Deployment.
type moduleDeployment struct {
	*deployment
	inner services.Deployment // immutable
}

// Status implements services.Deployment.
func (d *moduleDeployment) Status() services.Status { return d.inner.Status() }

// Scale implements services.Deployment.
func (d *moduleDeployment) Scale(ctx context.Context, to services.Scale) error {
	return d.inner.Scale(ctx, to)
}

// Close implements services.Deployment.
func (d *moduleDeployment) Close(ctx context.Context) error {
	return errors.Join(d.deployment.Close(ctx), d.inner.Close(ctx))
}

// module is the backend for a module's deployment.
type module struct {
	prefix string              // immutable
	held   budget.Account      // immutable
	inner  services.Deployment // immutable
}

func (m *module) invoke(ctx context.Context, from *router.Request, in runtimeapi.Input, res *accesslog.Result) (*runtimeapi.Reply, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", in.Payload.Reader())
	if err != nil {
		return nil, err
	}
	r.RequestURI, r.ContentLength = "/", in.Payload.Len()
	r.Header.Set("Content-Type", "application/json")
	w := recorder.New(m.held, invocation.MaxOutputBytes)
	err = m.inner.Serve(w, from.With(r), res)
	switch {
	case w.Full:
		err = runtimeapi.ErrTooLarge
	case err != nil:
		err = functionError(err, w.Body.Bytes(), res)
	default:
		return runtimeapi.NewReply(w.Body.Bytes(), "application/json", func() { m.held.Give(w.Held) }), nil
	}
	m.held.Give(w.Held)
	return nil, err
}

// functionError maps a failure of the module to the function's error. A module that
// exits with a nonzero status may have written the error object to its output.
func functionError(err error, printed []byte, res *accesslog.Result) error {
	var p *problem.Problem
	if !errors.As(err, &p) {
		return err
	}
	own := &invocation.Error{Type: "Runtime.ExitError", Message: p.Detail}
	switch p.Kind() {
	case problem.GuestExit:
		res.Outcome = accesslog.OutcomeExit
		if told := invocation.ParseError(bytes.Clone(printed), "Runtime.ExitError"); told.Raw != nil && json.Valid(printed) {
			own = told
		}
	case problem.Trap:
		res.Outcome = accesslog.OutcomeTrap
	case problem.OutOfMemory:
		res.Outcome = accesslog.OutcomeOutOfMemory
	case problem.StackOverflow:
		res.Outcome = accesslog.OutcomeStackOverflow
	case problem.Deadline:
		return runtimeapi.ErrDeadline
	default:
		return err
	}
	return own
}

func (m *module) describe() string { return m.prefix }

func (m *module) state() string { return m.inner.Status().State }

func (m *module) warm() int { return m.inner.Status().Warm }

// scale does nothing: moduleDeployment scales the inner deployment itself.
func (m *module) scale() {}

// close does nothing: moduleDeployment closes the inner deployment itself.
func (m *module) close() {}
