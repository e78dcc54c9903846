package function

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/inflight"
	"github.com/vespo-dev/vespo/services/kinds/function/internal/runtimeapi"
)

// failed maps an invocation error to the error of the request. Function
// error text goes to Invoke callers only, never to HTTP clients.
func (x *exchange) failed(err error) error {
	var p *problem.Problem
	switch cause := context.Cause(x.ctx); {
	case errors.Is(err, inflight.ErrClosed), errors.Is(err, runtimeapi.ErrClosed), errors.Is(cause, inflight.ErrClosed):
		return inflight.Stopped()
	case cause != nil:
		return fmt.Errorf("%w: %w", cause, err)
	case errors.Is(err, runtimeapi.ErrNoWorker):
		p := problem.Newf(problem.NoCapacity, "no worker of the function was free within %s", x.d.timeout).WithCause(err)
		p.RetryAfter = retryAfter
		return p
	case errors.Is(err, runtimeapi.ErrFull):
		return noMemory()
	case scarce.Own(err):
		p := problem.New(problem.NoCapacity, "the server cannot start another process of the function; try again").WithCause(err)
		p.RetryAfter = scarce.RetryAfter
		return p
	case errors.As(err, &p):
		return err // an error of the server itself
	}
	p = x.ofFunction(err)
	outcome := accesslog.OutcomeBadAnswer
	if p.Kind() == problem.Deadline {
		outcome = accesslog.OutcomeDeadline
	}
	x.res.Outcome = cmp.Or(x.res.Outcome, outcome) // a module knows better how it failed
	if x.call != nil {
		err = x.describe(err)
	}
	return p.WithCause(err)
}

// ofFunction returns the problem for a failure of the function or its worker.
func (x *exchange) ofFunction(err error) *problem.Problem {
	var own *invocation.Error
	switch {
	case errors.Is(err, runtimeapi.ErrDeadline):
		return problem.Newf(problem.Deadline, "the function did not answer within %s", x.d.timeout)
	case errors.As(err, &own):
		return problem.New(problem.BadGateway, "the function reported an error")
	case errors.Is(err, runtimeapi.ErrInit):
		return problem.New(problem.BadGateway, "the function's worker could not start")
	case errors.Is(err, runtimeapi.ErrTooLarge):
		return problem.Newf(problem.BadGateway, "the function's output is larger than %d bytes", invocation.MaxOutputBytes)
	case errors.Is(err, runtimeapi.ErrWorkerLost):
		return problem.New(problem.BadGateway, "the function's worker ended without an answer")
	}
	return problem.New(problem.BadGateway, "the function's answer could not be used")
}

// describe returns a failure in Lambda's terms.
func (x *exchange) describe(err error) *invocation.Error {
	var own *invocation.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, runtimeapi.ErrDeadline):
		return &invocation.Error{
			Type: "Sandbox.Timedout",
			Message: fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds",
				x.call.RequestID, x.d.timeout.Seconds()),
		}
	case errors.Is(err, runtimeapi.ErrTooLarge):
		return &invocation.Error{
			Type: "Function.ResponseSizeTooLarge",
			Message: "Response payload size exceeded maximum allowed payload size (" +
				strconv.Itoa(invocation.MaxOutputBytes) + " bytes).",
		}
	case errors.Is(err, runtimeapi.ErrInit):
		return &invocation.Error{Type: "Sandbox.Timedout", Message: fmt.Sprintf("RequestId: %s Error: %s", x.call.RequestID, err)}
	case errors.Is(err, runtimeapi.ErrWorkerLost):
		return &invocation.Error{
			Type: "Runtime.ExitError",
			Message: fmt.Sprintf("RequestId: %s Error: Runtime exited without providing a reason",
				x.call.RequestID),
		}
	}
	return &invocation.Error{Type: "Runtime.TruncatedResponse", Message: "the answer of the function's worker broke off"}
}

// raw sends the output to the Invoke caller, unchanged.
func (x *exchange) raw(reply *runtimeapi.Reply) error {
	x.to.Header().Set("Content-Type", typeOf(reply.ContentType))
	if reply.Stream == nil {
		_, err := x.to.Write(reply.Payload)
		return x.cut(err)
	}
	stop := context.AfterFunc(x.ctx, reply.Close)
	defer stop()
	return x.copy(nil, reply.Stream)
}
