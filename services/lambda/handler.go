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

func (h *Handler) routes() {
	unknown := func(_ http.ResponseWriter, r *request) error {
		return fail(http.StatusNotFound, "UnknownOperationException", "%s %.200s is no operation that this server knows", r.Method, r.URL.Path)
	}
	for pattern, e := range map[string]endpoint{
		"POST /2015-03-31/functions/{function}/invocations":                    h.invoke,
		"POST /2021-11-15/functions/{function}/response-streaming-invocations": h.invokeStreaming,
		"POST /2014-11-13/functions/{function}/invoke-async":                   h.invokeAsync,
		"POST /2014-11-13/functions/{function}/invoke-async/":                  h.invokeAsync,
		"/": unknown,
	} {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, invocation.MaxPayloadBytes, e) })
	}
	for pattern, e := range h.managementRoutes() {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, maxCodeBytes, e) })
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// bodyTimeout is how long a client may take to send its request.
const bodyTimeout = time.Minute

// serve reads the request, checks who sends it, and answers what e leaves unanswered.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, limitBytes int64, e endpoint) {
	id := invocation.NewID()
	w.Header().Set("X-Amzn-Requestid", id)
	rc := http.NewResponseController(w) // errors: a connection without deadlines has no need of them
	_ = rc.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, held, err := h.budget.Read(r.Body, limitBytes)
	defer func() { h.budget.Give(held) }()
	_ = rc.SetReadDeadline(time.Time{})
	if err == nil {
		if err = h.authorize(r, body); err == nil {
			err = e(w, &request{Request: r, id: id, body: body})
		}
	}
	switch {
	case err == nil || r.Context().Err() != nil:
		return
	case errors.Is(err, budget.ErrTooLong):
		err = tooLarge(limitBytes)
	case errors.Is(err, budget.ErrExhausted):
		err = busy("ConcurrentInvocationLimitExceeded", "the server holds too much for other invocations; try again later")
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fail(http.StatusRequestTimeout, "RequestTimeout", "the request's body did not arrive in time")
	}
	f := failureOf(err)
	if f.status >= http.StatusInternalServerError {
		h.cfg.Log.Error("a request of the Lambda API failed", slog.String("request_id", id), slog.Any("error", err), slog.Any("cause", f.cause))
	}
	f.answer(w)
}

// authorize lets those pass who may use the API.
func (h *Handler) authorize(r *http.Request, body []byte) error {
	if h.verifier == nil {
		return h.guard.CheckChange(r)
	}
	_, err := h.verifier.Verify(r, body, time.Now())
	return err
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
