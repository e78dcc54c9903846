package queue

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/lease"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/prack"
	"github.com/vespo-dev/vespo/services/queues"
)

// exchange is the state of one client request.
type exchange struct {
	d    *deployment
	w    http.ResponseWriter
	r    *router.Request
	res  *accesslog.Result
	body budget.Body
}

// readBody reads the body of a request. held was taken from the
// budget. The caller must give it back, even after an error.
func (d *deployment) readBody(w http.ResponseWriter, r *http.Request) (body budget.Body, held int64, err error) {
	if r.Body == nil || r.Body == http.NoBody {
		return budget.Body{}, 0, nil
	}
	from := client.NewBody(w, r, client.Terms{Pace: client.Collected()})
	defer from.Stop()
	body, held, err = d.held.Read(from, d.kind.cfg.MaxBodyBytes)
	switch {
	case err == nil:
		return body, held, nil
	case errors.Is(err, budget.ErrTooLong):
		return budget.Body{}, held, client.TooLong(d.kind.cfg.MaxBodyBytes)
	case errors.Is(err, budget.ErrExhausted):
		return budget.Body{}, held, full(err)
	case r.Context().Err() == nil && from.End() != client.Stalled:
		return budget.Body{}, held, problem.New(problem.BadRequest, "the request's body could not be read").WithCause(err)
	}
	return budget.Body{}, held, from.Failure()
}

// environment describes the request to workers.
func (x *exchange) environment() []byte {
	return prack.Environment(x.r.Request, prack.Origin{
		Prefix:    x.r.Prefix,
		Rest:      x.r.Rest,
		RequestID: x.r.ID,
		Client:    x.r.Client,
	}, x.body.Len())
}

// wait queues the request and sends its answer to the client.
func (x *exchange) wait() error {
	x.r = x.r.Traced(span.Client, "worker")
	err := x.await()
	if x.r.Span.Seconds("vespo.queue_wait", x.res.Wait); err != nil {
		x.r.Span.Fail(string(cmp.Or(x.res.Outcome, accesslog.Outcome(problem.From(err).Kind()))))
	}
	x.r.Span.End()
	return err
}

// await does the work of wait.
func (x *exchange) await() error {
	j := &job{environment: x.environment(), body: x.body, done: make(chan struct{})}
	size := int64(len(j.environment))
	if !x.d.held.Take(size) {
		return full(budget.ErrExhausted)
	}
	defer x.d.held.Give(size)
	terms := x.d.terms(x.r.Method, x.d.plan.timeout)
	if !x.d.shared() || !x.d.line.hand(x.d.plan.depth, terms, j) {
		if x.d.shared() {
			if err := x.awaitShared(); !errors.Is(err, queues.ErrUnavailable) {
				return err
			}
		}
		if err := x.d.line.add(x.d.plan.depth, terms, j); err != nil {
			return full(err)
		}
	}
	select {
	case <-j.done:
	case <-x.r.Context().Done():
		x.d.line.leave(j)
	case <-x.d.requests.Context().Done():
		x.d.line.leave(j)
	}
	<-j.done
	wait, taken := x.d.line.waited(j)
	x.res.Wait += wait
	return x.conclude(j, taken)
}

// conclude responds to the client of a job that has ended.
func (x *exchange) conclude(j *job, taken bool) error {
	switch j.state {
	case lease.Answered:
		defer j.answer.held.Give(j.answer.heldBytes)
		if j.answer.unusable != nil {
			return backendError(x.res, j.answer.unusable)
		}
		return x.send(j.answer.Answer)
	case lease.Expired:
		return timeoutError(taken, x.d.plan.timeout)
	}
	return x.d.gone(x.r.Context())
}

// backendError returns the error that clients see for an unusable answer, and records it.
func backendError(res *accesslog.Result, cause error) error {
	res.Outcome = accesslog.OutcomeBadAnswer
	return problem.New(problem.BadGateway, "Backend error: a worker has taken the request, and its answer could not be used").WithCause(cause)
}

func timeoutError(taken bool, timeout time.Duration) error {
	if taken {
		return problem.New(problem.Deadline, "Timeout: a worker has taken the request, and did not answer in time")
	}
	return problem.Newf(problem.Deadline, "Timeout: no worker has taken the request within %s", timeout)
}

// send sends the answer to the client.
func (x *exchange) send(a *prack.Answer) error {
	to := client.NewWriter(x.w, x.r.Request, x.d.requests.Context())
	defer to.Finish()
	h := to.Header()
	maps.Copy(h, a.Header)
	httpfield.Collapse(h)
	if _, typed := h["Content-Type"]; !typed {
		h["Content-Type"] = nil // prevents content sniffing by the HTTP server
	}
	bodiless := a.Status == http.StatusNoContent || a.Status == http.StatusNotModified
	if !bodiless && (len(a.Body) > 0 || x.r.Method != http.MethodHead) {
		h["Content-Length"] = []string{strconv.Itoa(len(a.Body))}
	}
	to.WriteHeader(a.Status)
	if bodiless || x.r.Method == http.MethodHead || len(a.Body) == 0 {
		return nil
	}
	_, _ = to.Write(a.Body)
	return to.Failure()
}
