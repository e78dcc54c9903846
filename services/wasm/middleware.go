package wasm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/httpwasm"
	"github.com/vespo-dev/vespo/services"
)

// ValidateMiddleware implements services.MiddlewareKind.
func (k *Kind) ValidateMiddleware(s services.Spec) error {
	if err := k.Validate(s); err != nil {
		return err
	}
	speaks, err := k.inspect(s.Module)
	if err != nil {
		return asProblem(err)
	}
	if _, ok := speaks.(*httpwasm.ABI); !ok {
		return invalidModule([]string{fmt.Sprintf(
			"it speaks %s, and cannot pass a request on: middleware is a module of http-wasm, which exports handle_request", speaks.Name())}, nil)
	}
	return nil
}

// PrepareMiddleware implements services.MiddlewareKind.
func (k *Kind) PrepareMiddleware(ctx context.Context, s services.Spec) (services.Middleware, error) {
	if err := k.ValidateMiddleware(s); err != nil { // a catalogue is not validated when it is loaded
		return nil, err
	}
	d, err := k.Prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	return d.(*deployment), nil
}

// digestDigits is how much of a digest names a module in errors, as in listings.
const digestDigits = 12

// ModuleName names the module in the errors of a chain: the beginning of its digest.
func (d *deployment) ModuleName() string {
	hex := d.spec.Digest.Hex()
	return hex[:min(len(hex), digestDigits)]
}

// passTo lets the guest pass the request on. What is behind has a time and a record of its own.
func (x *exchange) passTo(next router.Handler, rec *accesslog.Record) {
	x.Next = func(behind *abi.Exchange) error {
		begin := time.Now()
		own := *rec
		own.Time, own.BodyWait, own.QueueWait, own.Start = begin, 0, 0, ""
		own.SnapshotBytes, own.DirtyBytes, own.PeakBytes, own.GuestTime = 0, 0, 0, 0
		body := &passedBody{from: behind.Body}
		r, err := x.passedRequest(behind, body, &own)
		if err != nil {
			return err
		}
		rc := http.NewResponseController(x.response.w)
		if r.ContentLength != 0 {
			_ = rc.SetReadDeadline(begin.Add(readGrace)) // until what is behind sets its own
		}
		x.response.pass()
		w := &passedWriter{to: behind.Response, control: rc, own: http.Header{}}
		err = router.Call(next, w, r, &own)
		body.end(rc)
		w.finish(err)
		x.response.resume(time.Since(begin))
		merge(rec, &own)
		return err
	}
}

// readGrace is how long a body may take that is read without a deadline of the reader's own.
const readGrace = 30 * time.Second

// merge adds what was learned behind the guest.
func merge(rec, behind *accesslog.Record) {
	rec.SnapshotBytes += behind.SnapshotBytes
	rec.DirtyBytes += behind.DirtyBytes
	rec.PeakBytes += behind.PeakBytes
	rec.GuestTime += behind.GuestTime
	if rec.Start != accesslog.StartCold && behind.Start != "" && behind.Start != accesslog.StartWarm {
		rec.Start = behind.Start
	}
}

// passedRequest is the request as the guest has changed it. What it makes of the target is held to the rules that the router has for it.
func (x *exchange) passedRequest(behind *abi.Exchange, body io.ReadCloser, rec *accesslog.Record) (*http.Request, error) {
	r := x.request.WithContext(x.request.Context())
	r.Method, r.Host, r.Header, r.ContentLength, r.Body = behind.Method, behind.Host, behind.Header, behind.ContentLength, body
	if r.ContentLength == 0 {
		r.Body = http.NoBody
	}
	if behind.Trailer != nil {
		r.Trailer = http.Header{} // filled at the end of the body, as net/http does; handlers share the map with their copies of the request
		for name := range x.request.Trailer {
			r.Trailer[name] = nil
		}
		r.Body = trailingBody{body, r.Trailer, behind.Trailer}
	}
	if behind.Method == http.MethodConnect {
		return nil, unusable("the method CONNECT", nil)
	}
	if behind.URI == x.request.URL.RequestURI() {
		return r, nil
	}
	u, err := url.ParseRequestURI(behind.URI)
	if err != nil || !strings.HasPrefix(behind.URI, "/") {
		return nil, unusable("a malformed URI", err)
	}
	if rec.Rest, err = router.Rest(rec.Prefix, u); err != nil {
		return nil, unusable("a URI that cannot be served", err)
	}
	r.URL, r.RequestURI = u, behind.URI
	return r, nil
}

