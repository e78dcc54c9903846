// Package inflight counts the requests of a deployment that has no instances, and ends
// them when the deployment is closed.
package inflight

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
)

// ErrClosed is the cause for a request that ends, or is refused, because its deployment is closed.
var ErrClosed = errors.New("this version of the service is closed")

// Requests tracks the requests of one deployment. Create it with New. It is safe for
// concurrent use and starts no goroutine.
type Requests struct {
	closing context.Context         // immutable; ends when Close is called
	close   context.CancelCauseFunc // immutable

	mu       sync.Mutex
	count    int           // guarded by mu
	lastUsed time.Time     // guarded by mu; end of the last request
	closed   bool          // guarded by mu
	none     chan struct{} // guarded by mu; made by Close, closed when count is 0
}

// New returns an empty set.
func New() *Requests {
	r := &Requests{}
	r.closing, r.close = context.WithCancelCause(context.Background())
	return r
}

// Begin counts a new request. The caller must call End. After Close it returns a
// problem for the client with the cause ErrClosed.
func (r *Requests) Begin() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return Stopped()
	}
	r.count++
	return nil
}

// Stopped returns the answer to a request that was ended or refused because of Close.
func Stopped() error {
	return problem.New(problem.NotReady, "this version of the service is being stopped; try again").WithCause(ErrClosed)
}

// End counts a finished request.
func (r *Requests) End() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count--
	r.lastUsed = time.Now()
	if r.closed && r.count == 0 {
		close(r.none)
	}
}

// Context returns a context that Close cancels with Stopped as its cause. Requests in flight must then end.
func (r *Requests) Context() context.Context { return r.closing }

// Stats describes the requests of a deployment.
type Stats struct {
	InFlight int
	LastUsed time.Time // end of the last request; zero if there was none
}

// Stats returns the current state.
func (r *Requests) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{InFlight: r.count, LastUsed: r.lastUsed}
}

// Close cancels Context and waits until all requests have ended. It must be called
// once. If ctx ends first, Close returns its cause.
func (r *Requests) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed, r.none = true, make(chan struct{})
	if r.count == 0 {
		close(r.none)
	}
	r.mu.Unlock()
	r.close(Stopped())
	select {
	case <-r.none:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
