package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/control/identity"
	"github.com/vespo-dev/vespo/services/egress/fetch"
	"github.com/vespo-dev/vespo/services/internal/access"
	"github.com/vespo-dev/vespo/services/schema"
)

func (h *Handler) add(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	client.ConnOf(w).Unhurried()
	req, err := h.decoder.decode(w, r)
	if err != nil {
		return withKind(d, h.cfg.Kinds, req, err)
	}
	noteSubject(r.Context(), req.key.String())
	if err := mayDeploy(r, req.key); err != nil {
		return err
	}
	if caller := identity.Of(r.Context()); caller.Kind == identity.KindToken {
		req.note.Author = caller.Name // verified, unlike what the request says
	}
	if req.check {
		return h.check(w, r, d, req)
	}
	blobs, err := h.blobs(r.Context(), req)
	if err != nil {
		return err
	}
	result, err := d.Deploy(r.Context(), req.key, req.how, func(current registry.Service) (services.Spec, error) {
		return req.spec(h.cfg.Kinds, current.Current, blobs)
	})
	if err != nil {
		return err
	}
	return h.answerDeployed(w, r, result)
}

// check answers a request whose module follows in another one.
func (h *Handler) check(w http.ResponseWriter, r *http.Request, d Deployer, req *addRequest) error {
	err := d.Check(r.Context(), req.key, req.how, func(current registry.Service) (services.Spec, error) {
		return req.spec(h.cfg.Kinds, current.Current, nil)
	})
	if err != nil {
		return err
	}
	return h.answer(w, http.StatusOK, stateView{Prefix: string(req.key.Prefix), Match: req.key.Match.String(), State: "checked"})
}

// withKind adds the violations that the kind finds in the other fields of a request, so that all are known at once. Those of
// the module are not among them: it has not been read.
func withKind(d Deployer, kinds schema.Kinds, req *addRequest, err error) error {
	var told, more *problem.Problem
	if req == nil || req.selected.Kind.Name == "" || !errors.As(err, &told) {
		return err
	}
	validate := d.Validate
	if req.takesModule() {
		validate = d.ValidateFields
	}
	spec, _ := req.spec(kinds, registry.Version{}, nil) // its error is err
	if !errors.As(validate(spec), &more) {
		return err
	}
	all := told.Violations
	for _, v := range more.Violations {
		if !slices.ContainsFunc(told.Violations, func(known problem.Violation) bool { return known.Field == v.Field }) {
			all = append(all, v)
		}
	}
	told.Violations = all
	return err
}

// blobs returns the module and the middleware, from the request or fetched from their sources.
func (h *Handler) blobs(ctx context.Context, req *addRequest) (blobs []services.Blob, err error) {
	if req.takesModule() {
		module := req.module
		if req.source != nil {
			var pinned string
			if module, pinned, err = h.fetch(ctx, *req.source); err != nil {
				return nil, err
			}
			if req.note.Message == "" {
				req.note.Message = pinned
			}
		}
		blobs = services.Module(module)
	}
	use, err := h.use(ctx, req)
	if err != nil {
		return nil, err
	}
	for _, module := range use {
		blobs = append(blobs, services.Blob{Field: schema.FieldUse, Content: module})
	}
	return blobs, nil
}

// fetch fetches a module from its source. pinned is the reference with its digest if that is a registry.
func (h *Handler) fetch(ctx context.Context, source fetch.Source) (module []byte, pinned string, err error) {
	module, pinned, err = h.fetcher.FetchPinned(ctx, source)
	var failed *fetch.Error
	if err == nil || !errors.As(err, &failed) {
		return module, pinned, err
	}
	kind, advice := problem.SourceUnavailable, "; nothing was changed"
	switch {
	case errors.Is(err, fetch.ErrInvalidSource):
		kind = problem.BadRequest
	case errors.Is(err, fetch.ErrRefused):
		kind, advice = problem.Forbidden, ", unless the server is started with --allow-private-sources; nothing was changed"
	case errors.Is(err, fetch.ErrTooLarge):
		kind = problem.BodyTooLarge
	}
	return nil, "", problem.New(kind, failed.Detail+advice).WithCause(err)
}

