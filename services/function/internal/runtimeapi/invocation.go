package runtimeapi

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/invocation"
)

// Errors of Invoke, beside a *invocation.Error, which the worker has told, and the error of its context.
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

// Input is an event on its way to a worker.
type Input struct {
	Payload       budget.Body
	Timeout       time.Duration // from when a worker takes it
	Wait          time.Duration // for a worker to take it
	RequestID     string        // chosen by us if empty
	ARN           string
	TraceID       string
	ClientContext string
	Loops         int       // that one worker runs at a time; with more than 1 they share connections
	Log           io.Writer // takes lines about the invocation; nil: nobody wants them
}

// Reply is what a worker has answered. Exactly one of Payload and Stream is set. Close must be called.
type Reply struct {
	ContentType string
	Payload     []byte
	// Stream gives the output as it comes. It ends with io.EOF, with the *invocation.Error that the worker has told at the end, or with
	// one of the package's errors.
	Stream io.Reader
	close  func()
}

// NewReply gives a reply of who is no worker; release gives back what it holds.
func NewReply(payload []byte, contentType string, release func()) *Reply {
	return &Reply{Payload: payload, ContentType: contentType, close: sync.OnceFunc(release)}
}

// Close gives back what the reply holds, and lets the worker of a stream go.
func (r *Reply) Close() { r.close() }

// OnClose gives the reply with something more to do when it is closed, once.
func (r *Reply) OnClose(more func()) *Reply {
	inner, once := r.close, sync.OnceFunc(more)
	r.close = func() {
		inner()
		once()
	}
	return r
}

// pending is an invocation. Its fields are guarded by Endpoint.mu unless they are immutable.
type pending struct {
	Input             // immutable
	id       string   // immutable
	result   chan any // immutable; has room for the one result: *Reply or error
	taken    chan struct{}
	deadline time.Time // set before taken is closed, immutable then
	conn     *conn     // over which it was taken; nil as long as it waits
	state    state
}

// state is how far an invocation has come. It never goes back, but from held to queued where the event could not be handed over.
type state int

const (
	queued    state = iota
	held            // a worker has it
	answering       // a worker posts the answer
	answered        // it has its result, whatever that is
	abandoned       // nobody waits for it any more; the worker may still post an answer, which is dropped
)

// told is the failure that a worker has told, in a form that is safe to pass on.
func told(raw []byte, errorType string) *invocation.Error {
	return invocation.ParseError(raw, errorType)
}
