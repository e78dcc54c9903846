package queue

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/lease"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/prack"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/stored"
	"github.com/vespo-dev/vespo/services/queues"
)

// Signals of the engine may be lost. So the workers of a line together look for requests once per lookEvery, and a waiting
// client for its result once per checkEvery.
const (
	lookEvery  = time.Second
	checkEvery = 3 * time.Second
)

// shares reports whether the line has requests in an engine.
func (l *line) shares() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.engine != nil && l.durable > 0 && !l.closed
}

// next waits for a job of this host or of the engine until ctx is done. The error is that of the engine.
func (l *line) next(ctx context.Context) (*order, error) {
	if !l.shares() {
		o, _ := l.await(ctx, nil)
		return o, nil
	}
	look := l.mayLook(time.Now())
	if !look {
		select {
		case <-l.woken:
			look = true
		default: // the engine had nothing when a worker looked last
		}
	}
	var failed error
	for {
		if look {
			o, err := l.takeAny(ctx)
			if o != nil {
				return o, nil
			}
			failed = err
		}
		turn, cancel := context.WithTimeout(ctx, lookEvery)
		o, signalled := l.await(turn, l.woken)
		cancel()
		over := o != nil || ctx.Err() != nil || !l.shares()
		if signalled && over {
			l.engine.Signals().Wake(l.prefix) // another worker looks
		}
		if _, away := l.engine.Totals(); over && o == nil && away && failed == nil {
			failed = queues.ErrUnavailable
		}
		if over {
			return o, failed
		}
		look = signalled || l.mayLook(time.Now())
	}
}

// mayLook reports whether a worker may look for requests without a signal.
func (l *line) mayLook(now time.Time) bool {
	last := l.looked.Load()
	return now.UnixNano()-last >= int64(lookEvery) && l.looked.CompareAndSwap(last, now.UnixNano())
}

// takeAny leases the next job of this host, or of the engine. It returns nil if there is none.
func (l *line) takeAny(ctx context.Context) (*order, error) {
	if o := l.take(); o != nil || !l.shares() {
		return o, nil
	}
	l.looked.Store(time.Now().UnixNano())
	taken, err := l.engine.Take(ctx, l.prefix)
	if err != nil || taken == nil {
		return nil, err
	}
	l.engine.Signals().Wake(l.prefix) // there may be more for other workers
	return &order{
		job:     &job{environment: taken.Environment, body: budget.BodyOf(taken.Body)},
		line:    l,
		leaseID: taken.LeaseID,
		shared:  true,
	}, nil
}

// hand adds a job if a worker of this host waits for one, and reports whether it did.
func (l *line) hand(depth int, t lease.Terms, j *job) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.unlock(now)
	l.queue.Advance(now)
	return l.workers.Len() > 0 && l.queue.Waiting() == 0 && l.addLocked(now, depth, t, j) == nil
}

// request returns a request for the engine.
func (x *exchange) request(timeout time.Duration, waits bool) queues.Request {
	terms := x.d.terms(x.r.Method, timeout)
	return queues.Request{
		ID:          newID(),
		TTL:         timeout,
		Lease:       terms.Lease,
		Redeliver:   terms.Redeliver,
		Waits:       waits,
		Environment: x.environment(),
		Body:        x.body.Bytes(),
	}
}

// put stores a request in the engine.
func (x *exchange) put(r queues.Request) error {
	bounds := queues.Bounds{Waiting: x.d.plan.depth, Bytes: queues.MaxBytes}
	return x.d.line.engine.Put(x.r.Context(), x.d.key.String(), r, bounds)
}

// notPut returns the problem of a request that could not be stored in the engine.
func (x *exchange) notPut(err error) error {
	if errors.Is(err, queues.ErrFull) {
		return full(err)
	}
	text := "the request could not be stored, and was not accepted; try again later"
	if errors.Is(err, queues.ErrUncertain) {
		text = "the engine of the queues has not answered: the request may have been accepted, or not"
	}
	p := problem.New(problem.NoCapacity, text)
	p.RetryAfter = retryAfter
	return p.WithCause(err)
}

// awaitShared lets the request wait for a worker of any host, and sends its answer to the client. The error is
// queues.ErrUnavailable if the engine cannot be used: then the request has not been queued.
func (x *exchange) awaitShared() error {
	r := x.request(x.d.plan.timeout, true)
	woken, release := x.d.line.engine.Signals().Result(r.ID)
	defer release()
	expired := time.NewTimer(x.d.plan.timeout)
	defer expired.Stop()
	if err := x.put(r); errors.Is(err, queues.ErrUnavailable) {
		return err
	} else if err != nil {
		return x.notPut(err)
	}
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	for {
		over := false
		select {
		case <-woken:
		case <-check.C:
		case <-expired.C:
			over = true
		case <-x.r.Context().Done():
			return x.abandon(r.ID, x.d.gone(x.r.Context()))
		case <-x.d.requests.Context().Done():
			return x.abandon(r.ID, x.d.gone(x.r.Context()))
		}
		result, err := x.d.line.engine.Result(x.r.Context(), x.d.key.String(), r.ID)
		switch {
		case errors.Is(err, queues.ErrNotFound):
			p := problem.New(problem.NoCapacity, "the engine of the queues has lost the request, which did not wait on its disk; try again")
			return p.WithCause(err)
		case err == nil && result.State != queues.Pending:
			return x.concludeShared(result)
		case over:
			x.res.Wait += x.d.plan.timeout
			return x.abandon(r.ID, timeoutError(result.Taken, x.d.plan.timeout))
		}
	}
}

// abandon ends a request whose client gets no answer. If that fails, the engine ends it by its deadline.
func (x *exchange) abandon(id string, reason error) error {
	if err := x.d.line.engine.Leave(x.r.Context(), x.d.key.String(), id); err != nil {
		x.d.line.complain("a request whose client has left could not be deleted", err)
	}
	return reason
}

// concludeShared responds to the client of a request that has ended.
func (x *exchange) concludeShared(r queues.Result) error {
	x.res.Wait += r.Wait
	switch r.State {
	case queues.Answered:
		return x.send(&prack.Answer{Status: r.Status, Header: r.Header, Body: r.Body})
	case queues.Unusable:
		return backendError(x.res, nil)
	case queues.Damaged:
		return damagedError()
	}
	return timeoutError(r.Taken, x.d.plan.timeout)
}

// result returns the result of an accepted request.
func (d *deployment) result(ctx context.Context, id string) (stored.Result, error) {
	if d.line.engine == nil {
		return d.store.Result(d.key.String(), id, time.Now())
	}
	r, err := d.line.engine.Result(ctx, d.key.String(), id)
	if errors.Is(err, queues.ErrNotFound) {
		err = errors.Join(stored.ErrNotFound, err)
	}
	return stored.Result{State: r.State, Status: r.Status, Header: r.Header, Body: r.Body}, err
}

// deliverShared stores the answer to a request of the engine. An empty prefix means any queue.
func (ws *workers) deliverShared(ctx context.Context, prefix, id string, r *reply) error {
	result := queues.Result{State: queues.Unusable}
	if r.unusable == nil {
		result = queues.Result{State: queues.Answered, Status: r.Status, Header: r.Header, Body: r.Body}
	}
	switch err := ws.kind.cfg.Shared.Answer(ctx, prefix, id, result); {
	case err == nil:
		return nil
	case errors.Is(err, queues.ErrEnded):
		return &failure{http.StatusNotFound, textOver}
	default:
		ws.kind.cfg.Log.Debug("an answer could not be stored", "prefix", prefix, "error", err)
		return again("the answer could not be stored: send it again")
	}
}
