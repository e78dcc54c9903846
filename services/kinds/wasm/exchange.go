package wasm

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/vespo-dev/vespo/internal/readahead"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/pace"
)

// exchange is the runtime's view of one HTTP request. There is one exchange per
// instance, reused across requests. Guests use it only from the request's goroutine.
type exchange struct {
	abi.Exchange
	request   *router.Request
	body      requestBody
	pace      *pace.Body // of the body; nil if the whole body has arrived
	response  response
	interrupt func()                  // immutable; ends a read of the body that waits for the client
	logs      func(abi.Level, []byte) // immutable; the log of the service
}

// newExchange returns the exchange of an instance.
func newExchange(d *deployment) *exchange {
	x := &exchange{logs: d.environment.Log}
	x.interrupt = x.interruptBody
	x.QueryArgs = d.doc.CGIArgs
	x.Log, x.LocalAddr = d.environment.Log, x.localAddr
	x.Body, x.Response = &x.body, &x.response
	return x
}

// begin sets up the exchange for a request.
func (x *exchange) begin(w http.ResponseWriter, r *router.Request, d *deployment, deadline time.Time) {
	x.request = r
	x.response = response{w: w, context: r.Context(), deadline: deadline}
	from := io.Reader(r.Body)
	if r.ContentLength != 0 && !arrived(r.Body) {
		rc := http.NewResponseController(w) // connections that lack these methods do not need them
		// A client that sends too slowly fails its own request: it cannot hold the slot beyond
		// the deadline or below the minimum rate.
		_ = rc.SetReadDeadline(deadline)
		x.pace = pace.New(r.Body, rc)
		from = x.pace
		// Otherwise HTTP/1 drops the rest of the body when a guest begins to answer before it
		// has read everything.
		_ = rc.EnableFullDuplex()
	}
	x.body.left = d.kind.cfg.MaxBodyBytes
	x.body.ahead.Reset(from, x.interrupt)
	client := r.Client.Or(r.Request)
	x.Method, x.URI, x.Proto, x.Scheme, x.Host, x.RemoteAddr = r.Method, r.URL.RequestURI(), r.Proto, client.Scheme, r.Host, r.RemoteAddr
	x.ServerPort = client.Port
	x.Prefix, x.Rest, x.Header, x.ContentLength = r.Prefix, r.Rest, r.Header, r.ContentLength
	x.RequestID, x.Deadline, x.Context = r.ID, deadline, r.Context()
	if r.ContentLength < 0 || r.Trailer != nil { // other requests have no trailers
		x.Trailer = func() abi.Header { return r.Trailer }
	}
	if d.outbound != nil {
		x.Outbound = d.outbound.ForExchange(deadline)
	}
	if c := invocation.Of(r.Call); c != nil && c.Log != nil {
		x.Log = d.logTo(c.Log)
	}
}

// end drops all references to the request.
func (x *exchange) end() {
	x.body.ahead.Stop()
	if x.pace != nil {
		x.pace.Stop()
	}
	x.request, x.response, x.body, x.pace = nil, response{}, requestBody{}, nil
	x.Header, x.Trailer, x.Outbound, x.Context, x.Next, x.PassedOn = nil, nil, nil, nil, nil, false
	x.Body, x.Response = &x.body, &x.response
	x.Log = x.logs
}

// interruptBody ends a read of the body that waits for the client, for a guest that has polled a
// body and ends before it has arrived. The server closes the connection after the response then.
func (x *exchange) interruptBody() {
	_ = http.NewResponseController(x.response.w).SetReadDeadline(time.Unix(1, 0)) // a body in memory needs no interruption
}

// localAddr returns the address at which the request arrived.
func (x *exchange) localAddr() net.Addr {
	addr, _ := x.request.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return addr
}

// requestBody is the request body, limited in size. It records why reading failed. It implements abi.Source.
type requestBody struct {
	ahead    readahead.Reader
	left     int64 // bytes still allowed
	tooLarge bool
	late     bool
	failed   error
}

// arrived reports whether the whole body was received before the slot was taken.
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
		p = p[:b.left+1] // one byte over the limit shows that the body is too large
	}
	n, err := b.ahead.Read(p)
	if int64(n) > b.left {
		n, err, b.tooLarge = int(b.left), errBodyTooLarge, true
	}
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.failed, b.late = err, errors.Is(err, os.ErrDeadlineExceeded)
	}
	return n, err
}

// Ready implements abi.Source.
func (b *requestBody) Ready() <-chan struct{} { return b.ahead.Ready() }
