package lambda

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/deploy"
	"github.com/vespo-dev/vespo/services/function"
	"github.com/vespo-dev/vespo/services/internal/access"
	"github.com/vespo-dev/vespo/services/internal/arn"
	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/invocation"
	"github.com/vespo-dev/vespo/services/lambda/sigv4"
)

// Catalogue knows the services, and changes them: *deploy.Deployer.
type Catalogue interface {
	Ready() bool
	List() []deploy.Entry
	Inspect(registry.Prefix) (deploy.Entry, error)
	Validate(services.Spec) error
	Add(context.Context, services.Spec) (deploy.Result, error)
	Remove(context.Context, registry.Prefix) error
}

// Dispatcher serves a request by the service with this prefix alone: *router.Router.
type Dispatcher interface {
	ServeService(prefix router.Prefix, w http.ResponseWriter, r *http.Request)
}

// Config is what a Handler is made of. A zero field takes its default.
type Config struct {
	Catalogue  Catalogue         // required
	Dispatcher Dispatcher        // required
	Keys       map[string]string // secrets by access key id; none: only this machine invokes
	Functions  []string          // kinds of services that take events as they are; default those of package function

	// Manage lets those who may invoke also add, change and remove functions.
	Manage bool
	// Blob reads what a version of a service is made of; needed to manage.
	Blob func(ctx context.Context, digest registry.Digest) ([]byte, error)
	// Directory is where the handler keeps what the catalogue has no place for, and the programs of functions; needed to manage.
	Directory string
	Timeout   time.Duration // of a function that asks for none; default 10 s
	URL       func() string // of the public listener; default: not known

	HeldBytes   int64           // payloads and outputs that are held at a time; default 256 MiB
	Events      int             // queued at a time; default 1000
	EventBytes  int64           // of their payloads together; default 64 MiB
	Parallel    int             // events carried out at a time; default 8
	Retries     []time.Duration // pauses before a failed event is tried again; default 1 s and 2 s
	DeadLetters io.Writer       // takes one line of JSON for each event that has failed; default: nowhere
	Log         *slog.Logger    // default: discard
}

