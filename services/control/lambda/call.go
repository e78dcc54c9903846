package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services/event/httpevent"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/recorder"
)

// outcome is the result of an invocation that the service carried out.
type outcome struct {
	output  []byte
	failure string // "Unhandled", or empty if there is none
	log     []byte // tail of the log
	held    int64  // bytes of the budget
}

// call invokes a service and waits for its complete output. An error means that the service did not
// carry out the invocation. The caller must return outcome.held to the budget, even after an error.
func (h *Handler) call(ctx context.Context, t target, c *invocation.Call, payload []byte) (outcome, error) {
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
	complete := h.dispatch(t, c, w, r)
	o := outcome{output: w.Body.Bytes(), failure: c.Failure, log: c.Log.Bytes(), held: w.Held}
	switch {
	case h.isFunction(t.kind):
		return h.functionOutcome(o, w, c, complete)
	case w.Full:
		o.fail(tooLong(c))
	case !complete:
		o.fail(brokenOff())
	default:
		a := httpevent.Answer{StatusCode: w.Status, Header: w.Sent, Body: o.output}
		if o.output, err = a.Encode(); err != nil {
			return o, err
		}
		if len(o.output) > invocation.MaxOutputBytes {
			o.fail(tooLong(c))
		}
	}
	return o, nil
}

// functionOutcome completes the outcome of a function service.
func (h *Handler) functionOutcome(o outcome, w *recorder.Recorder, c *invocation.Call, complete bool) (outcome, error) {
	switch {
	case w.Full:
		o.fail(tooLong(c))
	case c.Late != nil:
		o.fail(c.Late)
	case c.Failure != "":
	case !complete:
		o.fail(brokenOff())
	case w.Status != http.StatusOK:
		return o, problemOf(w)
	}
	return o, nil
}

// recorder returns a recorder for the output of t, charged to its budget.
func (h *Handler) recorder(t target) *recorder.Recorder {
	return recorder.New(h.budget.For(t.name), invocation.MaxOutputBytes)
}

// fail turns the outcome into a function failure.
func (o *outcome) fail(e *invocation.Error) { o.output, o.failure = e.JSON(), invocation.Unhandled }

func tooLong(c *invocation.Call) *invocation.Error {
	return &invocation.Error{Type: "Function.ResponseSizeTooLarge",
		Message: fmt.Sprintf("RequestId: %s Error: the output is larger than %d bytes", c.RequestID, invocation.MaxOutputBytes)}
}

func brokenOff() *invocation.Error {
	return &invocation.Error{Type: "Runtime.TruncatedResponse", Message: "the answer of the service broke off"}
}

// requestFor returns the HTTP request that invokes the service.
func (h *Handler) requestFor(ctx context.Context, t target, c *invocation.Call, payload []byte) (*http.Request, error) {
	c.FunctionARN = t.arn
	if !h.isFunction(t.kind) {
		r, err := httpevent.Request(ctx, payload, string(t.prefix))
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
	r, err := http.NewRequestWithContext(invocation.With(ctx, c), http.MethodPost, string(t.prefix), bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	r.RequestURI, r.RemoteAddr = string(t.prefix), "lambda:0"
	r.Header.Set("Content-Type", "application/json")
	return r, nil
}

// dispatch serves the request and writes Lambda's START, END and REPORT
// lines to the log. It reports false if the response was aborted.
func (h *Handler) dispatch(t target, c *invocation.Call, w http.ResponseWriter, r *http.Request) (complete bool) {
	begin := time.Now()
	fmt.Fprintf(&c.Log, "START RequestId: %s Version: %s\n", c.RequestID, t.executed)
	defer func() {
		took := float64(time.Since(begin).Microseconds()) / 1000
		fmt.Fprintf(&c.Log, "END RequestId: %s\nREPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %d ms\n",
			c.RequestID, c.RequestID, took, int64(took)+1)
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			panic(v)
		}
	}()
	h.cfg.Dispatcher.ServeService(router.Prefix(t.prefix), w, r)
	return true
}

// problemOf returns the error for a response that the server wrote in place of the function.
func problemOf(w *recorder.Recorder) error {
	var p problem.Problem
	var told struct {
		Type, Title, Detail string
		Violations          []string
	}
	if !strings.HasPrefix(w.Sent.Get("Content-Type"), problem.ContentType) || json.Unmarshal(w.Body.Bytes(), &told) != nil {
		return fail(http.StatusBadGateway, "ServiceException", "the function has answered with the status %d", w.Status)
	}
	p.Type, p.Title, p.Detail, p.Violations, p.Status = told.Type, told.Title, told.Detail, told.Violations, w.Status
	return ofProblem(&p)
}
