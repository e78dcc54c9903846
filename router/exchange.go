package router

import (
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/router/problem"
)

// RequestIDHeader is the answer's header with the request id.
const RequestIDHeader = "X-Request-Id"

// leftoverTimeout bounds the reading of a body that nobody wanted.
const leftoverTimeout = 2 * time.Second

// exchange is all that the router keeps of one request. It is made for each request and left to the collector, because a
// handler's stray goroutine that still reads the body or writes must not meet another request there.
type exchange struct {
	only    Prefix        // the one prefix that may answer; empty: any
	request *http.Request // the server's, or one like it with body
	writer  responseWriter
	body    countingBody
	record  accesslog.Record
	found   found
	before  http.Header // a copy of the headers that were set before the router, nil if there were none
	taken   taken       // of the capacity
	abort   bool        // the connection has to be closed
	ended   time.Time   // when the service's handler has returned; zero if none was called
}

func newExchange(w http.ResponseWriter, r *http.Request, client forwarded.Client) *exchange {
	x := &exchange{request: r}
	x.writer.owner = x
	// Field by field: a composite literal would be made elsewhere and copied, and this is a kilobyte.
	rec := &x.record
	rec.Time, rec.Client, rec.RequestID = time.Now(), client, client.ID
	if rec.RequestID == "" {
		rec.RequestID = newRequestID()
	}
	rec.Method, rec.Host, rec.URI, rec.Proto = r.Method, client.Host, r.RequestURI, r.Proto
	rec.Remote, rec.UserAgent = client.Remote, r.UserAgent()
	wr := &x.writer
	wr.inner, wr.requestID[0] = w, rec.RequestID
	wr.head, wr.http1 = r.Method == http.MethodHead, r.ProtoMajor == 1
	if h := w.Header(); len(h) > 0 {
		x.before = h.Clone()
	}
	if r.Body != nil && r.Body != http.NoBody {
		x.body.ReadCloser = r.Body
		x.request = withBody(r, &x.body)
		if trailer := x.request.Trailer; trailer != nil {
			dropTrailers(trailer) // those that were announced
			x.body.ReadCloser = trailerBody{r.Body, trailer}
		}
		x.writer.body = &x.body
	}
	return x
}

// withBody gives a request like r with another body. r stays as it is, because the HTTP server looks at the type of its body
// to decide whether a client that waits for "100 Continue" must be heard out before it is answered.
func withBody(r *http.Request, body io.ReadCloser) *http.Request {
	if r.Trailer == nil && r.ContentLength < 0 {
		r.Trailer = http.Header{} // the server puts trailers that were not announced into the map that both share
	}
	counted := *r
	counted.Body = body
	return &counted
}

// call runs the handler and turns a panic into an error.
func (x *exchange) call(h Handler) error { return Call(h, &x.writer, x.request, &x.record) }

// Call is h.Serve with a panic turned into an error: a *PanicError.
func Call(h Handler, w http.ResponseWriter, r *http.Request, rec *accesslog.Record) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, stack: debug.Stack()}
		}
	}()
	return h.Serve(w, r, rec)
}

// conclude answers what is still to be answered, or decides to abort the connection, and completes the record.
func (x *exchange) conclude(err error) {
	rec, w := &x.record, &x.writer
	if err != nil {
		x.fail(err)
	}
	if rec.Outcome == "" {
		rec.Outcome = accesslog.OutcomeOK
	}
	if !x.abort && !w.hijacked {
		w.commit() // a handler that wrote nothing means an empty 200, as everywhere with net/http
	}
	filterUnannounced(w.Header())
	if !w.hijacked { // else the handler alone knows what went over the connection
		rec.Status, rec.BytesOut, rec.TTFB = w.status, w.bytes, w.ttfb
		rec.BytesIn = x.body.bytes.Load()
	}
	if err == nil && !x.ended.IsZero() { // nothing is written since
		rec.TTLB = x.ended.Sub(rec.Time)
		return
	}
	rec.TTLB = time.Since(rec.Time)
}

// fail deals with the error of a handler.
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
	case clientGone(x.request, err):
		x.abort, outcome = true, accesslog.OutcomeClientGone
	case x.writer.status != 0 || x.writer.hijacked:
		x.abort = true
	default:
		x.restoreHeader()
		problem.Write(&x.writer, rec.RequestID, p)
	}
	if rec.Outcome == "" {
		rec.Outcome = outcome
	}
}

// restoreHeader drops what a handler has set for the answer that it could not give.
func (x *exchange) restoreHeader() {
	h := x.writer.Header()
	clear(h)
	maps.Copy(h, x.before)
}

// newRequestID gives 16 hexadecimal digits. They tell requests apart and are no secret.
func newRequestID() string {
	const digits = "0123456789abcdef"
	var id [16]byte
	for i, n := 0, rand.Uint64(); i < len(id); i, n = i+1, n>>4 {
		id[i] = digits[n&15]
	}
	return string(id[:])
}

// dropLeftover reads what the client still sends of a body that nobody has read, for a moment: closing the connection at once would
// reset it, and the answer might be lost with it. Nothing of the server's is held meanwhile but the connection.
func (x *exchange) dropLeftover() {
	if x.abort || x.writer.hijacked || !x.writer.leavesBody() {
		return
	}
	rc := http.NewResponseController(x.writer.inner)
	if rc.Flush() == nil && rc.SetReadDeadline(time.Now().Add(leftoverTimeout)) == nil {
		_, _ = io.Copy(io.Discard, x.body.ReadCloser) // Close alone stops after 256 KiB, and what is left resets the connection
		_ = x.body.Close()
	}
}
