package router

import (
	"context"
	"errors"
	"fmt"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
)

// PanicError is the error of a handler that panicked.
type PanicError struct {
	Value any    // argument of panic
	stack []byte // of the panicking goroutine
}

// Stack returns the stack trace of the panicking goroutine as text, for the access log.
func (e *PanicError) Stack() []byte { return e.stack }

func (e *PanicError) Error() string { return fmt.Sprintf("panic in handler: %v", e.Value) }

// Unwrap returns the panic value if it is an error, otherwise nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

func notFound() error {
	return problem.New(problem.NotFound, "no service is bound to a prefix of this path")
}

func notReady() error {
	p := problem.New(problem.NotReady, "the server is starting; try again soon")
	p.RetryAfter = notReadyRetry
	return p
}

// admissionError maps an admission error to a problem. Other errors, such as those of
// the context, are returned unchanged.
func admissionError(err error, l *admission.Limiter) error {
	var detail string
	switch {
	case errors.Is(err, admission.ErrQueueFull):
		detail = "too many requests are waiting for this service; try again later"
	case errors.Is(err, admission.ErrShareFull):
		detail = "too many requests of this client are in progress; try again later"
	case errors.Is(err, admission.ErrWaitTimeout):
		detail = "the service had no free capacity in time; try again later"
	default:
		return err
	}
	p := problem.New(problem.NoCapacity, detail).WithCause(err)
	p.RetryAfter = l.RetryAfter()
	return p
}

// clientGone reports whether err was caused by the client's disconnect.
func clientGone(ctx context.Context, err error) bool {
	return errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled)
}

// outcomeOf returns the outcome of a failed request whose handler set none. A handler sets the outcomes of its own
// failures: other ones can have the same kind of problem.
func outcomeOf(p *problem.Problem) accesslog.Outcome {
	switch p.Kind() {
	case problem.NoCapacity:
		return accesslog.OutcomeNoCapacity
	case problem.NotReady, problem.NoHost:
		return accesslog.OutcomeNotReady
	case problem.Deadline:
		return accesslog.OutcomeDeadline
	case problem.NotFound:
		return accesslog.OutcomeNotFound
	case problem.Internal:
		return accesslog.OutcomeHostError
	default:
		return accesslog.OutcomeRefused
	}
}
