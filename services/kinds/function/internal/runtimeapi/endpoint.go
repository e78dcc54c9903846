package runtimeapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/budget"
)

// Limits of an endpoint.
const (
	maxConnections = 1024
	maxAbandoned   = 1024 // invocations whose late result is still accepted, and discarded
	maxRemembered  = 1024 // ids remembered as answered
)

// lonelyAfter is how long the endpoint must have no connection
// until workers that share connections are considered dead.
const lonelyAfter = time.Second

// Config configures an Endpoint.
type Config struct {
	Name   string         // of the function
	Budget budget.Account // for outputs in memory
	Log    *slog.Logger
}

// Endpoint is the Runtime API of one function. Create it with New,
// call Start, and finally Close. It is safe for concurrent use.
type Endpoint struct {
	cfg     Config             // immutable
	server  *http.Server       // immutable
	closing context.Context    // immutable; done after Close
	close   context.CancelFunc // immutable
	serving sync.WaitGroup     // for the goroutine that accepts connections

	mu        sync.Mutex
	queue     []*pending          // guarded by mu, as all below; oldest first
	takers    []chan *pending     // waiting workers, longest wait first
	held      map[string]*pending // by id: taken by a worker and not yet answered
	abandoned []string            // ids in held without a caller, oldest first
	answered  []string            // ids that workers may answer once more, oldest first
	conns     map[net.Conn]*conn
	shared    bool        // a worker has used one connection for several invocations
	lonely    *time.Timer // runs while there is no connection, else nil
	asked     bool        // a worker has requested an event
}

// conn is a connection of a worker.
type conn struct {
	passing bool      // guarded by Endpoint.mu; the client does not keep connections
	used    time.Time // guarded by Endpoint.mu; time of the last event
}

// New returns an endpoint that does not listen yet.
func New(cfg Config) *Endpoint {
	e := &Endpoint{cfg: cfg, held: make(map[string]*pending), conns: make(map[net.Conn]*conn)}
	e.closing, e.close = context.WithCancel(context.Background())
	e.server = e.newServer()
	return e
}

// Start accepts workers on l until Close, which closes l.
func (e *Endpoint) Start(l net.Listener) {
	e.serving.Go(func() {
		err := e.server.Serve(&limited{Listener: l, places: make(chan struct{}, maxConnections)})
		if !errors.Is(err, http.ErrServerClosed) {
			e.cfg.Log.Error("the Runtime API accepts no workers any more", slog.Any("error", err))
		}
	})
}

// Close disconnects the workers and fails waiting invocations.
func (e *Endpoint) Close() {
	e.close()
	_ = e.server.Close() // close errors cannot be reported
	e.serving.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lonely != nil {
		e.lonely.Stop()
	}
}

// Stats describes the workers and invocations of an endpoint.
type Stats struct {
	Waiting int  // idle workers
	Busy    int  // events in progress
	Queued  int  // events without a worker
	Asked   bool // a worker has requested an event
}

// Stats returns the current statistics. It never blocks.
func (e *Endpoint) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Stats{Waiting: len(e.takers), Busy: len(e.held) - len(e.abandoned), Queued: len(e.queue), Asked: e.asked}
}

// Invoke hands an event to a worker and waits for the result. For a stream it returns when
// the stream begins. If ctx ends first, the worker may continue, but its result is discarded.
func (e *Endpoint) Invoke(ctx context.Context, in Input) (*Reply, error) {
	in.TraceID = cmp.Or(in.TraceID, invocation.TraceID("", time.Now()))
	in.RequestID, in.TraceID = strings.Clone(in.RequestID), strings.Clone(in.TraceID) // of requests, and kept after them
	p := &pending{Input: in, id: cmp.Or(in.RequestID, invocation.NewID()), result: make(chan any, 1), taken: make(chan struct{})}
	if e.closing.Err() != nil {
		return nil, ErrClosed
	}
	e.mu.Lock()
	e.offerLocked(p, false)
	e.mu.Unlock()
	wait := time.NewTimer(in.Wait)
	defer wait.Stop()
	for {
		select {
		case r := <-p.result:
			return settled(r)
		case <-p.taken:
			return e.await(ctx, p)
		case <-wait.C:
			if e.withdraw(p) {
				return nil, ErrNoWorker
			} // otherwise it was taken at this moment, or has its result
		case <-ctx.Done():
			return e.leave(p, context.Cause(ctx))
		case <-e.closing.Done():
			return e.leave(p, ErrClosed)
		}
	}
}

// await waits for the result of an invocation that a worker has taken.
func (e *Endpoint) await(ctx context.Context, p *pending) (*Reply, error) {
	deadline := time.NewTimer(time.Until(p.deadline))
	defer deadline.Stop()
	select {
	case r := <-p.result:
		return settled(r)
	case <-deadline.C:
		return e.leave(p, ErrDeadline)
	case <-ctx.Done():
		return e.leave(p, context.Cause(ctx))
	case <-e.closing.Done():
		return e.leave(p, ErrClosed)
	}
}

