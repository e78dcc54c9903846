package wasm

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/egress/outbound"
	"github.com/vespo-dev/vespo/services/schema"
)

// ValidateMiddleware implements services.MiddlewareKind.
func (k *Kind) ValidateMiddleware(s services.Spec) error {
	s, err := asModule(s)
	if err != nil {
		return err
	}
	return k.validateMiddleware(s)
}

// validateMiddleware validates the spec of a middleware as a module.
func (k *Kind) validateMiddleware(s services.Spec) error {
	if err := validate(k, s, k.servers, false); err != nil { // the modules of a chain share their settings
		return err
	}
	module, speaks, err := detect(k, moduleOf(s), k.servers)
	if err != nil {
		return asProblem(err)
	}
	t := speaks.Traits()
	if !t.Forwards {
		return invalidModule([]problem.Violation{problem.Violate(schema.FieldModule,
			"speaks %s, and cannot pass a request on: middleware is a module of %s", t.Name, forwarders(k.servers))}, nil)
	}
	if t.ForwardsBy != "" && module != nil && !abi.Imports(module.Info(), t.ForwardsBy) {
		return invalidModule([]problem.Violation{problem.Violate(schema.FieldModule,
			"does not import %s, and cannot pass a request on without it", t.ForwardsBy)}, nil)
	}
	return nil
}

// asModule returns the spec of a middleware as that of a module: the middleware has the memory, the timeout, the work
// limit and the isolation of the service behind it, and settings of its own.
func asModule(s services.Spec) (services.Spec, error) {
	type sharing struct {
		Memory    int64           `json:"memory"`
		Timeout   schema.Period   `json:"timeout"`
		WorkLimit int64           `json:"work_limit"`
		Isolation string          `json:"isolation"`
		UseConfig schema.Settings `json:"use_config"`
	}
	shared := schema.Pick(s.Manifest, fieldMemory, schema.FieldTimeout, fieldWorkLimit, fieldIsolation, schema.FieldUseConfig)
	behind, err := schema.Decode[sharing](shared)
	if err != nil {
		return s, invalidModule([]problem.Violation{{Text: err.Error()}}, nil)
	}
	s.Manifest = Document{
		Memory:    behind.Memory,
		Timeout:   behind.Timeout,
		WorkLimit: behind.WorkLimit,
		Isolation: behind.Isolation,
		Config:    behind.UseConfig,
	}.Encode()
	return s, nil
}

