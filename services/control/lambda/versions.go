package lambda

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/arn"
)

// A published version is a separate service. Its prefix is the
// function's prefix followed by "~" and the version number.

func versionPrefix(base routekey.Key, number string) routekey.Key {
	return routekey.Key{Prefix: routekey.Prefix(arn.VersionPrefix(string(base.Prefix), number)), Match: base.Match}
}

// versionOf splits the prefix of a published version. It reports false for any other prefix.
func versionOf(key routekey.Key) (base routekey.Key, number string, ok bool) {
	text, number, ok := arn.Published(string(key.Prefix))
	return routekey.Key{Prefix: routekey.Prefix(text), Match: key.Match}, number, ok
}

// qualified resolves the qualifier of ref to the prefix to serve and its
// version: a number or $LATEST. For an alias, the version is chosen by weight.
func (h *Handler) qualified(base routekey.Key, ref arn.Reference) (key routekey.Key, version string, err error) {
	version = ref.Qualifier
	if version == "" || version == arn.Latest {
		return base, arn.Latest, nil
	}
	if _, err := strconv.ParseUint(version, 10, 31); err != nil {
		a := h.book.get(ref.Name).Aliases[version]
		if a == nil {
			return routekey.Key{}, "", notFound("Function not found: %s", arn.Format(ref.Name, ref.Qualifier))
		}
		if version = a.choose(rand.Float64()); version == arn.Latest {
			return base, arn.Latest, nil
		}
	}
	key = versionPrefix(base, version)
	if _, err := h.cfg.Catalogue.Inspect(key); err != nil {
		return routekey.Key{}, "", notFound("Function not found: %s", arn.Format(ref.Name, ref.Qualifier))
	}
	return key, version, nil
}

