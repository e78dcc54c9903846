package queue

import (
	"errors"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/internal/inflight"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/prack"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/stored"
	"github.com/vespo-dev/vespo/services/queues"
)

const (
	// resultsPath is the path below the prefix of a durable queue that serves results by id.
	resultsPath = "/_results/"
	// stateHeader is the header with the state of a request. The status of the response may be the worker's.
	stateHeader = "Vespo-Result"
	// asyncTimeout is the timeout of an asynchronous request.
	asyncTimeout = 24 * time.Hour
	// resultRetryAfter is the Retry-After of pending results, in seconds.
	resultRetryAfter = "1"
)

// wantsAsync reports whether the client asks not to wait, by the query or the Prefer header of RFC 7240.
func wantsAsync(r *http.Request) bool {
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if pair == "async=1" {
			return true
		}
	}
	for _, value := range r.Header[textproto.CanonicalMIMEHeaderKey("Prefer")] {
		for preference := range strings.SplitSeq(value, ",") {
			token, _, _ := strings.Cut(preference, ";")
			if strings.EqualFold(strings.TrimSpace(token), "respond-async") {
				return true
			}
		}
	}
	return false
}

// accept stores the request and responds with the location of its result.
func (x *exchange) accept() error {
	if x.d.shared() {
		r := x.request(asyncTimeout, false)
		if err := x.put(r); err != nil {
			return x.notPut(err)
		}
		x.accepted(r.ID)
		return nil
	}
	if err := x.d.line.promise(x.d.plan.depth); err != nil {
		return full(err)
	}
	terms := x.d.terms(x.r.Method, asyncTimeout)
	request := stored.Request{
		ID:          newID(),
		Accepted:    time.Now(),
		Deadline:    terms.Deadline,
		LeaseTime:   terms.Lease,
		Redeliver:   terms.Redeliver,
		Environment: x.environment(),
	}
	if err := x.d.store.Put(x.d.key.String(), request, x.body.Bytes()); err != nil {
		x.d.line.renege()
		if errors.Is(err, stored.ErrFull) {
			return full(err)
		}
		x.d.line.complain("a request could not be stored", err)
		p := problem.New(problem.NoCapacity, "the request could not be stored, and was not accepted; try again later")
		p.RetryAfter = retryAfter
		return p.WithCause(err)
	}
	x.d.line.keep(request)
	x.accepted(request.ID)
	return nil
}

// accepted responds with the location of the result.
func (x *exchange) accepted(id string) {
	h := x.w.Header()
	h.Set("Location", strings.TrimSuffix(x.r.Prefix, "/")+resultsPath+id)
	h.Set("Preference-Applied", "respond-async")
	h.Set(stateHeader, "pending")
	h.Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusAccepted)
}

// serveResult responds with the result of an accepted request: its
// answer, the reason why there is none, or 202 while it is pending.
func (d *deployment) serveResult(w http.ResponseWriter, r *router.Request, res *accesslog.Result, id string) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		p := problem.New(problem.MethodNotAllowed, "results can be read only: use GET, HEAD")
		res.Err, res.Outcome = p, accesslog.OutcomeRefused
		w.Header().Set("Allow", "GET, HEAD")
		problem.Respond(w, r.Request, r.ID, p)
		return nil
	}
	result, err := d.result(r.Context(), id)
	switch {
	case errors.Is(err, stored.ErrNotFound):
		return problem.New(problem.NotFound, "there is no such result, or not any more").WithCause(err)
	case errors.Is(err, queues.ErrUnavailable), errors.Is(err, queues.ErrUncertain):
		p := problem.New(problem.NoCapacity, "the engine of the queues cannot be used, and has the result; try again later")
		p.RetryAfter = retryAfter
		return p.WithCause(err)
	case err != nil:
		return problem.New(problem.Internal, "the result could not be read").WithCause(err)
	}
	h := w.Header()
	switch result.State {
	case stored.Answered:
		delete(result.Header, stateHeader) // reserved for the server
		h.Set(stateHeader, string(result.State))
		x := &exchange{d: d, w: w, r: r, res: res}
		return x.send(&prack.Answer{Status: result.Status, Header: result.Header, Body: result.Body})
	case stored.Unusable:
		return backendError(res, nil)
	case stored.Damaged:
		return damagedError()
	case stored.Failed:
		return problem.New(problem.Deadline, "Timeout: no worker has answered the request in time")
	}
	if d.requests.Context().Err() != nil {
		return inflight.Stopped()
	}
	h.Set(stateHeader, "pending")
	h.Set("Retry-After", resultRetryAfter)
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func damagedError() error {
	return problem.New(problem.Internal, "the stored request is damaged: it was set aside, and has no answer")
}