func unusable(what string, cause error) error {
	return problem.New(problem.BadGateway, "a middleware passed the request on with "+what).WithCause(cause)
}

// passedBody is the body as what is behind the guest reads it, which may do so on another goroutine and for a moment after it has answered.
type passedBody struct {
	mu   sync.Mutex
	from io.Reader // guarded by mu; nil when the request is over
}

var errPassedBodyEnded = errors.New("the request is over")

// Read implements io.Reader.
func (b *passedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.from == nil {
		return 0, errPassedBodyEnded
	}
	return b.from.Read(p)
}

// Close implements io.Closer.
func (b *passedBody) Close() error { return nil }

// end lets nobody read any more. A read that waits for the client is ended.
func (b *passedBody) end(rc *http.ResponseController) {
	if !b.mu.TryLock() {
		_ = rc.SetReadDeadline(time.Now())
		b.mu.Lock()
	}
	b.from = nil
	b.mu.Unlock()
}

// trailingBody gives the request its trailers at the end of its body.
type trailingBody struct {
	io.ReadCloser
	into    http.Header
	trailer func() abi.Header
}

// Read implements io.Reader.
func (b trailingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		maps.Copy(b.into, b.trailer())
	}
	return n, err
}

// passedWriter is the http.ResponseWriter of the next handler. It cannot be unwrapped: nothing goes past the guest. The next handler has a
// header of its own: the fields that the guest has set are defaults, which httpfield.Merge replaces for all kinds of services alike.
type passedWriter struct {
	to        abi.Response
	control   *http.ResponseController
	own       http.Header // of the next handler
	announced []string    // names of trailers
	begun     bool
}

// Header implements http.ResponseWriter.
func (w *passedWriter) Header() http.Header { return w.own }

// WriteHeader implements http.ResponseWriter.
func (w *passedWriter) WriteHeader(code int) {
	if !w.begun && code < 200 {
		w.inform(code)
		return
	}
	w.begin()
	w.to.WriteHeader(code)
}

// inform sends an informational response, which has the fields of the next handler and no defaults.
func (w *passedWriter) inform(code int) {
	header := w.to.Header()
	defaults := maps.Clone(header)
	clear(header)
	maps.Copy(header, w.own)
	w.to.WriteHeader(code)
	clear(header)
	maps.Copy(header, defaults)
}

// begin puts the fields of the next handler into the header of the response.
func (w *passedWriter) begin() {
	if w.begun {
		return
	}
	w.begun = true
	for _, names := range w.own["Trailer"] {
		for name := range strings.SplitSeq(names, ",") {
			w.announced = append(w.announced, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	delete(w.own, "Trailer")
	fields := maps.Clone(w.own)
	maps.DeleteFunc(fields, func(name string, _ []string) bool { return strings.HasPrefix(name, http.TrailerPrefix) })
	httpfield.Merge(w.to.Header(), fields)
}

// Write implements http.ResponseWriter.
func (w *passedWriter) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.to.Write(p)
}

// FlushError is for http.ResponseController.
func (w *passedWriter) FlushError() error {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.to.Flush()
}

// Flush implements http.Flusher.
func (w *passedWriter) Flush() { _ = w.FlushError() }

// SetReadDeadline is for http.ResponseController.
func (w *passedWriter) SetReadDeadline(at time.Time) error { return w.control.SetReadDeadline(at) }

// SetWriteDeadline is for http.ResponseController.
func (w *passedWriter) SetWriteDeadline(at time.Time) error { return w.control.SetWriteDeadline(at) }

// EnableFullDuplex is for http.ResponseController.
func (w *passedWriter) EnableFullDuplex() error { return w.control.EnableFullDuplex() }

// finish completes the response of a handler that has returned err. Trailers, which net/http has in the header, are handed on.
func (w *passedWriter) finish(err error) {
	if err == nil {
		w.begin() // an empty answer
	}
	trailer := abi.Header{}
	for _, name := range w.announced {
		if values, ok := w.own[name]; ok {
			trailer[name] = values
		}
	}
	for key, values := range w.own {
		if name, ok := strings.CutPrefix(key, http.TrailerPrefix); ok {
			trailer[http.CanonicalHeaderKey(name)] = values
		}
	}
	for name, values := range trailer {
		w.to.SetTrailer(name, values)
	}
}
