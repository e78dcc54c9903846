package function

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/event/httpevent"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/internal/inflight"
	"github.com/vespo-dev/vespo/services/kinds/function/internal/runtimeapi"
)

// copyBytes is the size of the buffer that copies a stream.
const copyBytes = 32 << 10

// retryAfter is the Retry-After of responses for lack of a worker or of memory.
const retryAfter = time.Second

// exchange is the state of one request from the client to a worker and back.
type exchange struct {
	d       *deployment
	in      *router.Request
	res     *accesslog.Result
	to      *client.Writer
	call    *invocation.Call   // nil for an ordinary request
	ctx     context.Context    // done when the client disconnects or the deployment closes
	cancel  context.CancelFunc // of ctx
	unwatch func() bool        // stops watching for the end of the deployment
	held    int64              // bytes of the budget
}

func newExchange(d *deployment, to *client.Writer, r *router.Request, res *accesslog.Result) *exchange {
	x := &exchange{d: d, in: r, res: res, to: to, call: invocation.Of(r.Call)}
	ctx, cancel := context.WithCancelCause(r.Context())
	x.ctx, x.cancel = ctx, func() { cancel(nil) }
	x.unwatch = context.AfterFunc(d.requests.Context(), func() { cancel(inflight.ErrClosed) })
	return x
}

// finish releases the resources of the exchange.
func (x *exchange) finish() {
	x.unwatch()
	x.cancel()
	x.to.Finish()
	x.d.held.Give(x.held)
}

// run carries out the request. It returns an error if the
// caller must still answer, or must abort the connection.
func (x *exchange) run() error {
	x.in = x.in.Traced(span.Client, "worker")
	err := x.invoke()
	if err != nil {
		x.in.Span.Fail(string(cmp.Or(x.res.Outcome, accesslog.OutcomeBadAnswer)))
	}
	x.in.Span.End()
	return err
}

// invoke does the work of run.
func (x *exchange) invoke() error {
	trace := invocation.TraceID(x.in.Header.Get("X-Amzn-Trace-Id"), x.in.Arrived)
	event, err := x.event(trace)
	if err != nil {
		return err
	}
	in := runtimeapi.Input{
		Payload:   event,
		Timeout:   x.d.timeout,
		Wait:      x.d.timeout,
		RequestID: segment(x.in.ID),
		ARN:       x.d.arn,
		TraceID:   trace,
	}
	if x.call != nil {
		in.RequestID, in.ARN, in.TraceID, in.ClientContext = x.call.RequestID, x.call.FunctionARN, x.call.TraceID, x.call.ClientContext
		if x.call.Log != nil { // else in.Log would be a nil pointer in an interface
			in.Log = x.call.Log
		}
	}
	reply, err := x.d.backend.invoke(x.ctx, x.in, in, x.res)
	if err != nil {
		return x.failed(err)
	}
	defer reply.Close()
	switch {
	case x.call != nil:
		return x.raw(reply)
	case reply.Stream != nil:
		return x.stream(reply)
	}
	return x.whole(reply)
}

// segment returns id if workers can use it as a segment of a path without escapes, or an empty string.
func segment(id string) string {
	if strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" {
		return ""
	}
	return id
}

// event reads the request body and returns the event. The body of an Invoke request is the event already.
func (x *exchange) event(trace string) (budget.Body, error) {
	if x.in.ContentLength > invocation.MaxPayloadBytes {
		x.drop()
		return budget.Body{}, tooLarge()
	}
	from := client.NewBody(x.to, x.in.Request, client.Terms{Until: x.in.Admitted.Add(x.d.timeout), Pace: client.Collected()})
	body, held, err := x.d.held.Read(from, invocation.MaxPayloadBytes)
	from.Stop() // before the rest is dropped
	x.held += held
	switch {
	case errors.Is(err, budget.ErrTooLong):
		x.drop()
		return budget.Body{}, tooLarge()
	case errors.Is(err, budget.ErrExhausted):
		x.drop()
		return budget.Body{}, noMemory()
	case err != nil:
		return budget.Body{}, from.Failure()
	}
	if x.call != nil {
		return body, nil
	}
	event := x.d.held.Writer(invocation.MaxPayloadBytes)
	err = httpevent.Write(event, x.in.Request, body.Chunks(), httpevent.Source{
		RequestID: x.in.ID,
		Function:  x.d.name,
		Prefix:    x.in.Prefix,
		Rest:      x.in.Rest,
		Time:      x.in.Arrived,
		Client:    x.in.Client,
		TraceID:   trace,
	})
	x.held += event.Held
	switch {
	case errors.Is(err, budget.ErrTooLong):
		return budget.Body{}, tooLarge()
	case errors.Is(err, budget.ErrExhausted):
		return budget.Body{}, noMemory()
	case err != nil:
		return budget.Body{}, fmt.Errorf("encode the event: %w", err)
	}
	x.held -= held
	x.d.held.Give(held) // the event holds a copy
	return event.Body, nil
}

