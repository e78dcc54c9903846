package forward

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// grace is how much longer than the service's time limit this host waits: the home ends the request itself, with its reason.
const grace = 2 * time.Second

var (
	errDeclined = errors.New("the other host does not serve the request")
	errTooLate  = errors.New("the other host has not answered in time")
	errAnswer   = errors.New("the answer of the other host cannot be used")
)

// exchange is one request on its way to another host and back.
type exchange struct {
	*target
	home      *Peer
	r         *router.Request
	in        *http.Request // the same with ctx and body
	ctx       context.Context
	cancel    context.CancelFunc
	unwatch   func()
	client    client.Writer
	body      *client.Body // nil if there is none
	nonce     string
	note      string
	declined  bool
	unable    bool        // declined, as the other host cannot prepare the service
	connected atomic.Bool // there was a connection: the request may have been sent
	read      error       // of the response's body
	err       error       // why there is no response
}

// newExchange returns nil if the note about the request would be too long.
func newExchange(h *target, home *Peer, w http.ResponseWriter, r *router.Request) *exchange {
	nonce := rand.Text()
	note := h.note(home, nonce, r)
	if len(note) > NoteBytes {
		return nil
	}
	x := &exchange{target: h, home: home, r: r.Traced(span.Client, "forward"), nonce: nonce, note: note}
	deadline := r.Admitted.Add(h.limit() + h.waits + grace)
	limited, release := context.WithDeadlineCause(r.Context(), deadline, errTooLate)
	ctx, end := context.WithCancelCause(limited)
	x.ctx, x.cancel = ctx, func() { end(nil); release() }
	x.unwatch = home.watch(ctx, func() { end(errLost) })
	x.client.Begin(w, x.ctx, deadline)
	x.in = r.WithContext(x.ctx)
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		x.in.Body, x.in.ContentLength = http.NoBody, 0
		return x
	}
	_ = client.ConnOf(w).FullDuplex() // otherwise HTTP/1 drops the rest of the body at the start of the response
	x.body = client.NewBody(w, r.Request, client.Terms{Bytes: h.cfg.MaxBodyBytes, Until: deadline, Pace: client.Streamed()})
	x.in.Body = x.body
	return x
}

// finish releases what newExchange acquired.
func (x *exchange) finish() {
	x.cancel()
	x.unwatch()
	x.client.Finish()
	if x.body != nil {
		x.body.Stop()
	}
	if x.r.Span != nil {
		x.r.Span.End()
	}
}

// untouched reports whether nothing of the request's body was read, and prevents that it is.
func (x *exchange) untouched() bool {
	if x.body == nil {
		return true
	}
	x.body.Stop()
	return x.body.Untouched()
}

// run forwards the request and copies the response.
func (x *exchange) run() error {
	x.relay()
	switch {
	case x.err != nil:
		return x.err
	case x.client.Err() != nil:
		return x.client.Err()
	}
	return x.read
}

// relay runs httputil.ReverseProxy, whose panic is recorded as an error of the body or the client.
func (x *exchange) relay() {
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			panic(v)
		}
	}()
	proxy := httputil.ReverseProxy{
		Rewrite:        x.rewrite,
		Transport:      x,
		ModifyResponse: x.receive,
		ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, err error) { x.err = err },
		ErrorLog:       log.New(io.Discard, "", 0), // the access record has the error
	}
	proxy.ServeHTTP(client.Final{Writer: &x.client}, x.in)
}

// rewrite turns the client's request into that for the other host. The claims about the client are those that the router has
// accepted, which ReverseProxy would drop.
func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	out := pr.Out
	for name, values := range pr.In.Header {
		if httpfield.Claim(name) {
			out.Header[name] = values
		}
	}
	out.Trailer = pr.In.Trailer // the server fills it after it has read the body
	path, query, _ := strings.Cut(pr.In.RequestURI, "?")
	if !plainTarget(path) { // absolute, with the host
		path = pr.In.URL.EscapedPath()
	}
	out.URL = &url.URL{Scheme: "https", Host: x.home.cfg.Address, Opaque: path, RawQuery: query, ForceQuery: pr.In.URL.ForceQuery}
	out.Host = pr.In.Host
	if x.body != nil {
		out.Header.Set("Expect", "100-continue")
	}
	out.Header.Set(httpfield.ForwardHeader, x.note)
}

