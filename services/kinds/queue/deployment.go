package queue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/internal/inflight"
	"github.com/vespo-dev/vespo/services/internal/method"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/lease"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/stored"
)

// retryAfter is the Retry-After of responses when the queue is full.
const retryAfter = time.Second

// deployment is one prepared version of a service. It implements services.Deployment, services.Retirer and
// services.Neighbour.
type deployment struct {
	kind     *Kind              // immutable
	key      routekey.Key       // immutable
	plan     *plan              // immutable
	line     *line              // immutable
	store    *stored.Store      // immutable; nil unless the version is durable
	address  string             // immutable; of the listener for workers
	held     budget.Account     // immutable; budget for requests
	requests *inflight.Requests // immutable
	retired  atomic.Bool
}

func newDeployment(k *Kind, key routekey.Key, p *plan, l *line) *deployment {
	return &deployment{kind: k, key: key, plan: p, line: l, held: k.requests.For(key.String()), requests: inflight.New()}
}

// Serve implements router.Handler.
func (d *deployment) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	if err := d.requests.Begin(); err != nil {
		return err
	}
	defer d.requests.End()
	if id, isResult := strings.CutPrefix(r.Rest, resultsPath); isResult && d.plan.durable {
		return d.serveResult(w, r, res, id)
	}
	if r.ContentLength > d.kind.cfg.MaxBodyBytes {
		return client.TooLong(d.kind.cfg.MaxBodyBytes)
	}
	if !d.shared() && d.line.full(d.plan.depth) {
		return full(lease.ErrFull) // before the body is read
	}
	body, held, err := d.readBody(w, r.Request)
	defer d.held.Give(held)
	if err != nil {
		return err
	}
	x := &exchange{d: d, w: w, r: r, res: res, body: body}
	if d.plan.durable && wantsAsync(r.Request) {
		return x.accept()
	}
	return x.wait()
}

// shared reports whether the requests are in an engine that several hosts share.
func (d *deployment) shared() bool { return d.plan.durable && d.line.engine != nil }

func full(cause error) error {
	p := problem.New(problem.NoCapacity, "too many requests wait for the workers of this service; try again")
	p.RetryAfter = retryAfter
	return p.WithCause(cause)
}

// terms returns the terms of a request that arrives now.
func (d *deployment) terms(requestMethod string, timeout time.Duration) lease.Terms {
	redeliver := d.plan.redeliver || method.Idempotent(requestMethod)
	return lease.Terms{Deadline: time.Now().Add(timeout), Lease: d.plan.leaseFor(redeliver), Redeliver: redeliver}
}

// Status implements services.Deployment.
func (d *deployment) Status() services.Status {
	line := d.line.stats()
	s := services.Status{State: services.StateReady, Queue: &services.QueueStatus{Depth: d.plan.depth, Waiting: line.waiting, Leased: line.leased, Workers: line.workers, Oldest: line.oldest}}
	note := ""
	if d.shared() {
		all := d.line.engine.Stats(d.key.String())
		s.Queue.Waiting, s.Queue.Leased = line.waiting+all.Waiting, line.leased+all.Leased
		if s.Queue.Oldest.IsZero() || !all.Oldest.IsZero() && all.Oldest.Before(s.Queue.Oldest) {
			s.Queue.Oldest = all.Oldest
		}
		note = "of all hosts; "
		if _, away := d.line.engine.Totals(); away {
			note = "its engine cannot be used; "
		}
	}
	if d.plan.isDefault {
		note += "default; "
	}
	if d.store != nil {
		s.Queue.Damaged = d.store.DamagedAt(d.key.String())
		if d.store.Broken() {
			note += "its stored requests cannot be read or written: the file is damaged; "
			s.State = services.StateFailed
		}
	}
	if s.Queue.Damaged > 0 {
		note += fmt.Sprintf("%d damaged requests set aside; ", s.Queue.Damaged)
	}
	s.Target = fmt.Sprintf("workers at http://%s%s (%s%d waiting, %d leased)", d.address, pathOf(d.key), note, s.Queue.Waiting, s.Queue.Leased)
	used := d.requests.Stats()
	s.InFlight, s.LastUsed = used.InFlight, used.LastUsed
	return s
}

// CheckBeside implements services.Neighbour. There can be
// only one default queue, for workers that name no queue.
func (d *deployment) CheckBeside(others []services.Deployment) error {
	for _, other := range others {
		if o, isQueue := other.(*deployment); isQueue && d.plan.isDefault && o.plan.isDefault {
			return problem.Newf(problem.Conflict, "there can be one default queue, and both %s and %s would be it: deploy one of them without default, "+
				"or remove it", o.key, d.key)
		}
	}
	return nil
}

// Retire implements services.Retirer. Another queue may then become the default.
func (d *deployment) Retire() { d.retired.Store(true) }

// Scale implements services.Deployment. It does nothing: waiting
// requests are needed, and there are no other resources.
func (d *deployment) Scale(context.Context, services.Scale) error { return nil }

// Close implements services.Deployment. Workers can answer until the last request has ended.
func (d *deployment) Close(ctx context.Context) error {
	err := d.requests.Close(ctx)
	d.kind.leave(ctx, d)
	return err
}

// gone returns the error of a request that left the queue without a result.
func (d *deployment) gone(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.requests.Context().Err() != nil {
		return inflight.Stopped()
	}
	return errors.New("the request left the queue for an unknown reason")
}
