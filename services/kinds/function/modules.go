package function

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/internal/recorder"
	"github.com/vespo-dev/vespo/services/kinds/function/internal/runtimeapi"
	"github.com/vespo-dev/vespo/services/schema"
)

// Modules implements services.Kind for functions that are modules. Another kind runs their events.
type Modules struct {
	runs      services.RunnerKind // immutable; runs the modules
	functions *Kind               // immutable; provides everything else
}

// NewModules returns a Modules whose modules are run by runs.
func NewModules(functions *Kind, runs services.RunnerKind) *Modules {
	return &Modules{runs: runs, functions: functions}
}

// Describe implements services.Kind.
func (m *Modules) Describe() schema.Kind { return ModulesDescription(m.runs.Describe()) }

// Validate implements services.Kind.
func (m *Modules) Validate(s services.Spec) error { return m.runs.Validate(s) }

// ValidateFields implements services.FieldsChecker.
func (m *Modules) ValidateFields(manifest registry.Manifest) error {
	return m.runs.ValidateFields(manifest)
}

// Prepare implements services.Kind.
func (m *Modules) Prepare(ctx context.Context, s services.Spec) (services.Deployment, error) {
	inner, err := m.runs.PrepareRunner(ctx, s)
	if err != nil {
		return nil, err
	}
	b := &module{prefix: s.Key.String(), held: m.functions.budget.For(s.Key.String()), inner: inner}
	return &moduleDeployment{deployment: newDeployment(m.functions, s, b), inner: inner}, nil
}

// moduleDeployment is a deployment of a function module. It implements services.Deployment.
type moduleDeployment struct {
	*deployment
	inner services.Runner // immutable
}

// Status implements services.Deployment.
func (d *moduleDeployment) Status() services.Status { return d.inner.Status() }

// Scale implements services.Deployment.
func (d *moduleDeployment) Scale(ctx context.Context, to services.Scale) error {
	return d.inner.Scale(ctx, to)
}

// Forget implements services.Forgetter.
func (d *moduleDeployment) Forget() {
	if f, ok := d.inner.(services.Forgetter); ok {
		f.Forget()
	}
}

// Close implements services.Deployment.
func (d *moduleDeployment) Close(ctx context.Context) error {
	return errors.Join(d.deployment.Close(ctx), d.inner.Close(ctx))
}

// module is the backend for a module's deployment.
type module struct {
	prefix string          // immutable
	held   budget.Account  // immutable
	inner  services.Runner // immutable
}

func (m *module) invoke(ctx context.Context, from *router.Request, in runtimeapi.Input, res *accesslog.Result) (*runtimeapi.Reply, error) {
	from.Span.Rename("guest")
	output := recorder.New(m.held, invocation.MaxOutputBytes)
	ran, err := m.inner.Run(ctx, services.Event{
		Prefix:    from.Prefix,
		Rest:      from.Rest,
		RequestID: from.ID,
		Header:    from.Header,
		Span:      from.Span,
		Deadline:  from.Admitted.Add(in.Timeout),
		Payload:   in.Payload.Reader(),
		Output:    output,
		Log:       in.Log,
	})
	res.Start, res.SnapshotBytes, res.DirtyBytes, res.PeakBytes, res.GuestTime = ran.Start, ran.SnapshotBytes, ran.DirtyBytes, ran.PeakBytes, ran.GuestTime
	res.ResidentBytes = ran.ResidentBytes
	res.Work, res.KVOperations = ran.Work, ran.KVOperations
	from.Span.Text("vespo.start", string(ran.Start))
	from.Span.Seconds("vespo.guest_time", ran.GuestTime)
	switch {
	case output.Full:
		err = runtimeapi.ErrTooLarge
	case err != nil:
		err = functionError(ran.Outcome, err, output.Body.Bytes(), res)
	default:
		return runtimeapi.NewReply(output.Body.Bytes(), "application/json", func() { m.held.Give(output.Held) }), nil
	}
	m.held.Give(output.Held)
	return nil, err
}

// functionError maps a failure of the module to the function's error. A module that
// exits with a nonzero status may have written the error object to its output.
func functionError(ended accesslog.Outcome, err error, printed []byte, res *accesslog.Result) error {
	switch ended {
	case accesslog.OutcomeExit, accesslog.OutcomeTrap, accesslog.OutcomeOutOfMemory, accesslog.OutcomeStackOverflow, accesslog.OutcomeWorkLimit:
		res.Outcome = ended
	case accesslog.OutcomeDeadline:
		return runtimeapi.ErrDeadline
	default:
		return err
	}
	own := &invocation.Error{Type: "Runtime.ExitError", Message: problem.From(err).Detail}
	if ended == accesslog.OutcomeExit {
		if told := invocation.ParseError(bytes.Clone(printed), own.Type); told.Raw != nil && json.Valid(printed) {
			own = told
		}
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