func (c Config) withDefaults() Config {
	if c.Functions == nil {
		c.Functions = []string{function.KindName}
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.URL == nil {
		c.URL = func() string { return "" }
	}
	if c.HeldBytes == 0 {
		c.HeldBytes = 256 << 20
	}
	if c.Events == 0 {
		c.Events = 1000
	}
	if c.EventBytes == 0 {
		c.EventBytes = 64 << 20
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

// Handler answers the Invoke API. Make it with New. It is safe for concurrent use.
type Handler struct {
	cfg      Config          // immutable
	verifier *sigv4.Verifier // immutable; nil where there are no keys
	guard    *access.Guard   // immutable
	mux      *http.ServeMux  // immutable
	budget   *budget.Budget  // immutable; for payloads and outputs
	events   *events         // immutable
	book     *book           // immutable
	running  *running        // immutable
	packages *packages       // immutable
}

// New makes a handler. It starts no goroutine: see Run. The error is about what the Directory holds.
func New(cfg Config) (*Handler, error) {
	cfg = cfg.withDefaults()
	if cfg.Directory != "" {
		var err error
		if cfg.Directory, err = filepath.Abs(cfg.Directory); err != nil {
			return nil, fmt.Errorf("find the directory of the Lambda API: %w", err)
		}
	}
	book, err := openBook(cfg.Directory)
	if err != nil {
		return nil, err
	}
	h := &Handler{cfg: cfg, mux: http.NewServeMux(), budget: budget.New(cfg.HeldBytes), events: newEvents(&cfg), book: book, running: &running{}, packages: &packages{}}
	h.guard = access.New(access.Surface{
		Name: "the Lambda API", ListenFlag: "--lambda-listen", Example: "127.0.0.1:9000", TokenFlag: "--lambda-key",
	}, "")
	if len(cfg.Keys) > 0 {
		h.verifier = &sigv4.Verifier{Service: "lambda", Secrets: cfg.Keys}
	}
	h.routes()
	return h, nil
}

// request is a request of the API whose body was read and whose sender is known.
type request struct {
	*http.Request
	id   string
	body []byte
}

// endpoint answers a request; its error is answered by the caller.
type endpoint func(w http.ResponseWriter, r *request) error

// operation is how a kind of request is answered.
type operation struct {
	serve      endpoint
	limitBytes int64                  // of the body
	early      func(r *request) error // checked before the body is read; nil: nothing
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

// handle serves a pattern by an operation.
func (h *Handler) handle(pattern string, o operation) {
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, o) })
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// dropTimeout is how long a body is read that is not wanted, for clients that send all of it before they read the answer.
const dropTimeout = 2 * time.Second

// serve answers a request: what can be refused without its body is, the body is read, the sender is known for certain, and o answers. It answers what o leaves
// unanswered.
func (h *Handler) serve(w http.ResponseWriter, in *http.Request, o operation) {
	r := &request{Request: in, id: invocation.NewID()}
	w.Header().Set("X-Amzn-Requestid", r.id)
	rc := http.NewResponseController(w) // errors: a connection without deadlines has no need of them
	err := h.precheck(r, o)
	if err == nil {
		account := h.budget.For(h.accountOf(r))
		var held int64
		r.body, held, err = account.ReadAll(budget.Paced(r.Body, rc, time.Time{}), o.limitBytes)
		defer func() { account.Give(held) }()
		_ = rc.SetReadDeadline(time.Time{})
		if err == nil {
			if err = h.verify(r); err == nil {
				err = o.serve(w, r)
			}
		}
	} else if r.ContentLength != 0 && r.Header.Get("Expect") == "" {
		_ = rc.SetReadDeadline(time.Now().Add(dropTimeout))
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxCodeBytes))
		_ = rc.SetReadDeadline(time.Time{})
	}
	switch {
	case err == nil || r.Context().Err() != nil:
		return
	case errors.Is(err, budget.ErrTooLong):
		err = tooLarge(o.limitBytes)
	case errors.Is(err, budget.ErrExhausted):
		err = busy("ConcurrentInvocationLimitExceeded", "the server holds too much for other invocations; try again later")
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fail(http.StatusRequestTimeout, "RequestTimeout", "the request's body did not arrive in time")
	}
	f := failureOf(err)
	if f.status >= http.StatusInternalServerError {
		h.cfg.Log.Error("a request of the Lambda API failed", slog.String("request_id", r.id), slog.Any("error", err), slog.Any("cause", f.cause))
	}
	f.answer(w)
}

// precheck refuses what can be refused without the body, so that no memory is held for it. Whether a function exists is told at this point
// only to a sender who is known for certain.
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

// verify checks the signature with the body.
func (h *Handler) verify(r *request) error {
	if h.verifier == nil {
		return nil // the guard needs no body
	}
	_, err := h.verifier.Verify(r.Request, r.body, time.Now())
	return err
}

// accountOf returns who is charged for a body: the function of the request, whether it exists or not, or the management of functions.
func (h *Handler) accountOf(r *request) string {
	if ref, err := arn.Parse(r.PathValue("function")); err == nil {
		return ref.Name
	}
	return ""
}

// isFunction tells whether a kind of services takes events as they are.
func (h *Handler) isFunction(kind string) bool { return slices.Contains(h.cfg.Functions, kind) }

// Run carries out queued events until ctx ends, then writes those that are left to the dead letters. Meanwhile it deletes the packages that
// no version needs any more.
func (h *Handler) Run(ctx context.Context) {
	var collecting sync.WaitGroup
	collecting.Go(func() { h.collect(ctx) })
	h.events.run(ctx, h.carryOut)
	collecting.Wait()
}
