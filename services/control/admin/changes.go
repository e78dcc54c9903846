package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/egress/fetch"
)

const fieldGeneration = "generation"

func (h *Handler) add(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	unhurried(w)
	req, err := h.decoder.decode(w, r)
	if err != nil {
		return err
	}
	module, err := h.module(r.Context(), req)
	if err != nil {
		return err
	}
	use, err := h.use(r.Context(), req)
	if err != nil {
		return err
	}
	result, err := d.Change(r.Context(), req.prefix, func(current registry.Service) (services.Spec, error) {
		kind := cmp.Or(req.kind, h.cfg.Kind)
		if current.Prefix != "" && !req.reset {
			if err := req.inherit(r.Context(), kind, current.Current, d.Blob); err != nil {
				return services.Spec{}, err
			}
		}
		if req.bound() {
			module = req.module
		}
		return services.Spec{Use: use, Prefix: req.prefix, Kind: kind, Module: module, Options: req.options}, nil
	})
	if err != nil {
		return err
	}
	return h.answerDeployed(w, r, d, result)
}

// module returns the module's bytes, from the request or from its source.
func (h *Handler) module(ctx context.Context, req *addRequest) ([]byte, error) {
	if req.source == nil {
		return req.module, nil
	}
	return h.fetch(ctx, *req.source)
}

// fetch fetches a module from its source.
func (h *Handler) fetch(ctx context.Context, source fetch.Source) ([]byte, error) {
	module, err := h.fetcher.Fetch(ctx, source)
	var failed *fetch.Error
	if err == nil || !errors.As(err, &failed) {
		return module, err
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
	return nil, problem.New(kind, failed.Detail+advice).WithCause(err)
}

// answerDeployed answers with the service and the changes made by the deploy.
func (h *Handler) answerDeployed(w http.ResponseWriter, r *http.Request, d Deployer, result deploy.Result) error {
	status := http.StatusOK
	if result.Created {
		status = http.StatusCreated
		w.Header().Set("Location", locationOf(result.Service.Prefix))
	}
	view := viewOf(result.Service, result.Status)
	view.Changes, view.Kept = changesOf(r.Context(), result, d.Blob)
	return h.answer(w, status, view)
}

// locationOf returns the path at which a service can be inspected.
func locationOf(bound registry.Prefix) string {
	prefix, match := splitKey(bound)
	location := "/services/inspect?prefix=" + url.QueryEscape(prefix)
	if match != "" {
		location += "&match=" + url.QueryEscape(match)
	}
	return location
}

func (h *Handler) remove(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	f := bodilessFields(r, fieldPrefix, fieldMatch)
	prefix := f.prefix()
	if err := f.err(); err != nil {
		return err
	}
	unhurried(w)
	if err := d.Remove(r.Context(), prefix); err != nil {
		return err
	}
	path, match := splitKey(prefix)
	return h.answer(w, http.StatusOK, stateView{Prefix: path, Match: match, State: "removed"})
}

func (h *Handler) rollback(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	f := bodilessFields(r, fieldPrefix, fieldMatch, fieldGeneration)
	prefix, generation := f.prefix(), f.generation()
	if err := f.err(); err != nil {
		return err
	}
	unhurried(w)
	result, err := rollback(r.Context(), d, prefix, generation)
	if err != nil {
		return err
	}
	return h.answerDeployed(w, r, d, result)
}

// rollback rolls back to the given generation, or to the previous version if generation is 0.
func rollback(ctx context.Context, d Deployer, prefix registry.Prefix, generation registry.Generation) (deploy.Result, error) {
	if generation == 0 {
		return d.Rollback(ctx, prefix)
	}
	return d.RollbackTo(ctx, prefix, generation)
}

// generation returns the generation, or 0 if none was given.
func (f *fields) generation() registry.Generation {
	value, given := f.values[fieldGeneration]
	if !given {
		return 0
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil || n == 0 {
		f.violatef("%s generation is %.60q: give one of the numbers in the history that /services/inspect shows", f.noun, value)
	}
	return registry.Generation(n)
}

// bodilessFields returns the query fields of a request that must not have a body.
func bodilessFields(r *http.Request, known ...string) *fields {
	f := queryFields(r, known...)
	if r.ContentLength != 0 {
		f.violatef("the request has a body: give everything in the query, such as ?prefix=hello")
	}
	return f
}
