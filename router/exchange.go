package router

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// RequestIDHeader is the field with the request id, in the response and in the request that services see.
const RequestIDHeader = "X-Request-Id"

// exchange is the router's state of one request. It serves another request only after Request.Spent: a
// stray goroutine of a handler may still read the body or write, and must not reach another request.
type exchange struct {
	only    routekey.Prefix // the only prefix that may answer; empty: any
	own     *Own            // the only service that may answer; nil: any with the prefix
	request Request         // of the server, or a copy with body as its Body
	writer  responseWriter
	body    countingBody
	record  accesslog.Record
	id      [1]string // the value of the request's field, kept here to save an allocation
	found   found
	before  http.Header // copy of the headers set before the router; nil if there were none
	named   *Route      // of the record; nil if the path has none
	route   *Route      // that served it; nil if none did
	copied  *Copy       // for the mirror; nil unless the request is mirrored
	offer   func(*Copy) // takes copied over
	taken   taken       // admitted capacity
	counted bool        // checkRate has admitted the request
	kept    bool        // Request.Keep was called: capacity and route are released by its caller
	spent   bool        // Request.Spent was called
	abort   bool        // the connection must be closed
	ended   time.Time   // return of the service's handler; zero if none was called
}

func newExchange(w http.ResponseWriter, r *http.Request, client forwarded.Client) *exchange {
	x := &exchange{}
	x.begin(w, r, client)
	return x
}

// begin prepares an unused exchange for a request.
func (x *exchange) begin(w http.ResponseWriter, r *http.Request, client forwarded.Client) {
	x.writer.owner = x
	// Set field by field: request and record are half a kilobyte, and a composite literal would be
	// built elsewhere and copied.
	req, rec := &x.request, &x.record
	req.exchange = x
	req.Request, req.Client, req.ID, req.Arrived = r, client, client.ID, time.Now()
	if req.ID == "" {
		req.ID = newRequestID()
	}
	req.TraceID = forwarded.TraceID(r.Header)
	rec.Time, rec.RequestID, rec.TraceID = req.Arrived, req.ID, req.TraceID
	rec.Method, rec.Host, rec.URI, rec.Proto = r.Method, client.Host, r.RequestURI, r.Proto
	rec.Remote, rec.Peer, rec.UserAgent = client.Remote, client.Peer, r.UserAgent()
	wr := &x.writer
	wr.inner, wr.requestID[0] = w, req.ID
	wr.head, wr.http1 = r.Method == http.MethodHead, r.ProtoMajor == 1
	if h := w.Header(); len(h) > 0 {
		x.before = h.Clone()
	}
	if r.Body != nil && r.Body != http.NoBody {
		x.body.ReadCloser = r.Body
		req.Request = withBody(r, &x.body)
		if trailer := req.Trailer; trailer != nil {
			dropTrailers(trailer) // removes announced ones that are not allowed
			x.body.ReadCloser = trailerBody{r.Body, trailer}
		}
		x.writer.body = &x.body
	}
}

// take returns an exchange for a request of a client.
func (rt *Router) take(w http.ResponseWriter, r *http.Request) *exchange {
	x, ok := rt.spent.Get().(*exchange)
	if !ok {
		x = &exchange{}
	}
	x.begin(w, r, rt.trust.Client(r))
	return x
}

// give takes an exchange back, unless a goroutine may use it. The server may do the same with its part of the request.
func (rt *Router) give(x *exchange, w http.ResponseWriter) {
	if !x.spent || x.kept || x.copied != nil || x.request.Span != nil || x.writer.report != nil || x.writer.tunnel != nil {
		return
	}
	if server, ok := w.(interface{ Spent() }); ok { // of package lane
		server.Spent()
	}
	*x = exchange{}
	rt.spent.Put(x)
}

// withBody returns a shallow copy of r with another body. r itself stays unchanged: net/http looks at the
// type of its body to decide whether it must read the body of a client that waits for "100 Continue".
func withBody(r *http.Request, body io.ReadCloser) *http.Request {
	if r.Trailer == nil && r.ContentLength < 0 {
		r.Trailer = http.Header{} // the server adds unannounced trailers to this map, which both requests share
	}
	counted := *r
	counted.Body = body
	return &counted
}

// identify sets the fields of the header that identify the request for its service, and those of Own. A malformed traceparent, and the
// state that belongs to it, is removed.
func (x *exchange) identify() {
	h := x.request.Header
	x.id[0] = x.request.ID
	h[RequestIDHeader] = x.id[:]
	if x.own != nil {
		maps.Copy(h, x.own.Header)
	}
	if x.request.TraceID == "" && h[forwarded.TraceParent] != nil {
		delete(h, forwarded.TraceParent)
		delete(h, forwarded.TraceState)
	}
}