func settled(result any) (*Reply, error) {
	if r, ok := result.(*Reply); ok {
		return r, nil
	}
	return nil, result.(error)
}

// offerLocked hands an invocation to the worker that has waited longest.
// If there is none, it queues the invocation, at the front if first.
func (e *Endpoint) offerLocked(p *pending, first bool) {
	switch {
	case len(e.takers) > 0:
		e.takers[0] <- p // has capacity 1
		e.takers = slices.Delete(e.takers, 0, 1)
	case first:
		e.queue = slices.Insert(e.queue, 0, p)
	default:
		e.queue = append(e.queue, p)
	}
}

// withdraw cancels an invocation that no worker has taken.
// It reports false if a worker has taken or answered it.
func (e *Endpoint) withdraw(p *pending) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.withdrawLocked(p)
}

func (e *Endpoint) withdrawLocked(p *pending) bool {
	if p.state != queued {
		return false
	}
	p.state = answered // also seen by a worker that is about to take it
	if at := slices.Index(e.queue, p); at >= 0 {
		e.queue = slices.Delete(e.queue, at, at+1)
	}
	return true
}

// leave abandons an invocation because of err. A result that arrives at this moment is closed.
func (e *Endpoint) leave(p *pending, err error) (*Reply, error) {
	e.mu.Lock()
	if p.state == held || p.state == answering {
		p.state = abandoned
		e.abandoned = append(e.abandoned, p.id)
		if len(e.abandoned) > maxAbandoned {
			delete(e.held, e.abandoned[0])
			e.rememberLocked(e.abandoned[0])
			e.abandoned = slices.Delete(e.abandoned, 0, 1)
		}
	}
	e.withdrawLocked(p)
	e.mu.Unlock()
	select {
	case r := <-p.result:
		if r, ok := r.(*Reply); ok {
			r.Close()
		}
	default:
	}
	return nil, err
}

// take waits for an event for the worker on c and assigns it.
// It returns nil if ctx is done or the endpoint is closed.
func (e *Endpoint) take(ctx context.Context, c *conn) (*pending, budget.Body) {
	for {
		p := e.next(ctx)
		if p == nil {
			return nil, budget.Body{}
		}
		if payload, ok := e.claim(p, c); ok {
			return p, payload
		}
	}
}

// next waits for an invocation. It returns nil if ctx is done or the endpoint is closed.
func (e *Endpoint) next(ctx context.Context) *pending {
	e.mu.Lock()
	e.asked = true
	if len(e.queue) > 0 {
		p := e.queue[0]
		e.queue = slices.Delete(e.queue, 0, 1)
		e.mu.Unlock()
		return p
	}
	turn := make(chan *pending, 1)
	e.takers = append(e.takers, turn)
	e.mu.Unlock()
	select {
	case p := <-turn:
		if ctx.Err() == nil {
			return p
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.offerLocked(p, true)
	case <-ctx.Done():
		e.giveUp(turn)
	case <-e.closing.Done():
		e.giveUp(turn)
	}
	return nil
}

// giveUp ends the wait of a worker. An invocation that it received at this moment passes to another one.
func (e *Endpoint) giveUp(turn chan *pending) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at := slices.Index(e.takers, turn); at >= 0 {
		e.takers = slices.Delete(e.takers, at, at+1)
		return
	}
	e.offerLocked(<-turn, true)
}

// claim assigns an invocation to the worker on c. It reports false if the caller has withdrawn it.
func (e *Endpoint) claim(p *pending, c *conn) (budget.Body, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.state != queued {
		return budget.Body{}, false
	}
	now := time.Now()
	payload := p.Payload
	p.state, p.conn, p.deadline, c.used = held, c, now.Add(p.Timeout), now
	// Requests that one request has caused have its id, and so have those that a proxy sends again. A worker that answers one
	// late, or twice, must not answer the next one.
	if e.held[p.id] != nil || slices.Contains(e.answered, p.id) {
		p.id = invocation.NewID()
	}
	p.Payload = budget.Body{} // release the memory, in case the invocation is abandoned
	e.held[p.id] = p
	close(p.taken)
	return payload, true
}

// refuseAll fails the queued invocations because a worker
// failed to start. It does nothing if another worker is alive.
func (e *Endpoint) refuseAll(why *invocation.Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.takers) > 0 || len(e.held) > len(e.abandoned) {
		return // another worker is alive
	}
	for _, p := range e.queue {
		p.state = answered
		p.result <- fmt.Errorf("%w: %w", ErrInit, why)
	}
	e.queue = nil
}
