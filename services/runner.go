package services

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/schema"
)

// RunnerKind validates and prepares Runners, under the same rules as Kind.
type RunnerKind interface {
	Describe() schema.Kind
	Validate(s Spec) error
	FieldsChecker
	PrepareRunner(ctx context.Context, s Spec) (Runner, error)
}

// Runner is a prepared version of a function whose guests run events: bytes in, bytes out. Its
// methods are called concurrently; Close is the last one and waits for running events.
type Runner interface {
	// Run runs one event until its deadline, or until ctx is done. The result has the costs, and as the outcome
	// the end of the guest: OutcomeOK, OutcomeExit, OutcomeTrap, OutcomeOutOfMemory, OutcomeStackOverflow,
	// OutcomeDeadline or OutcomeWorkLimit. For other failures the outcome is empty. The error is nil only for OutcomeOK. Like an
	// error of a Kind, it is or wraps a *problem.Problem if the caller can be told the reason.
	Run(ctx context.Context, e Event) (accesslog.Result, error)
	Status() Status
	Scale(ctx context.Context, to Scale) error
	Close(ctx context.Context) error
}

// Event is one event for a Runner.
type Event struct {
	Prefix    string // canonical prefix of the function
	Rest      string // escaped path after the prefix, if the event comes from an HTTP request
	RequestID string
	Header    http.Header // of the HTTP request that the event comes from, which must not be changed; nil without one
	Span      *span.Span  // of the event; nil if it is not traced
	Deadline  time.Time
	Payload   io.Reader // in memory: reads do not wait for a client
	Output    io.Writer // receives the result; an error ends the guest
	Log       io.Writer // receives the guest's log lines besides the service's log; may be nil
}
