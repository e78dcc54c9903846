package wasm

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// deployment is one prepared version of a service. It implements services.Deployment.
type deployment struct {
	*version
	server  abi.Server     // immutable
	lingers bool           // immutable; guests may go on after their response is complete
	aside   sync.WaitGroup // guests on a goroutine of their own
}

// Serve implements router.Handler.
func (d *deployment) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	r = r.Traced(span.Internal, "guest")
	err := d.ServeBefore(w, r, res, nil)
	endSpan(r, res, err)
	return err
}

// endSpan ends the span of a guest that has served a request, or could not.
func endSpan(r *router.Request, res *accesslog.Result, err error) {
	if r.Span == nil {
		return
	}
	describe(r.Span, res)
	switch {
	case res.Outcome != "" && res.Outcome != accesslog.OutcomeOK:
		r.Span.Fail(string(res.Outcome))
	case err != nil:
		r.Span.Fail(string(problem.From(err).Kind()))
	}
	if r.Mirrored {
		r.Span.Text("vespo.mirrored", "true")
	}
	r.Span.End()
}

// describe adds the costs of a guest to its span.
func describe(s *span.Span, res *accesslog.Result) {
	s.Text("vespo.start", string(res.Start))
	s.Seconds("vespo.guest_time", res.GuestTime)
	s.Number("vespo.guest_work", res.Work)
	s.Number("vespo.guest_peak_bytes", res.PeakBytes)
}

// ServeBefore implements services.Middleware. If next is nil, there is no handler behind the guest.
func (d *deployment) ServeBefore(w http.ResponseWriter, r *router.Request, res *accesslog.Result, next router.Handler) error {
	if r.ContentLength > d.kind.cfg.MaxBodyBytes {
		return client.TooLong(d.kind.cfg.MaxBodyBytes)
	}
	deadline := r.Admitted.Add(d.timeout)
	in, start, out, err := d.pool.Acquire(r.Context(), deadline)
	if res.Start = accesslog.Start(start); res.Start == accesslog.StartCold {
		res.ColdTime = time.Since(r.Admitted)
	}
	switch {
	case err != nil:
		return d.acquireError(err)
	case in == nil:
		res.Outcome = failedAs(out)
		return d.outcomeError(out)
	}
	res.SnapshotBytes += int64(len(in.Memory()))
	x := in.Caller.(*exchange)
	x.begin(w, r, d, deadline)
	switch {
	case next != nil:
		x.passTo(next, res)
		x.forwardTo(next, res)
	case d.lingers && !capturesLog(r):
		return d.serveAside(in, x, r, res)
	}
	out = contained(func() engine.Outcome { return d.server.Serve(in, &x.Exchange) })
	return d.conclude(in, x, res, out)
}

// conclude takes the instance back after the guest has ended, and returns the error to answer with.
func (d *deployment) conclude(in *engine.Instance, x *exchange, res *accesslog.Result, out engine.Outcome) error {
	x.measure(in, res)
	x.response.out.Finish()
	if outcome := failedAs(out); outcome != "" {
		res.Outcome = outcome
	}
	err := d.answerError(out, x)
	if err == nil && x.alone() {
		x.request.Spent()
	}
	x.end() // x belongs to the instance, which another request may get after Release
	d.putBack(in, out, res)
	return err
}

// failedAs returns the outcome of a guest that has failed, or "" if it has not failed by itself.
func failedAs(out engine.Outcome) accesslog.Outcome {
	switch out.Kind {
	case engine.OK:
		return ""
	case engine.BadAnswer:
		return accesslog.OutcomeBadAnswer
	}
	return outcomeOf(out)
}

// answerError returns the error to answer with after the guest has run, or nil if the guest has answered.
func (d *deployment) answerError(out engine.Outcome, x *exchange) error {
	if out.Kind == engine.OK && x.PassedOn {
		return problem.New(problem.NotFound, "the service passed the request on, and nothing is behind it")
	}
	if out.Kind == engine.Canceled {
		return d.canceled(out, x)
	}
	return d.outcomeError(out)
}

// canceled returns the error for a guest that was stopped because no client was waiting.
func (d *deployment) canceled(out engine.Outcome, x *exchange) error {
	switch end := x.body.ended(); {
	case end == client.TooLarge || end == client.Stalled || end == client.Malformed:
		return x.body.Failure()
	case x.response.late(): // checked before the context, which ends with a late HTTP/2 stream
		return problem.Newf(problem.Deadline, "the client did not take the answer within %s", d.timeout).WithCause(out.Err)
	case x.request.Context().Err() != nil:
		return fmt.Errorf("%w: %w", x.request.Context().Err(), out.Err)
	case end == client.Truncated || end == client.Gone || x.response.failed:
		return fmt.Errorf("%w: %w", http.ErrAbortHandler, out.Err)
	}
	return stopped(out)
}

// Unloaded implements services.Loader.
func (d *deployment) Unloaded() bool { return !d.pool.Loaded() }

// TimeLimit implements services.Loader.
func (d *deployment) TimeLimit() time.Duration { return d.timeout }
