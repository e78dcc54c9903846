package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/internal/inflight"
)

var (
	errNoAnswerInTime = errors.New("the upstream did not begin its answer in time")
	errBadStatus      = errors.New("the upstream's answer has no usable status")
)

// exchange is one request on its way to an upstream and back.
type exchange struct {
	d       *deployment
	r       *router.Request // as received
	res     *accesslog.Result
	in      *http.Request           // the same with ctx and body
	ctx     context.Context         // ends with the client, with the deployment, or when no response begins in time
	cancel  context.CancelCauseFunc // of ctx
	unwatch func() bool             // stops watching for the close of the deployment
	wait    *patience               // until the response header
	client  *client.Writer
	body    *client.Body // nil if there is none
	path    string       // escaped, for the upstream
	upgrade bool         // the client asks to switch protocols

	upstream *upstream   // the one that answered
	reached  bool        // there was a connection to an upstream that has not answered
	answer   *answerBody // nil before the response, and for a tunnel
	tunnel   *clientConn // nil unless protocols were switched
	err      error       // why there is no response
}

func newExchange(d *deployment, w http.ResponseWriter, r *router.Request, res *accesslog.Result) *exchange {
	x := &exchange{d: d, r: r, res: res, path: d.plan.pathFor(r.Prefix, r.Rest)}
	x.ctx, x.cancel = context.WithCancelCause(r.Context())
	x.client = client.NewWriter(w, r.Request, d.requests.Context())
	x.client.OnHijack(x.open)
	x.in = r.WithContext(x.ctx)
	// The time in the admission queue does not count against the upstream.
	x.wait = newPatience(r.Admitted, d.timeout)
	x.setBody(w, r.Request)
	x.unwatch = context.AfterFunc(d.requests.Context(), func() { x.interrupt(inflight.ErrClosed) })
	x.wait.start(func() { x.interrupt(errNoAnswerInTime) })
	return x
}

// setBody sets the body of the forwarded request.
func (x *exchange) setBody(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		x.in.Body, x.in.ContentLength = http.NoBody, 0
		return
	}
	// Otherwise HTTP/1 drops the rest of the body when an upstream begins to answer before it has
	// read everything. Connections that do not support this do not need it.
	_ = client.ConnOf(w).FullDuplex()
	// Patience bounds a slow body. Once the response has begun, the request may take as long as it needs.
	x.body = client.NewBody(w, r, client.Terms{Bytes: x.d.maxBodyBytes, Progress: x.wait.progress})
	x.in.Body = x.body
}

// interrupt cancels the request for a cause other than a disconnect of the client.
func (x *exchange) interrupt(cause error) {
	x.cancel(cause)
	if x.body != nil {
		x.body.Interrupt()
	}
}

// finish releases what newExchange acquired.
func (x *exchange) finish() {
	x.wait.stop()
	x.unwatch()
	if x.tunnel != nil {
		x.tunnel.watch.Stop()
	}
	x.cancel(nil)
	x.client.Finish()
	if x.body != nil && x.tunnel == nil {
		x.body.Stop()
	}
}

// run forwards the request and copies the response. The error is the
// problem to answer with, or the reason to abort the connection.
func (x *exchange) run() error {
	x.forward()
	switch {
	case x.tunnel != nil:
		return x.tunnelled()
	case x.err != nil:
		return x.failure(x.err)
	case x.client.Err() != nil:
		return x.failure(x.client.Err())
	case x.answer != nil && x.answer.err != nil:
		return x.failure(x.answer.err)
	}
	return nil
}

// tunnelled returns the error of a request that has switched protocols.
func (x *exchange) tunnelled() error {
	cause := context.Cause(x.ctx)
	switch {
	case errors.Is(cause, errTunnelIdle):
		return fmt.Errorf("%w: %w", http.ErrAbortHandler, cause)
	case x.err == nil && !errors.Is(cause, inflight.ErrClosed):
		return nil
	}
	return fmt.Errorf("%w: %w", http.ErrAbortHandler, cmp.Or(x.err, inflight.ErrClosed))
}

