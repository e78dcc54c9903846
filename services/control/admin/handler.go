package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/control/audit"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/identity"
	"github.com/vespo-dev/vespo/services/control/profiles"
	"github.com/vespo-dev/vespo/services/egress"
	"github.com/vespo-dev/vespo/services/egress/fetch"
	"github.com/vespo-dev/vespo/services/internal/access"
)

// Handler serves the management API. Create it with New and call Attach with its Deployer. It is safe for
// concurrent use.
type Handler struct {
	cfg       Config              // immutable
	access    *access.Guard       // immutable
	decoder   *decoder            // immutable
	fetcher   *fetch.Fetcher      // immutable
	profiles  *profiles.Handler   // immutable
	endpoints map[string]endpoint // immutable; by escaped path
	needs     map[string]need     // immutable; by escaped path

	attached  atomic.Pointer[attachment] // nil before Attach
	schedules atomic.Pointer[schedules]  // nil before AttachSchedules
	feed      atomic.Pointer[feed]       // nil before AttachFeed
	follower  atomic.Pointer[follower]   // nil unless the server follows another one
	leaving   atomic.Bool                // set by Leave
}

// schedules wraps Schedules for an atomic pointer.
type schedules struct{ Schedules }

// attachment wraps a Deployer for an atomic pointer.
type attachment struct{ Deployer }

// AttachFollower sets the Follower of a server that follows another one.
func (h *Handler) AttachFollower(f Follower) { h.follower.Store(&follower{f}) }

// follower wraps a Follower for an atomic pointer.
type follower struct{ Follower }

// feed wraps a Feed for an atomic pointer.
type feed struct{ Feed }

// endpoint serves one path.
type endpoint struct {
	methods []string
	own     bool    // is on listeners of WithAdminListener alone
	long    bool    // the response may take long: the client has time for each part of it
	changes bool    // it changes the catalogue, or runs what the catalogue says
	limiter limiter // nil: unlimited
	serve   func(http.ResponseWriter, *http.Request) error
}

// New returns a Handler. Until Attach is called it answers everything but health with "not ready". The
// Deployer comes later because it needs the router, and the router needs its management handler.
func New(cfg Config) *Handler {
	cfg = cfg.withDefaults()
	h := &Handler{
		cfg:    cfg,
		access: newGuard(),
		decoder: &decoder{
			kinds:          cfg.Kinds,
			maxModuleBytes: cfg.MaxModuleBytes,
			pace:           client.Pace{Silence: cfg.StallTimeout, Grace: cfg.StallTimeout, Rate: cfg.MinUploadRate},
		},
		fetcher:  newFetcher(cfg),
		profiles: profiles.New(),
	}
	h.endpoints, h.needs = h.routes(), needs()
	return h
}

// Attach sets the Deployer. It must be called once.
func (h *Handler) Attach(d Deployer) { h.attached.Store(&attachment{d}) }

// AttachSchedules sets the Schedules. Until then, services have none.
func (h *Handler) AttachSchedules(s Schedules) { h.schedules.Store(&schedules{s}) }

// AttachFeed sets the Feed. Until then, the catalogue cannot be copied.
func (h *Handler) AttachFeed(f Feed) { h.feed.Store(&feed{f}) }

// Leave makes the server not ready, so that load balancers stop sending requests. Other endpoints except list
// are not affected.
func (h *Handler) Leave() {
	h.leaving.Store(true)
	if c := h.feed.Load(); c != nil {
		c.Stop()
	}
}

// EndProfiles ends the profile that is being taken, and later ones at once.
func (h *Handler) EndProfiles() { h.profiles.End() }

// deployer returns the attached Deployer. Without one, it returns a problem.
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
	routes := map[string]endpoint{
		"/services":           list,
		"/services/":          list,
		"/services/list":      list,
		"/services/inspect":   {methods: get, limiter: reads, serve: h.inspect},
		"/services/stats":     {methods: get, limiter: reads, serve: h.statistics},
		"/services/usage":     {methods: get, limiter: reads, serve: h.usage},
		"/services/versions":  {methods: get, limiter: reads, serve: h.versions},
		"/services/diff":      {methods: get, limiter: reads, serve: h.diff},
		"/services/logs":      {methods: get, limiter: newLimiter(h.cfg.MaxLogReaders), serve: h.logs},
		"/services/add":       {methods: post, changes: true, limiter: changes, serve: h.add},
		"/services/remove":    {methods: post, changes: true, limiter: changes, serve: h.remove},
		"/services/split":     {methods: post, changes: true, limiter: changes, serve: h.split},
		"/services/rollback":  {methods: post, changes: true, limiter: changes, serve: h.rollback},
		"/services/trigger":   {methods: post, changes: true, limiter: newLimiter(h.cfg.MaxTriggers), serve: h.trigger},
		"/services/catalogue": {methods: get, long: true, limiter: newLimiter(h.cfg.MaxFollowers), serve: h.catalogue},
		"/services/blob":      {methods: get, long: true, limiter: newLimiter(h.cfg.MaxTransfers), serve: h.blob},
		"/services/audit":     {methods: get, limiter: reads, serve: h.auditLog},
		"/services/whoami":    {methods: get, serve: h.whoami},
		"/services/health":    {methods: get, serve: h.health},
		"/services/ready":     {methods: get, serve: h.ready},
		"/services/hosts":     {methods: get, limiter: reads, serve: h.hosts},

		"/services/cache/purge":   {methods: post, limiter: changes, serve: h.purgeCache},
		"/services/hosts/drain":   {methods: post, limiter: changes, serve: h.drainHost(true)},
		"/services/hosts/undrain": {methods: post, limiter: changes, serve: h.drainHost(false)},
	}
	maps.Copy(routes, h.kvRoutes(reads, changes))
	maps.Copy(routes, h.ownRoutes())
	routes["/services/metrics"] = endpoint{methods: get, serve: h.metrics}
	maps.Copy(routes, h.tokenRoutes(reads, changes))
	return routes
}

