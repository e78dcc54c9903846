// Package inflight counts the requests on a deployment that has no instances to count, and ends them when it is closed.
package inflight

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/router/problem"
)

// ErrClosed is why a request ends, or does not begin, on a deployment that is being closed.
var ErrClosed = errors.New("this version of the service is closed")

// Requests are the requests on one deployment. Make it with New. It is safe for concurrent use and starts no goroutine.
type Requests struct {
	closing context.Context         // immutable; ends when Close is called
	close   context.CancelCauseFunc // immutable

	mu       sync.Mutex
	count    int           // guarded by mu
	lastUsed time.Time     // guarded by mu; end of the last request
	closed   bool          // guarded by mu
	none     chan struct{} // guarded by mu; made by Close, closed when count is 0
}

// New gives an empty set.
func New() *Requests {
	r := &Requests{}
	r.closing, r.close = context.WithCancelCause(context.Background())
	return r
}

// Begin counts a request in; End must follow. After Close the error is a problem for the client, with the cause ErrClosed.
func (r *Requests) Begin() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return Stopped()
	}
	r.count++
	return nil
}

// Stopped is the answer to a request that was ended, or not begun, because of Close.
func Stopped() error {
	return problem.New(problem.NotReady, "this version of the service is being stopped; try again").WithCause(ErrClosed)
}

// End counts a request out.
func (r *Requests) End() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count--
	r.lastUsed = time.Now()
	if r.closed && r.count == 0 {
		close(r.none)
	}
}

// Context ends with the cause ErrClosed when Close is called: requests that are still under way have to end then.
func (r *Requests) Context() context.Context { return r.closing }

// Stats tells how many requests are under way, and when the last one ended; the time is zero if none has.
func (r *Requests) Stats() (inFlight int, lastUsed time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count, r.lastUsed
}

// Close ends Context and waits for the requests to end. To be called once. ctx bounds the wait; its error is the result then.
func (r *Requests) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed, r.none = true, make(chan struct{})
	if r.count == 0 {
		close(r.none)
	}
	r.mu.Unlock()
	r.close(ErrClosed)
	select {
	case <-r.none:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