func (h *target) note(home *Peer, nonce string, r *router.Request) string {
	from := r.Client.Or(r.Request)
	n := note{
		Token:   home.cfg.Token,
		Nonce:   nonce,
		Prefix:  string(h.key.Prefix),
		Match:   h.key.Match,
		Version: h.version,
		Proto:   r.Proto,
		Expects: r.Header.Get("Expect") != "",
		Client:  from.Wire(r.ID),
		Unsized: r.Header["Content-Length"] == nil,
		Hop:     hopOf(r.Header),

		Placed:     h.placed,
		Generation: h.generation,
		Later:      h.placed,
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		n.Local = local.String()
	}
	text, err := json.Marshal(n)
	if err != nil { // cannot happen: there are texts and flags alone
		return ""
	}
	return string(text)
}

// plainTarget reports whether a request target is a path that a URL can carry unchanged.
func plainTarget(target string) bool {
	return strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "//")
}

// repeatable reports whether the transport would send a request again although the other host may have run it. For methods without
// a body, onceBody prevents that.
func repeatable(r *router.Request) bool {
	return r.ContentLength == 0 && !bodiless(r.Method) &&
		(r.Method == http.MethodTrace || r.Header["Idempotency-Key"] != nil || r.Header["X-Idempotency-Key"] != nil)
}

// bodiless reports whether the transport sends no body for an empty one of unknown length.
func bodiless(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}

// RoundTrip implements http.RoundTripper for the single request of the exchange.
func (x *exchange) RoundTrip(out *http.Request) (*http.Response, error) {
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { x.connected.Store(true) }}
	r := out.WithContext(httptrace.WithClientTrace(out.Context(), trace))
	switch {
	case x.body != nil:
		r.Body = x.body // without the wrapper of ReverseProxy, which can be closed
	case bodiless(out.Method) || x.placed && repeatable(x.r):
		r.Body = onceBody{}
	}
	resp, err := x.home.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	x.home.heard()
	if resp.Header.Get(httpfield.ForwardHeader) == x.nonce {
		_ = resp.Body.Close() // it is empty
		x.declined, x.unable = true, resp.StatusCode == http.StatusServiceUnavailable
		return nil, errDeclined
	}
	return resp, nil
}

// onceBody is an empty body that keeps the transport from sending a request again: the other host may have run it.
type onceBody struct{}

func (onceBody) Read([]byte) (int, error) { return 0, io.EOF }

func (onceBody) Close() error { return nil }

// receive checks a response header before it is passed on.
func (x *exchange) receive(resp *http.Response) error {
	if resp.StatusCode <= http.StatusSwitchingProtocols {
		return errAnswer
	}
	if later := takeLater(resp.Header, x.nonce); x.answered != nil {
		x.answered(later)
	}
	resp.Body = &answerBody{ReadCloser: resp.Body, exchange: x}
	if _, typed := resp.Header["Content-Type"]; !typed {
		x.client.Header()["Content-Type"] = nil // stops the HTTP server from guessing one
	}
	return nil
}

// answerBody is the body of a response. It records the error that broke it off.
type answerBody struct {
	io.ReadCloser
	*exchange
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err != nil && err != io.EOF:
		b.read = err
	case n > 0:
		b.home.heard()
	}
	return n, err
}

// isLost reports whether the exchange was ended because the other host does not respond.
func (x *exchange) isLost() bool { return context.Cause(x.ctx) == errLost }

// isUnreached reports whether nothing of the request was sent, as there was no connection.
func (x *exchange) isUnreached() bool {
	return !x.connected.Load() && x.untouched() && (x.ctx.Err() == nil || x.isLost())
}

// failure maps an error to the client's answer, which does not tell of other hosts. The request may have run.
func (x *exchange) failure(res *accesslog.Result, err error) error {
	var own error
	if x.body != nil {
		own = x.body.Failure()
	}
	switch {
	case own != nil:
		return own
	case x.r.Context().Err() != nil:
		return fmt.Errorf("%w: %w", x.r.Context().Err(), err)
	case x.isLost():
		res.Outcome = accesslog.OutcomeBadAnswer
		return problem.New(problem.BadGateway, "the service does not respond").WithCause(errLost)
	case x.ctx.Err() != nil:
		x.home.failed(time.Now())
		return problem.Newf(problem.Deadline, "the service did not answer within %s", x.limit()).WithCause(errTooLate)
	case x.client.Err() != nil:
		return fmt.Errorf("%w: %w", http.ErrAbortHandler, err)
	case x.declined: // after a part of the body was sent
		return problem.New(problem.NotReady, "the service is not ready; try again").WithCause(err)
	}
	if x.err != nil { // there was no response; one that breaks off may be the fault of the service
		x.home.failed(time.Now())
	}
	res.Outcome = accesslog.OutcomeBadAnswer
	return problem.New(problem.BadGateway, "the service broke off, or its answer could not be used").WithCause(err)
}
