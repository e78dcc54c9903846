package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/services/event/httpevent"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/recorder"
)

// outcome is the result of an invocation that the service carried out.
type outcome struct {
	output []byte
	failed *invocation.Error // nil unless the function has failed; output is empty then
	told   *problem.Problem  // of a service that is no function: the output is the answer of this server, not its own; nil: it is its own
	held   int64             // bytes of the budget
}

// call invokes a service and waits for its complete output. An error means that the service did not
// carry out the invocation. The caller must return outcome.held to the budget, even after an error.
func (h *Handler) call(ctx context.Context, t target, c *call, payload []byte) (outcome, error) {
	r, err := h.requestFor(ctx, t, c, payload)
	if err != nil {
		return outcome{}, err
	}
	end, err := h.running.begin(t.name, h.book.get(t.name).Concurrency)
	if err != nil {
		return outcome{}, err
	}
	defer end()
	w := h.recorder(t)
	err = h.dispatch(t, c, w, r)
	var told *problem.Problem
	if err != nil && !errors.Is(err, http.ErrAbortHandler) && !h.cfg.Kinds.takesEvents(t.kind) {
		told = problem.From(err)
		problem.Write(w, w.Header().Get(router.RequestIDHeader), told) // an answer like that of other services
		err = nil
	}
	o := outcome{output: w.Body.Bytes(), held: w.Held, told: told}
	if o.failed, err = failedOf(c, w.Full, err); o.failed != nil || err != nil {
		o.output = nil
		return o, err
	}
	switch {
	case !h.cfg.Kinds.takesEvents(t.kind):
		a := httpevent.Answer{StatusCode: w.Status, Header: w.Sent, Body: o.output}
		if o.output, err = a.Encode(); err == nil && len(o.output) > invocation.MaxOutputBytes {
			o.output, o.failed = nil, tooLong(c)
		}
		return o, err
	case w.Status != http.StatusOK:
		return o, answeredBy(w.Status)
	}
	return o, nil
}

// failedOf returns the failure of an invocation: of the function, or the error if the server could not carry
// it out. full reports whether the output is too long.
func failedOf(c *call, full bool, err error) (failed *invocation.Error, refused error) {
	switch {
	case full:
		return tooLong(c), nil
	case errors.As(err, &failed):
		return failed, nil
	case errors.Is(err, http.ErrAbortHandler):
		return &invocation.Error{Type: "Runtime.TruncatedResponse", Message: "the answer of the service broke off"}, nil
	case err != nil:
		return nil, ofProblem(problem.From(err))
	}
	return nil, nil
}

// answeredBy returns the error for an answer with a status in place of an output, such as one of middleware.
func answeredBy(status int) error {
	return fail(http.StatusBadGateway, "ServiceException", "the function has answered with the status %d", status)
}

// recorder returns a recorder for the output of t, charged to its budget.
func (h *Handler) recorder(t target) *recorder.Recorder {
	return recorder.New(h.budget.For(t.name), invocation.MaxOutputBytes)
}

func tooLong(c *call) *invocation.Error {
	return &invocation.Error{Type: "Function.ResponseSizeTooLarge",
		Message: fmt.Sprintf("RequestId: %s Error: the output is larger than %d bytes", c.RequestID, invocation.MaxOutputBytes)}
}

// requestFor returns the HTTP request that invokes the service.
func (h *Handler) requestFor(ctx context.Context, t target, c *call, payload []byte) (*http.Request, error) {
	c.FunctionARN = t.arn
	if !h.cfg.Kinds.takesEvents(t.kind) {
		r, err := httpevent.Request(ctx, payload, t.key.String())
		if errors.Is(err, httpevent.ErrEvent) {
			return nil, unusable("the service is no function, and takes events in the payload format 2.0 alone: %s", err)
		}
		return r, err
	}
	if payload = withoutMark(payload); len(bytes.TrimSpace(payload)) == 0 {
		payload = []byte("{}")
	}
	if !json.Valid(payload) {
		return nil, unusable("Could not parse request body into json: the payload is not JSON")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.key.String(), bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	r.RequestURI, r.RemoteAddr = t.key.String(), "lambda:0"
	r.Header.Set("Content-Type", "application/json")
	return r, nil
}

// dispatch serves the request and writes Lambda's START, END and REPORT lines to the log. It returns the
// error of router.Router.Dispatch.
func (h *Handler) dispatch(t target, c *call, w http.ResponseWriter, r *http.Request) error {
	begin := time.Now()
	fmt.Fprintf(c.log, "START RequestId: %s Version: %s\n", c.RequestID, t.executed)
	var passed any
	if h.cfg.Kinds.takesEvents(t.kind) {
		passed = &c.Call
	}
	r = r.WithContext(forwarded.WithID(r.Context(), c.RequestID))
	err := h.cfg.Dispatcher.Dispatch(t.key.Prefix, w, r, passed)
	took := float64(time.Since(begin).Microseconds()) / 1000
	fmt.Fprintf(c.log, "END RequestId: %s\nREPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %d ms\n",
		c.RequestID, c.RequestID, took, int64(took)+1)
	return err
}
