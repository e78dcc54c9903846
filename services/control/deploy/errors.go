package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/plan"
)

// Errors of a Deployer, matched with errors.Is. The errors of Validate, Add, Remove, Rollback and Inspect
// always are or wrap a *problem.Problem ready for the client. Its cause is one of these, an error of registry
// or one of a kind.
var (
	ErrInvalid     = errors.New("invalid spec")
	ErrBusy        = errors.New("too many deploys are waiting")
	ErrNotReady    = errors.New("the catalogue is not loaded yet")
	ErrStarting    = errors.New("the service is starting")
	ErrClosed      = errors.New("the server is shutting down")
	ErrBooted      = errors.New("boot was called before")
	ErrUnavailable = errors.New("service could not be prepared at start")
	ErrDeclared    = plan.ErrDeclared
	ErrPanic       = errors.New("panic")
	ErrCutOff      = errors.New("requests were stopped before they had ended")
	// ErrStuck is returned if a Kind's Prepare continues after its context has ended. Resources that it uses
	// must not be closed.
	ErrStuck = errors.New("a preparation does not stop")
)

// busyRetryAfter is the Retry-After of clients refused by MaxWaiters: about the time of a few compilations.
const busyRetryAfter = 5 * time.Second

func invalidSpec(violations []problem.Violation) error {
	p := problem.New(problem.BadRequest, "the service was not deployed, and nothing was changed").WithCause(ErrInvalid)
	p.Violations = violations
	return p
}

// violation returns the error of a refused change.
func violation(v plan.Violation) error {
	switch {
	case errors.Is(v.Err, plan.ErrRepeated):
		return invalidSpec([]problem.Violation{problem.Violate(v.Field, "%s", v.Err)})
	case errors.Is(v.Err, plan.ErrDeclared):
		return problem.New(problem.Conflict, "this service is declared in the server's configuration file; change it there").WithCause(v.Err)
	}
	if p := trafficProblem(v); p != nil {
		return p
	}
	return asProblem("change the catalogue", v.Err)
}

func errClosing() error {
	return problem.New(problem.NotReady, "the server is shutting down").WithCause(ErrClosed)
}

// asProblem returns the error of a failed step. A problem in the chain is sent unchanged. For any other error
// the client learns only the outcome of its request.
func asProblem(step string, err error) error {
	var told *problem.Problem
	var unreachable *registry.UnreachableError
	switch {
	case errors.As(err, &told):
		return err
	case errors.As(err, &unreachable):
		return notStored(unreachable).WithCause(wrap(step, err))
	case errors.Is(err, registry.ErrNotFound):
		return problem.New(problem.NotFound, "no service is bound to this prefix").WithCause(err)
	case errors.Is(err, registry.ErrNoVersion):
		return problem.New(problem.Conflict, noVersion(err)).WithCause(err)
	case errors.Is(err, registry.ErrUncertain):
		return problem.New(problem.Internal, "the change could not be stored, nor undone on disk with certainty; "+
			"running services go on, but no change is accepted until the server is restarted").WithCause(wrap(step, err))
	case scarce.NoSpace(err):
		return problem.New(problem.InsufficientStorage, "the server could not "+step+": the disk of its data directory is full, or a quota on it; nothing was changed. "+
			"Make room, and try again").WithCause(wrap(step, err))
	case errors.Is(err, context.DeadlineExceeded):
		return problem.New(problem.Deadline, "the deploy took too long; nothing was changed. If the machine was busy, "+
			"deploy again, or start the server with a longer --compile-time").WithCause(wrap(step, err))
	}
	return problem.New(problem.Internal, "the server could not "+step+"; nothing was changed").WithCause(wrap(step, err))
}

// notStored describes a change that a store on other machines did not take.
func notStored(err *registry.UnreachableError) *problem.Problem {
	if errors.Is(err, registry.ErrUncertain) {
		return problem.New(problem.NotReady, "the store of the catalogue, "+err.Store+", did not answer: the change may have been made, or not. "+
			"Running services go on; look at the service before you try again")
	}
	return problem.New(problem.NotReady, "the store of the catalogue, "+err.Store+", cannot be reached; nothing was changed. "+
		"Running services go on, and changes are accepted when it answers again")
}

// noVersion says which versions a service can be rolled back to.
func noVersion(err error) string {
	var unknown *registry.UnknownVersionError
	switch {
	case !errors.As(err, &unknown) || unknown.List() == "":
		return "the service has no earlier version to go back to"
	case unknown.Number != 0 && unknown.Number == unknown.CurrentNumber:
		return fmt.Sprintf("version %d is the current one; earlier ones are %s", unknown.Number, unknown.List())
	case unknown.Number != 0:
		return fmt.Sprintf("there is no version %d; known are %s, and the current %d", unknown.Number, unknown.List(), unknown.CurrentNumber)
	}
	if unknown.Generation == unknown.Current {
		return fmt.Sprintf("generation %d is the current version; earlier ones are %s", unknown.Generation, unknown.List())
	}
	return fmt.Sprintf("there is no version of generation %d; known are %s, and the current %d", unknown.Generation, unknown.List(), unknown.Current)
}

func wrap(step string, err error) error { return fmt.Errorf("%s: %w", step, err) }