// choose returns the version for at, a random number in [0, 1).
func (a *alias) choose(at float64) string {
	for _, version := range sortedKeys(a.Weights) {
		if at -= a.Weights[version]; at < 0 {
			return version
		}
	}
	return a.Version
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (h *Handler) publishVersion(w http.ResponseWriter, r *request) error {
	name, e, err := h.named(r)
	if err != nil {
		return err
	}
	var in struct {
		CodeSha256  string
		Description string
		RevisionId  *string
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	published, err := h.publish(r.Context(), name, e.Service.Key, func(current registry.Service) error {
		if err := checkCurrent(name, in.RevisionId, current); err != nil {
			return err
		}
		if in.CodeSha256 != "" && in.CodeSha256 != codeHash(codeOf(current.Current)) {
			return invalid("CodeSha256 is not that of the function: it was changed since")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return h.answerDeployed(w, http.StatusCreated, name, published)
}

// publish deploys the current version of a function as its next version, if check accepts it.
func (h *Handler) publish(ctx context.Context, name string, base routekey.Key, check func(registry.Service) error) (deploy.Entry, error) {
	results, err := h.cfg.Catalogue.Transact(ctx, []routekey.Key{base}, func(s *registry.State) (deploy.Changes, error) {
		current := s.Services[base]
		if err := check(current); err != nil {
			return deploy.Changes{}, err
		}
		return h.addVersion(deploy.Changes{}, s, deployment{name: name, key: base}, specOf(current))
	})
	if err != nil {
		return deploy.Entry{}, err
	}
	return deploy.Entry{Service: results[0].Service, Status: results[0].Status}, nil
}

func (h *Handler) listVersions(w http.ResponseWriter, r *request) error {
	name, e, err := h.named(r)
	if err != nil {
		return err
	}
	versions := []configuration{h.describe(e, name, arn.Latest)}
	for _, other := range h.cfg.Catalogue.List() {
		if base, number, ok := versionOf(other.Service.Key); ok && base == e.Service.Key {
			versions = append(versions, h.describe(other, name, number))
		}
	}
	slices.SortStableFunc(versions[1:], func(a, b configuration) int {
		x, _ := strconv.Atoi(a.Version) // checked by versionOf
		y, _ := strconv.Atoi(b.Version)
		return x - y
	})
	return answerJSON(w, http.StatusOK, map[string]any{"Versions": versions})
}

// aliasRequest is the body of requests that create or update an alias.
type aliasRequest struct {
	Name, FunctionVersion string
	Description           *string
	RoutingConfig         *struct{ AdditionalVersionWeights map[string]float64 }
	RevisionId            *string
}

// filled returns the alias with the fields of a request.
func (in *aliasRequest) filled(a alias, revision string) (*alias, error) {
	if in.FunctionVersion != "" {
		a.Version = in.FunctionVersion
	}
	if in.Description != nil {
		a.Description = *in.Description
	}
	if in.RoutingConfig != nil {
		a.Weights = in.RoutingConfig.AdditionalVersionWeights
	}
	if len(a.Weights) > 1 || len(a.Weights) > 0 && a.Version == arn.Latest {
		return nil, invalid("an alias shares with one other version at most, and none with %s", arn.Latest)
	}
	for _, version := range a.versions() {
		if weight, ok := a.Weights[version]; ok && !(weight >= 0 && weight <= 1) {
			return nil, invalid("the weight of a version must be between 0 and 1")
		}
		if _, err := strconv.ParseUint(version, 10, 31); err != nil && version != arn.Latest {
			return nil, invalid("%.140q is no version", version)
		}
	}
	a.Revision = revision
	return &a, nil
}

// versions returns the versions that the alias refers to.
func (a *alias) versions() []string { return append(sortedKeys(a.Weights), a.Version) }

// changeAlias replaces an alias by the one that change returns, given the current one or nil. The versions of the
// new one must exist.
func (h *Handler) changeAlias(ctx context.Context, name, called string, base routekey.Key, change func(*alias) (*alias, error)) (after *alias, err error) {
	_, err = h.cfg.Catalogue.Transact(ctx, nil, func(s *registry.State) (deploy.Changes, error) {
		own, err := decodeRecord(s.Records[recordOf(name)])
		if err != nil {
			return deploy.Changes{}, err
		}
		planned, err := change(own.Aliases[called])
		if err != nil {
			return deploy.Changes{}, err
		}
		needs := []routekey.Key{base}
		for _, version := range planned.versions() {
			if version == arn.Latest {
				continue
			}
			key := versionPrefix(base, version)
			if s.Services[key].Key.IsZero() {
				return deploy.Changes{}, notFound("Function not found: %s", arn.Format(name, version))
			}
			needs = append(needs, key)
		}
		edit := editOf(func(own *record) (err error) {
			if after, err = change(own.Aliases[called]); err != nil {
				return err
			}
			if !slices.Equal(after.versions(), planned.versions()) {
				return registry.ErrStale // another request has changed it: plan again
			}
			if own.Aliases == nil {
				own.Aliases = make(map[string]*alias)
			}
			own.Aliases[called] = after
			return nil
		})
		return deploy.Changes{Require: needs, Records: map[string]deploy.Edit{recordOf(name): edit}}, nil
	})
	if errors.Is(err, registry.ErrNotFound) {
		return nil, notFound("Function not found: %s", arn.Format(name, ""))
	}
	return after, err
}

func (h *Handler) createAlias(w http.ResponseWriter, r *request) error {
	name, e, err := h.named(r)
	if err != nil {
		return err
	}
	var in aliasRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if _, err := strconv.Atoi(in.Name); err == nil || !arn.ValidQualifier(in.Name) || in.Name == arn.Latest {
		return invalid("%.140q cannot be the name of an alias", in.Name)
	}
	revision := invocation.NewID()
	a, err := h.changeAlias(r.Context(), name, in.Name, e.Service.Key, func(current *alias) (*alias, error) {
		if current != nil {
			return nil, fail(http.StatusConflict, "ResourceConflictException", "Alias already exists: %s", arn.Format(name, in.Name))
		}
		return in.filled(alias{Version: arn.Latest}, revision)
	})
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusCreated, aliasView(name, in.Name, a))
}

func (h *Handler) updateAlias(w http.ResponseWriter, r *request) error {
	name, e, err := h.named(r)
	if err != nil {
		return err
	}
	var in aliasRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	called, revision := r.PathValue("alias"), invocation.NewID()
	changed, err := h.changeAlias(r.Context(), name, called, e.Service.Key, func(current *alias) (*alias, error) {
		switch {
		case current == nil:
			return nil, noAlias(name, called)
		case in.RevisionId != nil && *in.RevisionId != current.Revision:
			return nil, fail(http.StatusPreconditionFailed, "PreconditionFailedException", "The RevisionId provided does not match that of the alias.")
		}
		return in.filled(*current, revision)
	})
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, aliasView(name, called, changed))
}

func noAlias(name, called string) error {
	return notFound("Cannot find alias arn: %s", arn.Format(name, called))
}

func (h *Handler) getAlias(w http.ResponseWriter, r *request) error {
	name, _, err := h.named(r)
	if err != nil {
		return err
	}
	a := h.book.get(name).Aliases[r.PathValue("alias")]
	if a == nil {
		return noAlias(name, r.PathValue("alias"))
	}
	return answerJSON(w, http.StatusOK, aliasView(name, r.PathValue("alias"), a))
}

func (h *Handler) listAliases(w http.ResponseWriter, r *request) error {
	name, _, err := h.named(r)
	if err != nil {
		return err
	}
	views := []map[string]any{}
	all := h.book.get(name).Aliases
	for _, alias := range sortedKeys(all) {
		if only := r.URL.Query().Get("FunctionVersion"); only == "" || only == all[alias].Version {
			views = append(views, aliasView(name, alias, all[alias]))
		}
	}
	return answerJSON(w, http.StatusOK, map[string]any{"Aliases": views})
}

func (h *Handler) deleteAlias(w http.ResponseWriter, r *request) error {
	name, e, err := h.named(r)
	if err != nil {
		return err
	}
	err = h.edit(r.Context(), name, []routekey.Key{e.Service.Key}, func(own *record) error {
		delete(own.Aliases, r.PathValue("alias"))
		return nil
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func aliasView(name, called string, a *alias) map[string]any {
	view := map[string]any{"AliasArn": arn.Format(name, called), "Name": called, "FunctionVersion": a.Version, "Description": a.Description, "RevisionId": a.Revision}
	if len(a.Weights) > 0 {
		view["RoutingConfig"] = map[string]any{"AdditionalVersionWeights": a.Weights}
	}
	return view
}
