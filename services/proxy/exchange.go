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
	"os"
	"time"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services/internal/client"
	"github.com/vespo-dev/vespo/services/internal/inflight"
)

var (
	errNoAnswerInTime = errors.New("the upstream did not begin its answer in time")
	errBadStatus      = errors.New("the upstream's answer has no usable status")
)

// exchange is one request on its way to an upstream and back.
type exchange struct {
	d       *deployment
	rec     *accesslog.Record
	in      *http.Request           // the client's, with ctx and body
	ctx     context.Context         // ends with the client, with the deployment, or when no answer has begun in time
	cancel  context.CancelCauseFunc // of ctx
	unwatch func() bool             // of the deployment's end
	wait    *patience               // until the answer's header
	client  *client.Writer
	body    *requestBody // nil if there is none
	path    string       // escaped, for the upstream
	upgrade bool         // the client wants to switch protocols

	upstream *upstream   // who has answered
	answer   *answerBody // nil as long as there is none, and for a tunnel
	tunnel   *clientConn // nil unless protocols were switched
	err      error       // why there is no answer
}

func newExchange(d *deployment, w http.ResponseWriter, r *http.Request, rec *accesslog.Record) *exchange {
	x := &exchange{d: d, rec: rec, path: d.plan.pathFor(rec.Prefix, rec.Rest)}
	x.ctx, x.cancel = context.WithCancelCause(r.Context())
	x.client = client.NewWriter(w, r, d.requests.Context())
	x.in = r.WithContext(x.ctx)
	x.setBody(w, r)
	x.unwatch = context.AfterFunc(d.requests.Context(), func() { x.interrupt(inflight.ErrClosed) })
	// The wait for admission is not the upstream's.
	x.wait = newPatience(rec.Admitted(), d.timeout, func() { x.interrupt(errNoAnswerInTime) })
	if x.body != nil {
		x.body.progress = x.wait.progress
	}
	return x
}

// setBody gives the request the body that is passed on.
func (x *exchange) setBody(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		x.in.Body, x.in.ContentLength = http.NoBody, 0
		return
	}
	rc := http.NewResponseController(w) // errors: a connection without these has no need of them
	// The patience is there for a client that is slow to send: the passing of a deadline would look like its leaving. When the answer has
	// begun, the request may last as well.
	_ = rc.SetReadDeadline(time.Time{})
	// Without it, HTTP/1 takes the rest of the body away from an upstream that begins to answer before it has read all.
	_ = rc.EnableFullDuplex()
	x.body = &requestBody{from: r.Body, control: rc, left: x.d.maxBodyBytes}
	x.in.Body = x.body
}

// interrupt ends the request for a cause that is not the client's leaving.
func (x *exchange) interrupt(cause error) {
	x.cancel(cause)
	if x.body != nil {
		x.body.interrupt()
	}
}

// finish gives back what newExchange has taken.
func (x *exchange) finish() {
	x.wait.stop()
	x.unwatch()
	if x.tunnel != nil {
		x.tunnel.watch.Stop()
	}
	x.cancel(nil)
	x.client.Finish()
	if x.body != nil && x.tunnel == nil {
		x.body.finish()
	}
}

// run carries the request and the answer. The error is what is still to be answered, or why the connection is to be cut.
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

// tunnelled completes the record of a request that has switched protocols.
func (x *exchange) tunnelled() error {
	x.tunnel.record(x.rec)
	cause := context.Cause(x.ctx)
	switch {
	case errors.Is(cause, errTunnelIdle):
		return fmt.Errorf("%w: %w", http.ErrAbortHandler, cause)
	case x.err == nil && !errors.Is(cause, inflight.ErrClosed):
		return nil
	}
	return fmt.Errorf("%w: %w", http.ErrAbortHandler, cmp.Or(x.err, inflight.ErrClosed))
}

// forward lets the proxy of the standard library do what it does; why an answer broke off is noted by who has read or written it.
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
		ErrorLog:       log.New(io.Discard, "", 0), // the access record has it
	}
	proxy.ServeHTTP(hijackable{x.client, x}, x.in)
}

// rewrite makes of the client's request the one for the upstream. Where it goes is chosen later.
func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	dropH2C(pr.Out.Header)
	x.upgrade = pr.Out.Header.Get("Upgrade") != ""
	pr.Out.Trailer = pr.In.Trailer // the server fills it when it has read the body
	x.d.plan.request.apply(pr.Out.Header)
	stripped := x.rec.Prefix
	if x.d.plan.keepPrefix {
		stripped = ""
	}
	client := x.rec.Client.Or(pr.In)
	setForwarded(pr, &client, x.rec.RequestID, stripped)
}

// receive looks at the header of an answer before it is passed on.
func (x *exchange) receive(resp *http.Response) error {
	switch {
	case !x.wait.stop():
		x.interrupt(errNoAnswerInTime) // which is under way
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
	resp.Header.Set(router.RequestIDHeader, x.rec.RequestID)
	if _, typed := resp.Header["Content-Type"]; !typed {
		x.client.Header()["Content-Type"] = nil // or the HTTP server would guess one
	}
	return nil
}

// places returns what of the upstream's places clients find where.
func (x *exchange) places() places {
	p := places{origin: x.upstream.origin, host: x.in.Host}
	if !x.d.plan.keepPrefix && x.rec.Prefix != "/" {
		p.prefix = x.rec.Prefix
	}
	return p
}

// failure is the one table from what went wrong to what the client is told. It is never told where the upstream is, nor what that
// has said.
func (x *exchange) failure(err error) error {
	var bodyErr error
	if x.body != nil {
		bodyErr = x.body.end()
	}
	cause := context.Cause(x.ctx)
	switch {
	case errors.Is(bodyErr, errBodyTooLarge):
		return bodyTooLarge(x.d.maxBodyBytes)
	case errors.Is(cause, inflight.ErrClosed):
		return inflight.Stopped()
	case errors.Is(cause, errNoAnswerInTime) && errors.Is(bodyErr, os.ErrDeadlineExceeded):
		return problem.New(problem.RequestTimeout, "the request's body did not arrive in time").WithCause(errNoAnswerInTime)
	case errors.Is(cause, errNoAnswerInTime):
		// What else err says may look like the client's leaving.
		return problem.Newf(problem.Deadline, "the upstream did not begin its answer within %s", x.d.timeout).WithCause(errNoAnswerInTime)
	case cause != nil:
		return fmt.Errorf("%w: %w", cause, err)
	case bodyErr != nil && bodyErr != io.EOF, x.client.Err() != nil:
		return fmt.Errorf("%w: %w", http.ErrAbortHandler, err)
	case x.upstream == nil && scarce.Own(err):
		p := problem.New(problem.NoCapacity, "the server has too many connections open to reach the service; try again").WithCause(err)
		p.RetryAfter = scarce.RetryAfter
		return p
	case x.upstream == nil:
		return problem.New(problem.BadGateway, "no upstream of the service could be reached, or none answered").WithCause(err)
	}
	return problem.New(problem.BadGateway, "the upstream's answer could not be used").WithCause(err)
}

func bodyTooLarge(limitBytes int64) error {
	return problem.Newf(problem.BodyTooLarge, "the request's body is larger than %d bytes", limitBytes)
}
