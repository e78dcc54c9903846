// Package services has the two interfaces behind which everything that a prefix can be bound to looks the same: a
// [Kind] turns a [Spec] into a [Deployment], and a Deployment serves requests until it is closed.
//
// It is the one package that registry, router and the kinds are introduced to each other in; it holds no logic and
// no lock. The transaction that drives the interfaces is services/deploy.
package services

import (
	"context"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// Spec asks for one version of one service.
type Spec struct {
	// Prefix is what the service is bound to: a prefix, and the match beside it if there is one, as the String of a router.Key gives it.
	Prefix registry.Prefix
	Kind   string          // name of the Kind
	Digest registry.Digest // of Module; empty means "compute it"
	// Module is what is deployed: a WebAssembly module, or the document that describes what the prefix is bound to. A Kind must
	// neither change it nor keep it after Close.
	Module  []byte
	Options registry.Options
	// Use are the modules of Options.Use, in the same order; none: those that the catalogue has. They are the transaction's: no Kind looks
	// at them.
	Use    [][]byte
	Origin registry.Origin // who asks; the management API must not set it
}

// Trusted reports whether the spec comes from the server's own configuration file, which may ask for what a deploy token must not give.
func (s Spec) Trusted() bool { return s.Origin == registry.OriginFile }

// Kind is one sort of thing that a prefix can be bound to. Its methods are called concurrently.
//
// An error that is, or wraps, a *problem.Problem is told to the client as it stands; of any other error the client
// learns only that the server failed, and the log has the rest.
type Kind interface {
	// Name is the word for the kind in specs and in the catalogue; it never changes, since catalogues keep it.
	Name() string
	// Validate reports all violations at once and has no side effect. It may be quick rather than thorough: what it
	// does not find, Prepare must.
	Validate(s Spec) error
	// Prepare does everything that can fail: after it, the deployment serves as soon as it is routed to. Nothing that
	// it does is visible to requests. It honours ctx, and leaves nothing behind when it fails.
	Prepare(ctx context.Context, s Spec) (Deployment, error)
}

// Deployment is a prepared version. Serve, Status and Scale are called concurrently, from the publishing of the route
// on.
type Deployment interface {
	router.Handler
	// Status never waits and is called at any time, after Close too.
	Status() Status
	// Scale gives resources back while requests may arrive; they must find the deployment able to take them again,
	// at the price of a colder start. Instances serving a request are left alone.
	Scale(ctx context.Context, to Scale) error
	// Close gives back everything. It is called exactly once, when no route leads here any more; requests that still
	// run then have outlived the drain and are stopped. One that has waited for admission all that time may call Serve
	// even after Close, and must be answered with an error. ctx bounds the wait for requests, not the release.
	Close(ctx context.Context) error
}

// Retirer is a Deployment that wants to know when it is not the one that requests are routed to any more. Retire is called at most once,
// after the change was published and before the requests in flight are waited for; it returns at once. What is closed without having
// been published is not retired before.
type Retirer interface{ Retire() }

// Neighbour is a Deployment that cannot be beside every other. CheckBeside is asked before the deployment is published, with all others that
// would be live then; with an error, which is told like one of a Kind, the change is refused. It has no side effect.
type Neighbour interface {
	CheckBeside(others []Deployment) error
}

// Middleware is a Deployment that stands in front of another one.
type Middleware interface {
	Deployment
	// ServeBefore is Serve with what a request is passed on to. It calls next at most once, on the same goroutine, with a record of its own,
	// and adds what that record says of memory and guests to rec. An error of next that was not answered comes back wrapped.
	ServeBefore(w http.ResponseWriter, r *http.Request, rec *accesslog.Record, next router.Handler) error
}

// MiddlewareKind makes Middleware. The rules are those of Kind.
type MiddlewareKind interface {
	ValidateMiddleware(s Spec) error
	PrepareMiddleware(ctx context.Context, s Spec) (Middleware, error)
}

// Scale is how far a deployment shall shrink.
type Scale int

// The two steps of scaling to zero; EvictCode includes ScaleToZero.
const (
	ScaleToZero Scale = iota // release instances and slots
	EvictCode                // release the compiled code too
)

// String gives the scale as a word for logs.
func (s Scale) String() string {
	switch s {
	case ScaleToZero:
		return "scale to zero"
	case EvictCode:
		return "evict code"
	}
	return "unknown scale"
}

// The states of a deployment, as Status tells them.
const (
	StateReady    = "ready"    // prepared; compiled code is loaded
	StateIdle     = "idle"     // scaled to zero, code still loaded
	StateEvicted  = "evicted"  // scaled to zero, code evicted
	StateStarting = "starting" // in the catalogue, and not prepared yet: requests wait
	StateMissing  = "missing"  // the directory that it serves is gone: answers 503 until it is back
	StateFailed   = "failed"   // in the catalogue, but could not be prepared: answers 503
)

// Status is what a deployment tells about itself.
type Status struct {
	ABI           string // guest ABI, in words; empty for what is no guest
	Target        string // where requests go, in one line; empty for what has nothing to tell beside the ABI
	State         string // one of the State constants
	MemoryBytes   int64  // linear memory budget of one request
	SnapshotBytes int64
	Warm          int // instances ready to serve
	InFlight      int // requests being served
	Isolation     string
	FreshReason   string    // why isolation is "fresh" though it was not asked for; else empty
	Warnings      []string  // sentences for the owner of the service
	LastUsed      time.Time // end of the last request; zero if there was none
	Queue         *QueueStatus
}

// QueueStatus tells of the requests that wait to be answered by others; nil for what has no queue of its own.
type QueueStatus struct {
	Depth   int // requests that may wait
	Waiting int // requests that no worker has taken
	Leased  int // requests that a worker has taken, and not answered
	Damaged int // stored requests that could not be read again and were set aside, since the server's start
}
