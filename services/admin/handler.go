package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services/egress"
	"github.com/vespo-dev/vespo/services/fetch"
	"github.com/vespo-dev/vespo/services/internal/access"
)

// Handler answers the management API. Make it with New, give it its Deployer with Attach. It is safe for concurrent use.
type Handler struct {
	cfg       Config              // immutable
	access    *access.Guard       // immutable
	decoder   *decoder            // immutable
	fetcher   *fetch.Fetcher      // immutable
	endpoints map[string]endpoint // immutable; by escaped path

	attached atomic.Pointer[attachment] // nil before Attach
	leaving  atomic.Bool                // set by Leave
}

// attachment holds a Deployer for an atomic pointer.
type attachment struct{ Deployer }

// endpoint is what a path leads to.
type endpoint struct {
	methods []string
	open    bool    // answered to everybody
	limiter limiter // nil: not limited
	serve   func(http.ResponseWriter, *http.Request) error
}

// New returns a handler that answers "not ready" to everything but health, until Attach: the router wants its management handler when it
// is made, and the Deployer wants the router.
func New(cfg Config) *Handler {
	cfg = cfg.withDefaults()
	h := &Handler{
		cfg:    cfg,
		access: newGuard(cfg.Token),
		decoder: &decoder{
			maxModuleBytes: cfg.MaxModuleBytes,
			pace:           pace{stall: cfg.StallTimeout, bytesPerSecond: cfg.MinUploadRate},
		},
		fetcher: newFetcher(cfg),
	}
	h.endpoints = h.routes()
	return h
}

// Attach gives the handler what carries the requests out. To be called once.
func (h *Handler) Attach(d Deployer) { h.attached.Store(&attachment{d}) }

// Leave makes the server not ready: load balancers shall send it no more requests. All else is answered as before.
func (h *Handler) Leave() { h.leaving.Store(true) }

// deployer is what was attached; before, the error is the problem to answer with.
func (h *Handler) deployer() (Deployer, error) {
	if a := h.attached.Load(); a != nil {
		return a.Deployer, nil
	}
	return nil, notReady()
}

func notReady() error {
	p := problem.New(problem.NotReady, "the server is loading its services, or shutting down: try again")
	p.RetryAfter = retryAfter
	return p
}

func newFetcher(cfg Config) *fetch.Fetcher {
	var policy egress.Policy
	if cfg.AllowPrivateSources {
		policy.Granted = egress.LocalNetworks()
	}
	return fetch.New(fetch.Config{MaxBytes: cfg.MaxModuleBytes, Timeout: cfg.FetchTimeout, Policy: policy})
}

func (h *Handler) routes() map[string]endpoint {
	get, post := []string{http.MethodGet, http.MethodHead}, []string{http.MethodPost}
	reads, changes := newLimiter(h.cfg.MaxReads), newLimiter(h.cfg.MaxChanges)
	list := endpoint{methods: get, limiter: reads, serve: h.list}
	return map[string]endpoint{
		"/services":          list,
		"/services/":         list,
		"/services/list":     list,
		"/services/inspect":  {methods: get, limiter: reads, serve: h.inspect},
		"/services/add":      {methods: post, limiter: changes, serve: h.add},
		"/services/remove":   {methods: post, limiter: changes, serve: h.remove},
		"/services/rollback": {methods: post, limiter: changes, serve: h.rollback},
		"/services/health":   {methods: get, open: true, serve: h.health},
		"/services/ready":    {methods: get, open: true, serve: h.ready},
	}
}

// ServeHTTP is Serve without an access record.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = h.Serve(w, r, &accesslog.Record{})
}

// Serve implements router.Handler: the record lends the answer its request id and takes what became of the request.
// Failures are answered here; the error is nil but where nobody is left to be answered.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, rec *accesslog.Record) error {
	body := r.Body // which a decoder replaces
	err := h.serve(w, r)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		return err
	}
	p := problem.From(err)
	rec.Err, rec.Outcome = err, outcomeOf(p)
	h.refuse(w, r, rec.RequestID, p)
	if unread(r) {
		h.drain(w, body, p)
	}
	return nil
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	e, found := h.endpoints[r.URL.EscapedPath()]
	if !e.open {
		if err := h.access.Check(r); err != nil {
			return err
		}
	}
	if !found {
		return problem.New(problem.NotFound,
			"the management API has no such path: see /services/list, inspect, add, remove, rollback, health and ready")
	}
	if !slices.Contains(e.methods, r.Method) {
		allowed := strings.Join(e.methods, ", ")
		w.Header().Set("Allow", allowed)
		return problem.Newf(problem.MethodNotAllowed, "use %s", allowed)
	}
	if e.limiter != nil {
		if err := e.limiter.acquire(); err != nil {
			return err
		}
		defer e.limiter.release()
	}
	return e.serve(w, r)
}

// answer sends v as JSON.
func (h *Handler) answer(w http.ResponseWriter, status int, v any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'") // no page of a service reads it from a tab
	h.boundAnswer(w)
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // who would be told of an error is gone
	return nil
}

// unhurried lifts the server's deadlines from a request that may take longer than one for a page: a deadline for reading that
// passes while a module is compiled would look like the client's leaving. The change has bounds of its own.
func unhurried(w http.ResponseWriter) {
	rc := http.NewResponseController(w) // errors: where there are no deadlines, there is none to lift
	_ = rc.SetReadDeadline(time.Time{})
	_ = rc.SetWriteDeadline(time.Time{})
}

// boundAnswer gives the client WriteTimeout to take the answer.
func (h *Handler) boundAnswer(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.cfg.WriteTimeout))
}
