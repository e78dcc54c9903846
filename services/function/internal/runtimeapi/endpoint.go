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
	"sync"
	"time"

	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/invocation"
)

// Bounds of an endpoint.
const (
	maxConnections = 1024
	maxAbandoned   = 1024 // invocations whose late answer is still taken, and dropped
	maxRemembered  = 1024 // ids that are known to be answered
)

// lonelyAfter is after how long without any connection workers that share connections are taken for dead.
const lonelyAfter = time.Second

// Config is what an endpoint is made of.
type Config struct {
	Name   string         // of the function
	Budget budget.Account // for outputs that are held
	Log    *slog.Logger
}

// Endpoint is the Runtime API of one function. Make it with New, then Start; at the end Close. It is safe for concurrent use.
type Endpoint struct {
	cfg     Config             // immutable
	server  *http.Server       // immutable
	closing context.Context    // immutable; ends with Close
	close   context.CancelFunc // immutable
	serving sync.WaitGroup     // of the goroutine that accepts

	mu        sync.Mutex
	queue     []*pending          // guarded by mu, as all below; the oldest first
	takers    []chan *pending     // workers that wait, the one that has waited longest first
	held      map[string]*pending // by id: with a worker, from being taken to being answered
	abandoned []string            // ids in held that nobody waits for, the oldest first
	answered  []string            // ids, the oldest first
	conns     map[net.Conn]*conn
	shared    bool        // workers have been seen to use one connection for several invocations
	lonely    *time.Timer // runs while there is no connection; nil otherwise
	asked     bool        // a worker has asked for an event
}

// conn is a connection of a worker.
type conn struct {
	passing bool      // guarded by Endpoint.mu; the client does not keep connections
	used    time.Time // guarded by Endpoint.mu; when an event was handed over
}

// New makes an endpoint that does not listen yet.
func New(cfg Config) *Endpoint {
	e := &Endpoint{cfg: cfg, held: make(map[string]*pending), conns: make(map[net.Conn]*conn)}
	e.closing, e.close = context.WithCancel(context.Background())
	e.server = e.newServer()
	return e
}

// Start accepts workers until Close, which closes the listener.
func (e *Endpoint) Start(l net.Listener) {
	e.serving.Go(func() {
		err := e.server.Serve(&limited{Listener: l, places: make(chan struct{}, maxConnections)})
		if !errors.Is(err, http.ErrServerClosed) {
			e.cfg.Log.Error("the Runtime API accepts no workers any more", slog.Any("error", err))
		}
	})
}

// Close cuts the workers off and fails what waits for them.
func (e *Endpoint) Close() {
	e.close()
	_ = e.server.Close() // of listener and connections: nobody is left to be told
	e.serving.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lonely != nil {
		e.lonely.Stop()
	}
}

// Stats is what an endpoint can tell of its workers.
type Stats struct {
	Waiting int  // workers that wait for an event
	Busy    int  // events that workers have
	Queued  int  // events that wait for a worker
	Asked   bool // there has been a worker
}

// Stats never waits.
func (e *Endpoint) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Stats{Waiting: len(e.takers), Busy: len(e.held) - len(e.abandoned), Queued: len(e.queue), Asked: e.asked}
}

// Invoke hands an event to a worker and waits for what becomes of it: until a stream begins, where the worker streams. When ctx ends
// first, the worker may go on, and what it answers is dropped.
func (e *Endpoint) Invoke(ctx context.Context, in Input) (*Reply, error) {
	in.TraceID = cmp.Or(in.TraceID, invocation.TraceID("", time.Now()))
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
			} // else it was taken at this moment, or has its result
		case <-ctx.Done():
			return e.leave(p, context.Cause(ctx))
		case <-e.closing.Done():
			return e.leave(p, ErrClosed)
		}
	}
}

// await waits for the answer to an invocation that a worker has.
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

// offerLocked gives an invocation to the worker that has waited longest, or queues it.
func (e *Endpoint) offerLocked(p *pending, first bool) {
	switch {
	case len(e.takers) > 0:
		e.takers[0] <- p // has room for one
		e.takers = slices.Delete(e.takers, 0, 1)
	case first:
		e.queue = slices.Insert(e.queue, 0, p)
	default:
		e.queue = append(e.queue, p)
	}
}

// withdraw takes an invocation back that no worker has. It reports false if one has it, or has answered.
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

// leave gives an invocation up because of err. The answer may have come at this moment.
func (e *Endpoint) leave(p *pending, err error) (*Reply, error) {
	e.mu.Lock()
	if p.state == held || p.state == answering {
		p.state = abandoned
		e.abandoned = append(e.abandoned, p.id)
		if len(e.abandoned) > maxAbandoned {
			delete(e.held, e.abandoned[0])
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

// take waits for an event for the worker at c, and hands it over. The invocation is nil when there will be none.
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

// next waits for an invocation. It is nil when ctx or the endpoint end first.
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

// giveUp ends the wait of a worker. What it was given at this moment goes to another one.
func (e *Endpoint) giveUp(turn chan *pending) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at := slices.Index(e.takers, turn); at >= 0 {
		e.takers = slices.Delete(e.takers, at, at+1)
		return
	}
	e.offerLocked(<-turn, true)
}

// claim makes the worker at c the holder.
func (e *Endpoint) claim(p *pending, c *conn) (budget.Body, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.state != queued {
		return budget.Body{}, false
	}
	now := time.Now()
	payload := p.Payload
	p.state, p.conn, p.deadline, c.used = held, c, now.Add(p.Timeout), now
	p.Payload = budget.Body{} // an abandoned one shall not hold it
	e.held[p.id] = p
	close(p.taken)
	return payload, true
}

// refuseAll fails what waits, because no worker could be started.
func (e *Endpoint) refuseAll(why *invocation.Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.takers) > 0 || len(e.held) > len(e.abandoned) {
		return // another worker lives
	}
	for _, p := range e.queue {
		p.state = answered
		p.result <- fmt.Errorf("%w: %w", ErrInit, why)
	}
	e.queue = nil
}