// call runs the handler and turns a panic into an error.
func (x *exchange) call(h Handler) error { return Call(h, &x.writer, &x.request, &x.record.Result) }

// Call calls h.Serve and returns a panic as a *PanicError.
func Call(h Handler, w http.ResponseWriter, r *Request, res *accesslog.Result) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, stack: debug.Stack()}
		}
	}()
	return h.Serve(w, r, res)
}

// conclude answers a request that has no response yet, or decides to abort the
// connection, and completes the record.
func (x *exchange) conclude(err error) {
	rec, w := &x.record, &x.writer
	if err != nil {
		x.fail(err)
	}
	if rec.Outcome == "" {
		rec.Outcome = accesslog.OutcomeOK
	}
	if !x.abort && w.tunnel == nil && (err == nil || x.only == "") {
		w.commit() // a handler that wrote nothing means an empty 200, as in net/http
	}
	if err == nil && w.fallsShort() {
		x.abort, rec.Outcome = true, accesslog.OutcomeAborted
	}
	filterUnannounced(w.Header())
	rec.QueueWait += rec.Wait
	if rec.BytesOut, rec.TTFB = w.bytes, w.ttfb; w.status != 0 {
		rec.Status = w.status
	}
	rec.BytesIn = x.body.bytes.Load()
	if t := w.tunnel; t != nil {
		rec.BytesIn, rec.BytesOut = t.received.Load(), t.sent.Load()
	}
	if err == nil && !x.ended.IsZero() { // nothing was written since the handler returned
		rec.TTLB = x.ended.Sub(rec.Time)
		return
	}
	rec.TTLB = time.Since(rec.Time)
}

// count counts a concluded request for its route, and completes the record.
func (x *exchange) count() {
	if x.route != nil {
		broken := x.abort && x.record.Outcome != accesslog.OutcomeClientGone
		x.record.Failed = broken || x.record.Status >= http.StatusInternalServerError || x.writer.rescued()
		x.route.count(x.record.Failed)
	}
}

// fail handles the error of a request: it answers a client with a problem, or marks the connection to be aborted.
func (x *exchange) fail(err error) {
	rec := &x.record
	if rec.Err == nil {
		rec.Err = err
	}
	p := problem.From(err)
	outcome := outcomeOf(p)
	switch {
	case errors.Is(err, http.ErrAbortHandler):
		x.abort, outcome = true, accesslog.OutcomeAborted
	case clientGone(x.request.Context(), err):
		x.abort, outcome = true, accesslog.OutcomeClientGone
	case x.writer.rescued(): // the client has a whole answer
	case x.writer.status != 0:
		x.abort = true
	case x.only != "": // the caller tells the error in its own way
		x.restoreHeader()
		rec.Status = p.Status
		x.writer.Header()[RequestIDHeader] = x.writer.requestID[:]
	default:
		x.restoreHeader()
		problem.Respond(&x.writer, x.request.Request, rec.RequestID, p)
	}
	if rec.Outcome == "" {
		rec.Outcome = outcome
	}
}

// restoreHeader drops the headers that a failed handler has set.
func (x *exchange) restoreHeader() {
	h := x.writer.Header()
	clear(h)
	maps.Copy(h, x.before)
}

// newRequestID returns 16 random hexadecimal digits, not all 0: a span id of W3C Trace Context. It is not a secret.
func newRequestID() string {
	const digits = "0123456789abcdef"
	var id [16]byte
	for i, n := 0, cmp.Or(rand.Uint64(), 1); i < len(id); i, n = i+1, n>>4 {
		id[i] = digits[n&15]
	}
	return string(id[:])
}

// leavesStream reports whether an HTTP/2 stream may have the rest of a body of known length. net/http
// would reset it, and some clients take a reset for an error even if they have the whole response.
func (x *exchange) leavesStream() bool {
	return !x.writer.http1 && x.request.ContentLength > 0 && x.writer.body != nil && !x.body.ended.Load() && x.body.bytes.Load() < x.request.ContentLength
}

// dropLeftover drains an unread body for at most client.Leftover. Closing the connection at once would
// reset it, and the client could lose the response. The request holds only its connection by then.
func (x *exchange) dropLeftover() {
	if x.abort || x.writer.tunnel != nil || !x.writer.leavesBody() && !x.leavesStream() {
		return
	}
	if client.ConnOf(x.writer.inner).Flush() == nil {
		client.Drain(x.writer.inner, x.request.Request, x.body.ReadCloser, client.SoonDone()) // Close reads at most 256 KiB, and unread data resets the connection
		_ = x.body.Close()
	}
}