// answerDeployed answers with the service and the changes made by the deploy.
func (h *Handler) answerDeployed(w http.ResponseWriter, r *http.Request, result deploy.Result) error {
	status := http.StatusOK
	if result.Created && !result.DryRun {
		status = http.StatusCreated
		w.Header().Set("Location", locationOf(result.Service.Key))
	}
	view := h.viewOf(result.Service, result.Status)
	view.Traffic = trafficOf(result.Service)
	view.Staged, view.DryRun = result.Staged, result.DryRun
	view.Changes, view.Kept = changesOf(h.cfg.Kinds, result)
	if staged, ok := result.Service.Numbered(result.Staged); ok {
		view.Changes, view.Kept = changesOf(h.cfg.Kinds, deploy.Result{Before: result.Before, Service: registry.Service{Current: staged}})
	}
	view.RolledBackTo, view.URL = result.RolledBackTo, h.publicURL(r, result.Service.Key.Prefix)
	return h.answer(w, status, view)
}

// publicURL returns the URL of a service on the public listener, for requests over a listener that serves management alone;
// otherwise "". Where the public listener has all addresses, the host is that of the request.
func (h *Handler) publicURL(r *http.Request, prefix routekey.Prefix) string {
	if h.cfg.PublicURL == nil || !access.OnOwnOrigin(r) {
		return ""
	}
	u, err := url.Parse(h.cfg.PublicURL())
	if err != nil || u.Host == "" {
		return ""
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && addr.IsUnspecified() {
		asked := url.URL{Host: r.Host}
		u.Host = net.JoinHostPort(asked.Hostname(), u.Port())
	}
	return u.String() + string(prefix)
}

// locationOf returns the path at which a service can be inspected.
func locationOf(key routekey.Key) string {
	location := "/services/inspect?prefix=" + url.QueryEscape(string(key.Prefix))
	if match := key.Match.String(); match != "" {
		location += "&match=" + url.QueryEscape(match)
	}
	return location
}

func (h *Handler) remove(w http.ResponseWriter, r *http.Request) error {
	d, key, err := h.named(r)
	if err != nil {
		return err
	}
	client.ConnOf(w).Unhurried()
	if err := d.Remove(r.Context(), key); err != nil {
		return err
	}
	return h.answer(w, http.StatusOK, stateView{Prefix: string(key.Prefix), Match: key.Match.String(), State: "removed"})
}

func (h *Handler) rollback(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	f := bodilessFields(r, append(fields.KeyFields(), schema.Field{Name: fieldGeneration, Type: schema.Text}, schema.Field{Name: fieldVersion, Type: schema.Text})...)
	key, generation, number := f.Key(), generationOf(f), numberIn(f, fieldVersion)
	if generation != 0 && number != 0 {
		f.Violate(fieldVersion, "is given together with generation: give one of them")
	}
	if err := f.Err(); err != nil {
		return err
	}
	client.ConnOf(w).Unhurried()
	result, err := rollback(r.Context(), d, key, generation, number)
	if err != nil {
		return err
	}
	return h.answerDeployed(w, r, result)
}

// rollback rolls back to the version with the given generation or number, or to the previous one if both are 0.
func rollback(ctx context.Context, d Deployer, key routekey.Key, generation registry.Generation, number registry.Number) (deploy.Result, error) {
	switch {
	case number != 0:
		return d.RollbackToNumber(ctx, key, number)
	case generation != 0:
		return d.RollbackTo(ctx, key, generation)
	}
	return d.Rollback(ctx, key)
}

// numberIn returns the number of a version in a field of a request, or 0 if it was not given.
func numberIn(in *fields.Input, name string) registry.Number {
	if !in.Has(name) {
		return 0
	}
	n, err := strconv.ParseUint(in.Text(name), 10, 64)
	if err != nil || n == 0 {
		in.Violate(name, "is %.60q: give the number of a version, as /services/versions shows it", in.Text(name))
	}
	return registry.Number(n)
}

// generationOf returns the generation of a request, or 0 if none was given.
func generationOf(in *fields.Input) registry.Generation {
	if !in.Has(fieldGeneration) {
		return 0
	}
	n, err := strconv.ParseUint(in.Text(fieldGeneration), 10, 64)
	if err != nil || n == 0 {
		in.Violate(fieldGeneration, "is %.60q: give one of the numbers in the history that /services/inspect shows", in.Text(fieldGeneration))
	}
	return registry.Generation(n)
}
