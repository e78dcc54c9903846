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
		a := &attempt{exchange: x, upstream: u}
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
	connected atomic.Bool // a connection was established
	answered  atomic.Bool // the first byte of the response has arrived
	conn      atomic.Pointer[net.Conn]
}

// send returns the response with its header read. Closing the response body releases the upstream.
func (a *attempt) send(out *http.Request) (*http.Response, error) {
	release := sync.OnceFunc(func() { a.d.balancer.release(a.upstream) })
	resp, err := a.upstream.via(a.upgrade).RoundTrip(a.request(out))
	if err != nil {
		if !a.connected.Load() && a.blamesUpstream(err) {
			a.d.balancer.failed(a.upstream, time.Now())
		}
		release()
		return nil, err
	}
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
