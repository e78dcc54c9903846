package runtimeapi

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/budget"
)

// Errors of Invoke. It may also return a *invocation.Error
// reported by the worker, and the error of its context.
var (
	ErrNoWorker   = errors.New("no worker has taken the event in time")
	ErrDeadline   = errors.New("the function has not answered in time")
	ErrWorkerLost = errors.New("the worker has ended without an answer")
	ErrTooLarge   = errors.New("the function's output is larger than the limit")
	ErrInit       = errors.New("the worker could not start")
	ErrTruncated  = errors.New("the worker's answer broke off")
	ErrFull       = errors.New("too much is held of other invocations")
	ErrClosed     = errors.New("the endpoint is closed")
)

// Input is an invocation for a worker.
type Input struct {
	Payload       budget.Body
	Timeout       time.Duration // from when a worker takes it
	Wait          time.Duration // until a worker takes it
	RequestID     string        // preferred; generated if it is empty, or that of another invocation not long ago
	ARN           string
	TraceID       string
	ClientContext string
	Loops         int       // concurrent events per worker; above 1 its loops share connections
	Log           io.Writer // receives the log of the invocation; may be nil
}

// Reply is the result of an invocation. Exactly one of Payload and Stream is set. The caller must call Close.
type Reply struct {
	ContentType string
	Payload     []byte
	// Stream reads the output as it arrives. It ends with io.EOF, with the *invocation.Error
	// that the worker reported at the end, or with an error of this package.
	Stream io.Reader
	close  func()
}

// NewReply returns a reply that does not come from a worker. Close calls release once.
func NewReply(payload []byte, contentType string, release func()) *Reply {
	return &Reply{Payload: payload, ContentType: contentType, close: sync.OnceFunc(release)}
}

// Close releases the reply's memory and lets the worker of a stream continue.
func (r *Reply) Close() { r.close() }

// OnClose returns the reply, whose Close now also calls more, once.
func (r *Reply) OnClose(more func()) *Reply {
	inner, once := r.close, sync.OnceFunc(more)
	r.close = func() {
		inner()
		once()
	}
	return r
}

// pending is an invocation in progress. Its fields are guarded by Endpoint.mu unless they are immutable.
type pending struct {
	Input             // immutable
	id       string   // immutable
	result   chan any // immutable; has capacity for the single result: *Reply or error
	taken    chan struct{}
	deadline time.Time // set before taken is closed, immutable afterwards
	conn     *conn     // on which it was taken; nil while queued
	state    state
}

// state is the progress of an invocation. It only advances.
type state int

const (
	queued    state = iota
	held            // a worker has the event
	answering       // a worker is posting the result
	answered        // it has its result, or was withdrawn
	abandoned       // no caller waits for it; the result of the worker is discarded
)

// told returns the failure that a worker reported, in a form that is safe to forward.
func told(raw []byte, errorType string) *invocation.Error {
	return invocation.ParseError(raw, errorType)
}
