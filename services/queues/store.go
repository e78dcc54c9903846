package queues

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/services/events"
)

// Limits of a store.
const (
	KeepFor       = time.Hour // results, from their end
	KeepResults   = 1000      // per queue; older ones are deleted
	MaxBytes      = 1 << 30   // of the requests and results of one queue; beyond it requests are refused
	MaxDeliveries = 5         // how often a request is handed out at most
)

// Errors of the methods of Store.
var (
	ErrFull        = errors.New("the queue is full")
	ErrNotFound    = errors.New("no such request is stored")
	ErrEnded       = errors.New("the request, or its lease, has ended")
	ErrUnavailable = errors.New("the engine of the queues cannot be used: nothing was changed")
	ErrUncertain   = errors.New("the engine of the queues has not answered: the change may have been made")
)

// Request is a request that waits for a worker.
type Request struct {
	ID          string        // unguessable
	TTL         time.Duration // time until it fails, from when it is stored
	Lease       time.Duration // duration of a lease; none lasts longer than the request
	Redeliver   bool          // it is handed out again after its lease has ended
	Waits       bool          // a client of this host waits: the request need not survive this host, nor the engine's end
	Environment []byte
	Body        []byte
}

// Bounds are those of one queue. They are exceeded by at most the requests that are put at the same time.
type Bounds struct {
	Waiting int   // requests that no worker holds
	Bytes   int64 // of requests and results
}

// Order is a request that was handed to a worker.
type Order struct {
	ID          string
	LeaseID     string // unguessable
	Environment []byte
	Body        []byte
}

// State is the state of a request.
type State string

// States of a request.
const (
	Pending  State = ""         // has not ended
	Answered State = "answered" // Status, Header and Body hold the answer
	Unusable State = "unusable" // the answer was unusable
	Failed   State = "failed"   // not answered in time
	Damaged  State = "damaged"  // the stored request could not be read
)

// Result is the result of a request.
type Result struct {
	State  State
	Status int
	Header http.Header
	Body   []byte

	Taken bool          // a worker has taken the request
	Wait  time.Duration // until it was taken last
}

// Stats is a snapshot of a queue, or of all.
type Stats struct {
	Waiting int // requests that no worker holds
	Leased  int // requests that a worker holds
	Stored  int // requests, with the ended ones whose result is kept
	Bytes   int64
	Oldest  time.Time // when the request was stored that is taken next; zero: none waits
}

// Store keeps the requests of queues. It is safe for concurrent use. Except for requests whose client waits, what a method
// has confirmed survives the end of the host and of the engine.
//
// An operation takes a bounded time, and does not end before with its context, since its effect would be unknown. All return
// ErrUnavailable if the engine cannot be used, or ErrUncertain.
type Store interface {
	// Put stores a request. It returns ErrFull if the queue has reached its bounds. A request with a known ID is not
	// stored again.
	Put(ctx context.Context, queue string, r Request, b Bounds) error
	// Take leases the request that has waited longest. It returns nil if none waits.
	Take(ctx context.Context, queue string) (*Order, error)
	// GiveBack undoes a Take whose request did not reach the worker. It returns ErrEnded if the lease has ended.
	GiveBack(ctx context.Context, queue, leaseID string) error
	// Answer ends the request that has this lease; an empty queue means any. It returns ErrEnded if the lease has ended, or
	// if the request has another result; the same answer is confirmed again.
	Answer(ctx context.Context, queue, leaseID string, r Result) error
	// Result returns the result of a request. It returns ErrNotFound if the request is unknown or was deleted.
	Result(ctx context.Context, queue, id string) (Result, error)
	// Leave ends a request whose client has left. It does nothing if the request has ended.
	Leave(ctx context.Context, queue, id string) error
	// Signals returns the signals of changes by this host and others. They may be lost or late.
	Signals() *Signals
	// Stats returns the last known state of a queue. It does not wait for the engine.
	Stats(queue string) Stats
	// Totals is like Stats for all queues. away reports whether the engine could not be used at the last attempt.
	Totals() (s Stats, away bool)
}

// Engine is a Store in an engine, which keeps accepted events, too.
type Engine interface {
	Store
	io.Closer
	// Events returns the store of events, which can be used until Close.
	Events() events.Store
}

// Options are those of an engine.
type Options struct {
	URL      string
	Password string // empty: the URL names a file, or there is none
	Log      *slog.Logger
}

// PasswordVariable is the variable of the environment with the password of an engine.
const PasswordVariable = "VESPO_QUEUES_PASSWORD"

// Opener opens the engine at a URL.
type Opener func(ctx context.Context, o Options) (Engine, error)
