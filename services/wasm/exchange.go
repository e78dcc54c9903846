package wasm

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/services/internal/pace"
	"github.com/vespo-dev/vespo/services/invocation"
)

// exchange is one HTTP request as the runtime sees it. It belongs to an instance, and is filled for each request anew: what a guest can
// reach of it, it reaches on the request's goroutine.
type exchange struct {
	abi.Exchange
	request  *http.Request
	body     requestBody
	response response
	logs     func(abi.Level, []byte) // immutable; the log of the service
}

// newExchange makes the exchange of an instance.
func newExchange(d *deployment) *exchange {
	x := &exchange{logs: d.environment.Log}
	x.QueryArgs = d.spec.Options.CGIArgs
	x.Config, x.Log, x.LocalAddr = d.spec.Options.Config, d.environment.Log, x.localAddr
	x.Body, x.Response = &x.body, &x.response
	return x
}

// begin fills the exchange for a request.
func (x *exchange) begin(w http.ResponseWriter, r *http.Request, rec *accesslog.Record, d *deployment, deadline time.Time) {
	x.request = r
	x.response = response{w: w, context: r.Context(), deadline: deadline}
	x.body = requestBody{from: r.Body, left: d.kind.cfg.MaxBodyBytes}
	if r.ContentLength != 0 && !arrived(r.Body) {
		rc := http.NewResponseController(w) // errors: a connection without these has no need of them
		// A client that sends too slowly fails its own request: it holds the slot no longer than the deadline, and the pace, allow.
		_ = rc.SetReadDeadline(deadline)
		x.body.pace = pace.New(r.Body, rc)
		x.body.from = x.body.pace
		// Without it, HTTP/1 takes the rest of the body away from a guest that begins to answer before it has read all.
		_ = rc.EnableFullDuplex()
	}
	client := rec.Client.Or(r)
	x.Method, x.URI, x.Proto, x.Scheme, x.Host, x.RemoteAddr = r.Method, r.URL.RequestURI(), r.Proto, client.Scheme, r.Host, r.RemoteAddr
	x.ServerPort = client.Port
	x.Prefix, x.Rest, x.Header, x.ContentLength = rec.Prefix, rec.Rest, r.Header, r.ContentLength
	x.RequestID, x.Deadline, x.Context = rec.RequestID, deadline, r.Context()
	if r.ContentLength < 0 || r.Trailer != nil { // no others can have any
		x.Trailer = func() abi.Header { return r.Trailer }
	}
	if d.outbound != nil {
		x.Outbound = d.outbound.ForExchange(deadline)
	}
	if c := invocation.From(r.Context()); c != nil && c.WantsLog {
		x.Log = func(level abi.Level, line []byte) {
			d.environment.Log(level, line)
			_, _ = c.Log.Write(append(line[:len(line):len(line)], '\n')) // never fails
		}
	}
}

// end forgets the request.
func (x *exchange) end() {
	if x.body.pace != nil {
		x.body.pace.Stop()
	}
	x.request, x.response, x.body = nil, response{}, requestBody{}
	x.Header, x.Trailer, x.Outbound, x.Context, x.Next, x.PassedOn = nil, nil, nil, nil, nil, false
	x.Body, x.Response = &x.body, &x.response
	x.Log = x.logs
}

// localAddr is where the request came in.
func (x *exchange) localAddr() net.Addr {
	addr, _ := x.request.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return addr
}

// requestBody is the request's body with its limit. It remembers why it could not be read.
type requestBody struct {
	from     io.Reader
	pace     *pace.Body // nil if all has arrived
	left     int64      // bytes that may still come
	tooLarge bool
	late     bool
	failed   error
}

// arrived reports whether all of a body was received before the slot was taken.
func arrived(body io.Reader) bool {
	b, ok := body.(interface{ Arrived() bool })
	return ok && b.Arrived()
}

var errBodyTooLarge = errors.New("the request's body is larger than the limit")

func (b *requestBody) Read(p []byte) (int, error) {
	if b.failed != nil {
		return 0, b.failed
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one byte more than allowed tells that there is more
	}
	n, err := b.from.Read(p)
	if int64(n) > b.left {
		n, err, b.tooLarge = int(b.left), errBodyTooLarge, true
	}
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.failed, b.late = err, errors.Is(err, os.ErrDeadlineExceeded)
	}
	return n, err
}
