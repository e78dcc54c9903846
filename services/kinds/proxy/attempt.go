package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/internal/method"
)

var errNoUpgrade = errors.New("the upstream has switched protocols without being asked")

// RoundTrip implements http.RoundTripper for the single request of the exchange. It
// sends the request to an upstream, and retries on another one where that is safe.
func (x *exchange) RoundTrip(out *http.Request) (*http.Response, error) {
	var tried []*upstream
	var failed error
	for {
		u := x.d.balancer.acquire(time.Now(), tried)
		if u == nil {
			return nil, failed
		}
		tried = append(tried, u)
		a := &attempt{exchange: x, upstream: u, span: x.span(out, u, len(tried)-1)}
		resp, err := a.send(out)
		if err == nil {
			return resp, nil
		}
		failed = errors.Join(failed, err)
		x.reached = x.reached || a.connected.Load()
		if !a.repeatable(out) {
			return nil, failed
		}
	}
}

// attempt is the sending of a request to one upstream. Goroutines of the transport call its trace hooks.
type attempt struct {
	*exchange
	upstream  *upstream
	span      *span.Span  // nil if the request is not traced
	connected atomic.Bool // a connection was established
	answered  atomic.Bool // the first byte of the response has arrived
	conn      atomic.Pointer[net.Conn]
}

// span starts the span of an attempt after others.
func (x *exchange) span(out *http.Request, u *upstream, others int) *span.Span {
	if x.r.Span == nil {
		return nil
	}
	name, method := span.Method(out.Method)
	s := x.r.Span.Child(span.Client, name)
	s.Text("http.request.method", method)
	s.Number("http.request.resend_count", int64(others))
	s.Text("url.scheme", u.origin.wireScheme())
	s.Address(u.origin.host)
	return s
}

// outcome returns the outcome of a failed attempt.
func (a *attempt) outcome() accesslog.Outcome {
	switch {
	case a.ctx.Err() != nil && errors.Is(context.Cause(a.ctx), errNoAnswerInTime):
		return accesslog.OutcomeDeadline
	case a.ctx.Err() != nil:
		return accesslog.OutcomeClientGone
	case a.connected.Load():
		return accesslog.OutcomeBadAnswer
	}
	return accesslog.OutcomeUnreachable
}

// send returns the response with its header read. Closing the response body releases the upstream.
func (a *attempt) send(out *http.Request) (*http.Response, error) {
	release := sync.OnceFunc(func() {
		a.d.balancer.release(a.upstream)
		a.span.End()
	})
	resp, err := a.upstream.via(a.upgrade).RoundTrip(a.request(out))
	if err != nil {
		a.span.Fail(string(a.outcome()))
		if !a.connected.Load() && a.blamesUpstream(err) {
			a.d.balancer.failed(a.upstream, time.Now())
		}
		release()
		return nil, err
	}
	a.span.Status(resp.StatusCode)
	a.d.balancer.answered(a.upstream)
	a.exchange.upstream = a.upstream
	if backend, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = &tunnel{ReadWriteCloser: backend, conn: *a.conn.Load(), release: release}
		return resp, nil
	}
	dropTrailers(resp.Trailer) // the announced ones
	a.answer = &answerBody{ReadCloser: resp.Body, answer: resp, release: release}
	resp.Body = a.answer
	return resp, nil
}

// request returns the request for this upstream.
func (a *attempt) request(out *http.Request) *http.Request {
	trace := &httptrace.ClientTrace{
		// The transport itself may ask for a second connection if
		// the first one was closed before it carried anything.
		GetConn: func(string) { a.connected.Store(false) },
		GotConn: func(info httptrace.GotConnInfo) {
			a.conn.Store(&info.Conn)
			a.connected.Store(true)
		},
		WroteHeaders: func() {
			if a.body != nil {
				noteBody(*a.conn.Load(), true)
			}
		},
		GotFirstResponseByte: func() { a.answered.Store(true) },
	}
	r := out.WithContext(httptrace.WithClientTrace(out.Context(), trace))
	if a.span.Names(a.r.Span, r.Header) {
		r.Header = r.Header.Clone() // the transport may still read the header of an earlier attempt
		a.span.Inject(r.Header)
	}
	r.URL = a.upstream.origin.target(a.path, a.in.URL)
	if r.Body != nil {
		r.Body = a.body // without the wrapper that ReverseProxy adds, which can be closed
	}
	r.Host = ""
	if a.d.plan.clientHost {
		r.Host = a.in.Host
	}
	return r
}

// blamesUpstream reports whether a connection failure is the fault of the upstream. It is not if the
// client or the deployment ended the request, or if this machine is out of descriptors or ports.
func (a *attempt) blamesUpstream(err error) bool {
	if scarce.Own(err) {
		return false
	}
	cause := context.Cause(a.ctx)
	return cause == nil || errors.Is(cause, errNoAnswerInTime)
}

// repeatable reports whether the request can be sent to another
// upstream without the risk that it is carried out twice.
func (a *attempt) repeatable(out *http.Request) bool {
	switch {
	case a.ctx.Err() != nil || a.answered.Load():
		return false
	case !a.connected.Load():
		return a.body == nil || a.body.Untouched()
	}
	return a.body == nil && !a.upgrade && method.Idempotent(out.Method)
}