// PrepareMiddleware implements services.MiddlewareKind.
func (k *Kind) PrepareMiddleware(ctx context.Context, s services.Spec) (services.Middleware, error) {
	s, err := asModule(s)
	if err == nil {
		err = k.validateMiddleware(s) // modules from a catalogue were not validated at load
	}
	if err != nil {
		return nil, err
	}
	d, err := k.prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// digestDigits is the number of digest digits that name a module in errors and listings.
const digestDigits = 12

// ModuleName returns the name of the module in the errors of a chain: the first digits of its digest.
func (d *deployment) ModuleName() string {
	hex := d.digest.Hex()
	return hex[:min(len(hex), digestDigits)]
}

// passTo lets the guest pass the request on to next. The handler behind has its own time and result.
func (x *exchange) passTo(next router.Handler, res *accesslog.Result) {
	x.Next = func(behind *abi.Exchange) error {
		begin := time.Now()
		body := &passedBody{from: behind.Body}
		r, err := x.passedRequest(behind, body, begin)
		if err != nil {
			res.Outcome = accesslog.OutcomeBadAnswer
			return err
		}
		x.lend()
		w := &passedWriter{to: behind.Response, Controls: client.ControlsOf(x.response.out.Unwrap()), own: http.Header{}}
		var own accesslog.Result
		err = router.Call(next, w, r, &own)
		body.end(x.body.Body)
		if errors.Is(err, context.Canceled) && x.body.ended() == client.Stalled { // net/http cancels the context when a read of the body fails
			err = x.body.Failure()
		}
		w.finish(err)
		x.reclaim(time.Since(begin))
		merge(res, &own)
		return err
	}
}

// forwardTo lets the guest make calls to next while it runs. The time of the handler behind counts for the guest, too.
func (x *exchange) forwardTo(next router.Handler, res *accesslog.Result) {
	origin := outbound.Origin{RequestID: x.RequestID, Header: x.Header}
	x.Forward = outbound.Forward(x.Deadline, origin, func(w http.ResponseWriter, r *http.Request) error {
		behind := abi.Exchange{Method: r.Method, Header: r.Header, ContentLength: r.ContentLength, Host: r.Host, URI: r.RequestURI}
		if r.Trailer != nil {
			behind.Trailer = func() abi.Header { return r.Trailer }
		}
		passed, err := x.passedRequest(&behind, r.Body, time.Now())
		if err != nil {
			return err
		}
		var own accesslog.Result
		err = router.Call(next, w, passed.With(passed.WithContext(r.Context())), &own)
		merge(res, &own) // the guest waits for the end of its calls before it ends
		return err
	})
}

// lend lets the handler behind the guest bound its own time with the client. Only the pace of the body still counts.
func (x *exchange) lend() {
	x.response.out.Lend()
	if x.body.Body != nil {
		x.body.SetUntil(time.Time{})
	}
}

// reclaim ends lend, after the time took.
func (x *exchange) reclaim(took time.Duration) {
	x.response.out.Reclaim(took)
	if x.body.Body != nil {
		x.body.SetUntil(x.Deadline.Add(took))
	}
}

// merge adds the costs of the handler behind the guest to res.
func merge(res, behind *accesslog.Result) {
	res.ColdTime += behind.ColdTime
	res.SnapshotBytes += behind.SnapshotBytes
	res.DirtyBytes += behind.DirtyBytes
	res.PeakBytes += behind.PeakBytes
	res.GuestTime += behind.GuestTime
	res.Work += behind.Work
	res.ResidentBytes += behind.ResidentBytes
	res.KVOperations += behind.KVOperations
	if res.Start != accesslog.StartCold && behind.Start != "" && behind.Start != accesslog.StartWarm {
		res.Start = behind.Start
	}
}

// passedRequest returns the request as changed by the guest. The changed target must
// obey the rules of the router.
func (x *exchange) passedRequest(behind *abi.Exchange, body io.ReadCloser, begin time.Time) (*router.Request, error) {
	r := x.request.With(x.request.WithContext(x.request.Context()))
	r.Admitted = begin
	r.Method, r.Host, r.Header, r.ContentLength, r.Body = behind.Method, behind.Host, behind.Header, behind.ContentLength, body
	if r.ContentLength == 0 {
		r.Body = http.NoBody
	}
	if behind.Trailer != nil {
		r.Trailer = http.Header{} // filled at the end of the body, as net/http does; handlers that copy the request share the map
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
	if r.Rest, err = router.Rest(r.Prefix, u); err != nil {
		return nil, unusable("a URI that cannot be served", err)
	}
	r.URL, r.RequestURI = u, behind.URI
	return r, nil
}

func unusable(what string, cause error) error {
	return problem.New(problem.BadGateway, "a middleware passed the request on with "+what).WithCause(cause)
}

// passedBody is the body for the handler behind the guest. The handler may read it on
// another goroutine, and for a moment after it has returned.
type passedBody struct {
	mu   sync.Mutex
	from io.Reader // guarded by mu; nil after the end of the request
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

// end makes further reads fail. It interrupts a read that waits for the client.
func (b *passedBody) end(of *client.Body) {
	if !b.mu.TryLock() {
		if of != nil {
			of.Interrupt()
		}
		b.mu.Lock()
	}
	b.from = nil
	b.mu.Unlock()
}

// trailingBody fills in the trailers of the request at the end of its body.
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

// passedWriter is the http.ResponseWriter of the next handler. It has no Unwrap, so
// nothing bypasses the guest. The next handler has its own header. Fields set by the guest
// are defaults, which httpfield.Merge replaces in the same way for all kinds of services.
type passedWriter struct {
	to abi.Response
	client.Controls
	own       http.Header // header of the next handler
	announced []string    // announced trailer names
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

// inform sends an informational response with the fields of the next handler and no defaults.
func (w *passedWriter) inform(code int) {
	header := w.to.Header()
	defaults := maps.Clone(header)
	clear(header)
	maps.Copy(header, w.own)
	w.to.WriteHeader(code)
	clear(header)
	maps.Copy(header, defaults)
}

// begin merges the fields of the next handler into the response header.
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

// finish completes the response of a handler that has returned err. It passes on the
// trailers, which net/http keeps in the header.
func (w *passedWriter) finish(err error) {
	if err == nil {
		w.begin() // an empty response
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