// drop reads the rest of the body for a moment. Many clients send all of it
// before they read the response, and closing the connection would reset it before
// they see the response. A client that waits for "100 Continue" has not sent any.
func (x *exchange) drop() {
	if x.in.Header.Get("Expect") == "" {
		client.Drain(x.to, x.in.Request, x.in.Body, client.SoonDone())
	}
}

func tooLarge() error {
	return problem.Newf(problem.BodyTooLarge, "the request is larger than the %d bytes that an event can have", invocation.MaxPayloadBytes)
}

func noMemory() error {
	p := problem.New(problem.NoCapacity, "the server holds too much for other invocations; try again later")
	p.RetryAfter = retryAfter
	return p
}

// whole answers with a complete output.
func (x *exchange) whole(reply *runtimeapi.Reply) error {
	a, err := httpevent.ParseAnswer(reply.Payload)
	if err != nil {
		return x.failed(err)
	}
	x.begin(a)
	if bodyless(a.StatusCode) {
		return nil
	}
	x.to.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	x.to.WriteHeader(a.StatusCode)
	if x.in.Method == http.MethodHead {
		return nil
	}
	_, err = x.to.Write(a.Body)
	return x.cut(err)
}

// begin sets the header. It also writes the status if the response has no body.
func (x *exchange) begin(a httpevent.Answer) {
	h := x.to.Header()
	for name, values := range a.Header {
		h[name] = values
	}
	if bodyless(a.StatusCode) {
		h.Del("Content-Type")
		x.to.WriteHeader(a.StatusCode)
	}
}

func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// stream answers with a streamed output.
func (x *exchange) stream(reply *runtimeapi.Reply) error {
	stop := context.AfterFunc(x.ctx, reply.Close) // unblocks a Read that waits for the worker
	defer stop()
	a, rest, err := x.prelude(reply)
	if err != nil {
		return x.failed(err)
	}
	x.begin(a)
	if bodyless(a.StatusCode) {
		return nil
	}
	x.to.WriteHeader(a.StatusCode)
	return x.copy(rest, reply.Stream)
}

// prelude returns status and header of a stream. A stream without a prelude is the body of a 200 response.
func (x *exchange) prelude(reply *runtimeapi.Reply) (a httpevent.Answer, rest []byte, err error) {
	if !httpevent.HasPrelude(reply.ContentType) {
		return httpevent.Answer{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {typeOf(reply.ContentType)}}}, nil, nil
	}
	var begin []byte
	buf := make([]byte, copyBytes)
	for {
		n, err := reply.Stream.Read(buf)
		begin = append(begin, buf[:n]...)
		a, rest, done, bad := httpevent.SplitPrelude(begin)
		switch {
		case bad != nil:
			return a, nil, bad
		case done:
			if err != nil && !errors.Is(err, io.EOF) {
				return a, nil, err
			}
			return a, rest, nil
		case errors.Is(err, io.EOF):
			return a, nil, fmt.Errorf("%w: it ends before its prelude does", httpevent.ErrAnswer)
		case err != nil:
			return a, nil, err
		}
	}
}

// typeOf returns the content type of a streamed body. The default is application/octet-stream.
func typeOf(given string) string {
	if given == "" {
		return "application/octet-stream"
	}
	return given
}

// copy sends a stream, flushing each piece.
func (x *exchange) copy(first []byte, from io.Reader) error {
	if len(first) > 0 {
		if _, err := x.to.Write(first); err != nil {
			return x.cut(err)
		}
	}
	buf := make([]byte, copyBytes)
	for {
		if err := x.to.FlushError(); err != nil {
			return x.cut(err)
		}
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := x.to.Write(buf[:n]); err != nil {
				return x.cut(err)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return x.failed(err)
		}
	}
}

// cut returns the error of a failed write to the client.
func (x *exchange) cut(err error) error {
	if err == nil {
		return nil
	}
	return cmp.Or(x.to.Failure(), fmt.Errorf("%w: %w", http.ErrAbortHandler, err))
}
