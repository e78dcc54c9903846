package lambda

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/audit"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/identity"
	"github.com/vespo-dev/vespo/services/control/lambda/sigv4"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/events"
	"github.com/vespo-dev/vespo/services/internal/access"
	"github.com/vespo-dev/vespo/services/internal/arn"
	"github.com/vespo-dev/vespo/services/internal/budget"
)

// Catalogue lists and changes the services. *deploy.Deployer implements it.
type Catalogue interface {
	Ready() bool
	List() []deploy.Entry
	Inspect(routekey.Key) (deploy.Entry, error)
	Away(routekey.Key) bool // reports whether other hosts alone serve the service
	Validate(services.Spec) error
	Record(name string) registry.Record
	Transact(context.Context, []routekey.Key, func(*registry.State) (deploy.Changes, error)) ([]deploy.Result, error)
}

// Dispatcher serves a request with the service at prefix. *router.Router implements it.
type Dispatcher interface {
	Dispatch(prefix routekey.Prefix, w http.ResponseWriter, r *http.Request, call any) error
}

// Config configures a Handler. Zero fields take their defaults.
type Config struct {
	Catalogue  Catalogue         // required
	Dispatcher Dispatcher        // required
	Keys       map[string]string // secrets by access key id; empty: only this machine may invoke
	Kinds      Kinds             // required, unless no service is a function

	// Manage allows callers to add, change and remove functions as well.
	Manage  bool
	Timeout time.Duration // of functions without one; default 10 s
	URL     func() string // of the public listener; default: unknown

	HeldBytes int64           // payloads and outputs in memory at a time; default 256 MiB
	Parallel  int             // events processed at a time; default 8
	Retries   []time.Duration // delays before each retry of a failed event; default 1 s and 2 s
	// Events keeps accepted events. It must be open until Run has returned. Required.
	Events events.Store
	Shared bool        // other hosts run the events, too, and may have other services for a moment
	Paused func() bool // reports whether Run leaves events to other hosts; default: never
	// DeadLetters receives a line of JSON for each event that is given up. A line must be durable when Write has
	// returned. Default: discard.
	DeadLetters io.Writer
	Log         *slog.Logger // default: discard
}

func (c Config) withDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.URL == nil {
		c.URL = func() string { return "" }
	}
	if c.HeldBytes == 0 {
		c.HeldBytes = 256 << 20
	}
	if c.Paused == nil {
		c.Paused = func() bool { return false }
	}
	if c.Parallel == 0 {
		c.Parallel = 8
	}
	if c.Retries == nil {
		c.Retries = []time.Duration{time.Second, 2 * time.Second}
	}
	if c.DeadLetters == nil {
		c.DeadLetters = io.Discard
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Handler serves the Invoke API. Create it with New. It is safe for concurrent use.
type Handler struct {
	cfg      Config          // immutable
	verifier *sigv4.Verifier // immutable; nil without keys
	guard    *access.Guard   // immutable
	mux      *http.ServeMux  // immutable
	budget   *budget.Budget  // immutable; for payloads and outputs
	backlog  *backlog        // immutable
	book     *book           // immutable
	running  *running        // immutable
}

// New returns a handler. It starts no goroutine: see Run.
func New(cfg Config) *Handler {
	cfg = cfg.withDefaults()
	h := &Handler{
		cfg:     cfg,
		mux:     http.NewServeMux(),
		budget:  budget.New(cfg.HeldBytes),
		book:    newBook(cfg.Catalogue.Record),
		running: &running{},
	}
	h.backlog = newBacklog(&h.cfg, h.carryOut)
	h.guard = access.New(access.Surface{
		Name:       "the Lambda API",
		ListenFlag: "--lambda-listen",
		Example:    "127.0.0.1:9000",
		TokenFlag:  "--lambda-key",
	}, "")
	if len(cfg.Keys) > 0 {
		h.verifier = &sigv4.Verifier{Service: "lambda", Secrets: cfg.Keys}
	}
	h.routes()
	return h
}

// request is an API request. Its body is empty until serve has read it.
type request struct {
	*http.Request
	id   string
	body []byte
}

// endpoint answers a request. The caller answers with the returned error.
type endpoint func(w http.ResponseWriter, r *request) error

// operation describes how one kind of request is handled.
type operation struct {
	serve      endpoint
	limitBytes int64                  // of the body
	early      func(r *request) error // checked before the body is read; may be nil
}

func (h *Handler) routes() {
	missing := func(r *request) error {
		return fail(http.StatusNotFound, "UnknownOperationException", "%s %.200s is no operation that this server knows", r.Method, r.URL.Path)
	}
	unknown := operation{serve: func(_ http.ResponseWriter, r *request) error { return missing(r) }, limitBytes: maxSettingsBytes, early: missing}
	invoking := func(e endpoint) operation {
		return operation{serve: e, limitBytes: invocation.MaxPayloadBytes, early: func(r *request) error { _, err := h.find(r); return err }}
	}
	for pattern, o := range map[string]operation{
		"POST /2015-03-31/functions/{function}/invocations":                    invoking(h.invoke),
		"POST /2021-11-15/functions/{function}/response-streaming-invocations": invoking(h.invokeStreaming),
		"POST /2014-11-13/functions/{function}/invoke-async":                   invoking(h.invokeAsync),
		"POST /2014-11-13/functions/{function}/invoke-async/":                  invoking(h.invokeAsync),
		"/": unknown,
	} {
		h.handle(pattern, o)
	}
	h.managementRoutes()
}

func (h *Handler) handle(pattern string, o operation) {
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, o) })
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// serve handles a request. It rejects as much as it can before the body, then reads the
// body, verifies the signature and calls o. It answers the request if any of these fails.
func (h *Handler) serve(w http.ResponseWriter, in *http.Request, o operation) {
	r := &request{Request: in, id: invocation.NewID()}
	w.Header().Set("X-Amzn-Requestid", r.id)
	err := h.precheck(r, o)
	unread := err != nil // the context says nothing then: net/http cancels it when a read of the body fails
	if err == nil {
		account := h.budget.For(h.accountOf(r))
		body := client.NewBody(w, in, client.Terms{Pace: client.Collected()})
		var held int64
		r.body, held, err = account.ReadAll(body, o.limitBytes)
		defer func() { account.Give(held) }()
		body.Stop()
		if unread = body.End() == client.Stalled; unread {
			err = fail(http.StatusRequestTimeout, "RequestTimeout", "the request's body did not arrive in time")
			giveUp(w, in)
		}
		if err == nil {
			if err = h.verify(r); err == nil {
				err = o.serve(w, r)
			}
		}
	} else if r.ContentLength != 0 && r.Header.Get("Expect") == "" {
		drop(w, in)
	}
	switch {
	case err == nil:
		return
	case !unread && r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // the client is gone; a return would answer 200
	case errors.Is(err, budget.ErrTooLong):
		err = tooLarge(o.limitBytes)
	case errors.Is(err, budget.ErrExhausted):
		err = busy("ConcurrentInvocationLimitExceeded", "the server holds too much for other invocations; try again later")
	}
	f := failureOf(err)
	if f.status >= http.StatusInternalServerError {
		h.cfg.Log.Log(r.Context(), f.level(), "a request of the Lambda API failed", slog.String("request_id", r.id), slog.Any("error", err), slog.Any("cause", f.cause))
	}
	f.answer(w)
}