// ServeHTTP serves the request without an access record.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = h.Serve(w, &router.Request{Request: r}, &accesslog.Result{})
}

// Serve implements router.Handler. Failures
// are answered here; Serve returns an error only if the client is gone.
func (h *Handler) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	var to client.Writer
	to.BeginWithin(w, r.Context(), h.cfg.WriteTimeout)
	defer to.Finish()
	err := h.serve(&to, r)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil, errors.Is(err, http.ErrAbortHandler):
		return err
	}
	p := problem.From(err)
	res.Err, res.Outcome = err, outcomeOf(p)
	h.refuse(&to, r, p)
	if unread(r.Request) {
		h.drain(&to, r.Request, r.Body, p)
	}
	return nil
}

// serve identifies the caller, and answers the request if the caller has the right to send it.
func (h *Handler) serve(w *client.Writer, r *router.Request) error {
	path := r.URL.EscapedPath()
	e, found := h.endpoints[path]
	needed := h.needs[path]
	if e.own && !access.OnOwnOrigin(r.Request) {
		return h.elsewhere(w, r)
	}
	if needed == needNothing {
		if err := h.checkPage(r.Request, e); err != nil {
			return err
		}
		return h.call(w, r.Request, e)
	}
	caller, err := h.identify(r)
	if err != nil {
		return err
	}
	ctx, stop := identity.With(r.Context(), caller)
	defer stop()
	if !caller.Scopes.Admin() {
		ctx = deploy.WithPermit(ctx, permitOf(caller, h.cfg.Kinds))
	}
	from := r.Client.Or(r.Request)
	inner := r.WithContext(audit.WithSource(ctx, audit.Source{
		Request: r.ID,
		From:    from.IP(),
		Action:  strings.TrimPrefix(path, "/services/"),
	}))
	if found {
		err = authorise(inner, needed)
	}
	err = h.watched(inner, func(r *http.Request) error {
		if err != nil {
			return err
		}
		return h.call(w, r, e)
	})
	if err != nil && ctx.Err() != nil && r.Context().Err() == nil {
		return problem.New(problem.Unauthorized, "the token was revoked or has expired during the request").WithCause(err)
	}
	return err
}

// call calls an endpoint within its limits. The zero endpoint is of no path.
func (h *Handler) call(w *client.Writer, r *http.Request, e endpoint) error {
	if e.serve == nil {
		return problem.New(problem.NotFound,
			"the management API has no such path: see /services/list, inspect, stats, logs, add, remove, rollback, trigger, kv, whoami, metrics, health and ready")
	}
	if !slices.Contains(e.methods, r.Method) {
		allowed := strings.Join(e.methods, ", ")
		w.Header().Set("Allow", allowed)
		return problem.Newf(problem.MethodNotAllowed, "use %s", allowed)
	}
	if e.changes && h.cfg.ReadOnly != nil {
		return h.cfg.ReadOnly
	}
	if e.limiter != nil {
		caller := identity.Of(r.Context())
		if err := e.limiter.acquire(caller); err != nil {
			return err
		}
		defer e.limiter.release(caller)
	}
	if e.long {
		w.Paced()
	}
	return e.serve(w, r)
}

// metrics answers a scrape.
func (h *Handler) metrics(w http.ResponseWriter, r *http.Request) error {
	if h.cfg.Metrics == nil {
		return problem.New(problem.NotFound, "this server has no metrics")
	}
	return h.cfg.Metrics.Serve(w, r)
}

// answer sends v as JSON.
func (h *Handler) answer(w http.ResponseWriter, status int, v any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return h.answerAs(w, status, "application/json", body.Bytes())
}

// answerAs sends a body of a type.
func (h *Handler) answerAs(w http.ResponseWriter, status int, contentType string, body []byte) error {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'") // a service's page cannot read it from a tab that it opened
	w.WriteHeader(status)
	_, _ = w.Write(body) // on an error the client is gone
	return nil
}
