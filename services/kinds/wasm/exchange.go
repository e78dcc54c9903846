package wasm

import (
	"net"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/readahead"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/services/egress/outbound"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/kv"
)

// exchange is the runtime's view of one HTTP request. There is one exchange per
// instance, reused across requests. Guests use it only from the request's goroutine.
type exchange struct {
	abi.Exchange
	request   *router.Request
	body      requestBody
	response  response
	stores    *kv.Session // of the request; nil if the service has no key-value stores
	traceID   string
	interrupt func()                  // immutable; ends a read of the body that waits for the client
	logs      func(abi.Level, []byte) // immutable; the log of the service, with the ids of the request
}

// newExchange returns the exchange of an instance.
func newExchange(d *deployment) *exchange {
	x := &exchange{}
	x.interrupt = x.interruptBody
	x.logs = func(level abi.Level, line []byte) { d.logLine(level, line, x.RequestID, x.traceID) }
	x.QueryArgs = d.doc.CGIArgs
	x.Log, x.LocalAddr = x.logs, x.localAddr
	x.Body, x.Response = &x.body, &x.response
	return x
}

// begin sets up the exchange for a request.
func (x *exchange) begin(w http.ResponseWriter, r *router.Request, d *deployment, deadline time.Time) {
	x.request = r
	x.response.out.Begin(w, r.Context(), deadline)
	x.body.ahead.Reset(http.NoBody, x.interrupt)
	if r.ContentLength != 0 {
		// A client that sends too slowly fails its own request: it cannot hold the slot beyond
		// the deadline or below the minimum rate.
		x.body.Body = client.NewBody(w, r.Request, client.Terms{Bytes: d.kind.cfg.MaxBodyBytes, Until: deadline, Pace: client.Streamed()})
		x.body.ahead.Reset(x.body.Body, x.interrupt)
		// Otherwise HTTP/1 drops the rest of the body when a guest begins to answer before it
		// has read everything. Connections that do not support this do not need it.
		_ = client.ConnOf(w).FullDuplex()
	}
	from := r.Client.Or(r.Request)
	x.Method, x.URI, x.Proto, x.Scheme, x.Host, x.RemoteAddr = r.Method, r.URL.RequestURI(), r.Proto, from.Scheme, r.Host, r.RemoteAddr
	x.ServerPort = from.Port
	x.Prefix, x.Rest, x.Header, x.ContentLength = r.Prefix, r.Rest, r.Header, r.ContentLength
	x.RequestID, x.traceID, x.Deadline, x.Context = r.ID, r.TraceID, deadline, r.Context()
	if r.ContentLength < 0 || r.Trailer != nil { // other requests have no trailers
		x.Trailer = func() abi.Header { return r.Trailer }
	}
	if d.outbound != nil && !r.Mirrored {
		x.Outbound = d.outbound.ForExchange(deadline, outbound.Origin{RequestID: r.ID, Header: r.Header, Span: r.Span})
	}
	if d.stores != nil {
		x.stores = d.stores.ForRequest(deadline)
		if r.Mirrored {
			x.stores.RefuseWrites()
		}
		x.KeyValue = x.stores
	}
	if c := invocation.Of(r.Call); c != nil && c.Log != nil {
		x.Log = logTo(x.logs, c.Log)
	}
}

// measure adds the costs of the guest so far to the result.
func (x *exchange) measure(in *engine.Instance, res *accesslog.Result) {
	res.GuestTime += in.TakeGuestTime()
	res.Work += in.Work()
	res.PeakBytes += int64(len(in.Memory()))
	res.KVOperations += x.stores.Operations()
}

// alone reports whether the guest alone has used the request: it had no body, no calls to others and no handler behind it.
func (x *exchange) alone() bool {
	return x.body.Body == nil && x.Outbound == nil && x.Next == nil && x.Forward == nil && x.Complete == nil
}

// leave gives the connection back to the server while the guest goes on.
func (x *exchange) leave() {
	x.response.out.Finish()
	x.body.ahead.Stop()
	if x.body.Body != nil {
		x.body.Stop()
	}
}

// end drops all references to the request.
func (x *exchange) end() {
	x.body.ahead.Stop()
	if x.body.Body != nil {
		x.body.Stop()
	}
	x.request, x.response, x.body = nil, response{}, requestBody{}
	x.Header, x.Trailer, x.Outbound, x.Context, x.Next, x.Forward, x.Complete, x.PassedOn = nil, nil, nil, nil, nil, nil, nil, false
	x.KeyValue, x.stores = nil, nil
	x.Body, x.Response = &x.body, &x.response
	x.Log = x.logs
}

// interruptBody ends a read of the body that waits for the client, for a guest that has polled a
// body and ends before it has arrived. The server closes the connection after the response then.
func (x *exchange) interruptBody() {
	if x.body.Body != nil {
		x.body.Interrupt()
	}
}

// localAddr returns the address at which the request arrived.
func (x *exchange) localAddr() net.Addr {
	addr, _ := x.request.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return addr
}

// requestBody is the request body for the guest. It implements abi.Source.
type requestBody struct {
	*client.Body // nil if the request has none
	ahead        readahead.Reader
	told         bool // the guest has read to the end; reading ahead alone fails no guest
}

// Waits reports whether reads may wait for the client.
func (b *requestBody) Waits() bool { return b.Body != nil && b.Body.Waits() }

// Read implements abi.Source.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ahead.Read(p)
	b.told = b.told || err != nil
	return n, err
}

// Ready implements abi.Source.
func (b *requestBody) Ready() <-chan struct{} { return b.ahead.Ready() }

// ended returns how reading the body has ended for the guest.
func (b *requestBody) ended() client.End {
	if b.Body == nil || !b.told {
		return client.Open
	}
	return b.End()
}