// drop discards the body of a rejected request, for a moment.
func drop(w http.ResponseWriter, r *http.Request) {
	terms := client.SoonDone()
	terms.Bytes = maxCodeBytes
	if client.Drain(w, r, r.Body, terms) != client.Complete {
		giveUp(w, r)
	}
}

// giveUp lets the connection end with the response, because the client is too slow to send the rest of the body.
func giveUp(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 { // in HTTP/2 the field would end the other streams' connection
		w.Header().Set("Connection", "close")
	}
}

// precheck rejects requests without reading the body, so that no memory is held for them.
// Whether a function exists is revealed only to a caller whose signature was verified.
func (h *Handler) precheck(r *request, o operation) (err error) {
	known := true
	if h.verifier != nil {
		known, err = h.verifier.Check(r.Request, time.Now())
	} else {
		err = h.guard.CheckChange(r.Request)
	}
	switch {
	case err != nil:
		return err
	case r.ContentLength > o.limitBytes:
		return tooLarge(o.limitBytes)
	case o.early != nil && (known || r.ContentLength == 0 && h.verify(r) == nil):
		return o.early(r)
	}
	return nil
}

// verify checks the signature including the body.
func (h *Handler) verify(r *request) error {
	key := ""
	if h.verifier != nil { // the guard does not need the body
		var err error
		if key, err = h.verifier.Verify(r.Request, r.body, time.Now()); err != nil {
			return err
		}
	}
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	ctx, _ := identity.With(r.Context(), identity.Lambda(key)) // it does not end
	r.Request = r.WithContext(audit.WithSource(ctx, audit.Source{Request: r.id, From: from}))
	return nil
}

// accountOf returns the budget account of a request: the function
// it names, whether that exists or not, or "" for management.
func (h *Handler) accountOf(r *request) string {
	if ref, err := arn.Parse(r.PathValue("function")); err == nil {
		return ref.Name
	}
	return ""
}

// Run carries out events until ctx ends, and waits for the attempts in progress. Other events remain in the store.
func (h *Handler) Run(ctx context.Context) { h.backlog.run(ctx) }

// EndAttempts lets the attempts in progress go on for a time, and then cuts them off. They are made again later. It must be
// called after the end of the context of Run.
func (h *Handler) EndAttempts(ctx context.Context, after time.Duration) { h.backlog.end(ctx, after) }