// forward runs httputil.ReverseProxy. The body and the writer of the response record why it broke off.
func (x *exchange) forward() {
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			panic(v)
		}
	}()
	proxy := httputil.ReverseProxy{
		Rewrite:        x.rewrite,
		Transport:      x,
		ModifyResponse: x.receive,
		BufferPool:     x.d.buffers,
		ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, err error) { x.err = err },
		ErrorLog:       log.New(io.Discard, "", 0), // the access record has the error
	}
	proxy.ServeHTTP(client.Final{Writer: x.client}, x.in)
}

// rewrite turns the client's request into the upstream's. The upstream is chosen later, in RoundTrip.
func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	dropH2C(pr.Out.Header)
	x.upgrade = pr.Out.Header.Get("Upgrade") != ""
	pr.Out.Trailer = pr.In.Trailer // the server fills it after it has read the body
	x.d.plan.request.apply(pr.Out.Header)
	stripped := x.r.Prefix
	if x.d.plan.keepPrefix {
		stripped = ""
	}
	client := x.r.Client.Or(pr.In)
	setForwarded(pr, &client, x.r.ID, stripped)
}

// receive checks and edits a response header before it is forwarded.
func (x *exchange) receive(resp *http.Response) error {
	switch {
	case !x.wait.stop():
		x.interrupt(errNoAnswerInTime) // the expiry is already in progress
		return errNoAnswerInTime
	case resp.StatusCode < http.StatusSwitchingProtocols:
		return errBadStatus
	case resp.StatusCode == http.StatusSwitchingProtocols && !x.upgrade:
		return errNoUpgrade
	}
	httpfield.Collapse(resp.Header)
	if !x.d.plan.keepLocation {
		x.places().relocate(resp.Header)
	}
	x.d.plan.response.apply(resp.Header)
	resp.Header.Set(router.RequestIDHeader, x.r.ID)
	if _, typed := resp.Header["Content-Type"]; !typed {
		x.client.Header()["Content-Type"] = nil // stops the HTTP server from guessing one
	}
	return nil
}

// places returns the mapping from upstream URLs to the service's own.
func (x *exchange) places() places {
	p := places{origin: x.upstream.origin, host: x.in.Host}
	if !x.d.plan.keepPrefix && x.r.Prefix != "/" {
		p.prefix = x.r.Prefix
	}
	return p
}

// failure maps an error to the client's answer. The answer
// never contains the upstream's address or its error text.
func (x *exchange) failure(err error) error {
	body := client.Complete
	if x.body != nil {
		body = x.body.End()
	}
	cause := context.Cause(x.ctx)
	switch {
	case body == client.TooLarge, body == client.Malformed:
		return x.body.Failure()
	case errors.Is(cause, inflight.ErrClosed):
		return inflight.Stopped()
	case errors.Is(cause, errNoAnswerInTime) && body == client.Stalled:
		return x.body.Failure()
	case errors.Is(cause, errNoAnswerInTime):
		// The text of err may look like a disconnect of the client.
		return problem.Newf(problem.Deadline, "the upstream did not begin its answer within %s", x.d.timeout).WithCause(errNoAnswerInTime)
	case cause != nil:
		return fmt.Errorf("%w: %w", cause, err)
	case body != client.Open && body != client.Complete, x.client.Err() != nil:
		return fmt.Errorf("%w: %w", http.ErrAbortHandler, err)
	case x.upstream == nil && scarce.Own(err):
		p := problem.New(problem.NoCapacity, "the server has too many connections open to reach the service; try again").WithCause(err)
		p.RetryAfter = scarce.RetryAfter
		return p
	case x.upstream == nil:
		if x.res.Outcome = accesslog.OutcomeUnreachable; x.reached {
			x.res.Outcome = accesslog.OutcomeBadAnswer
		}
		return problem.New(problem.BadGateway, "no upstream of the service could be reached, or none answered").WithCause(err)
	}
	x.res.Outcome = accesslog.OutcomeBadAnswer
	return problem.New(problem.BadGateway, "the upstream's answer could not be used").WithCause(err)
}
