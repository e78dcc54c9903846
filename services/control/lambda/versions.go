package lambda

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/arn"
	"github.com/vespo-dev/vespo/services/kinds/function"
)

// A published version is a separate service. Its prefix is the
// function's prefix followed by "~" and the version number.

func versionPrefix(base registry.Prefix, number string) registry.Prefix {
	return registry.Prefix(arn.VersionPrefix(string(base), number))
}

// versionOf splits the prefix of a published version. It reports false for any other prefix.
func versionOf(prefix registry.Prefix) (base registry.Prefix, number string, ok bool) {
	text, number, ok := arn.Published(string(prefix))
	return registry.Prefix(text), number, ok
}

// qualified resolves the qualifier of ref to the prefix to serve and its
// version: a number or $LATEST. For an alias, the version is chosen by weight.
func (h *Handler) qualified(base registry.Prefix, ref arn.Reference) (prefix registry.Prefix, version string, err error) {
	version = ref.Qualifier
	if version == "" || version == arn.Latest {
		return base, arn.Latest, nil
	}
	if _, err := strconv.ParseUint(version, 10, 31); err != nil {
		a := h.book.get(ref.Name).Aliases[version]
		if a == nil {
			return "", "", notFound("Function not found: %s", arn.Format(ref.Name, ref.Qualifier))
		}
		if version = a.choose(rand.Float64()); version == arn.Latest {
			return base, arn.Latest, nil
		}
	}
	prefix = versionPrefix(base, version)
	if _, err := h.cfg.Catalogue.Inspect(prefix); err != nil {
		return "", "", notFound("Function not found: %s", arn.Format(ref.Name, ref.Qualifier))
	}
	return prefix, version, nil
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
	if in.CodeSha256 != "" && in.CodeSha256 != codeHash(codeOf(e.Service.Current)) {
		return invalid("CodeSha256 is not that of the function: it was changed since")
	}
	if err := checkCurrent(name, in.RevisionId, e.Service); err != nil {
		return err
	}
	return h.publish(w, r, name, e.Service)
}

// publish deploys the current version of the function as its next version.
func (h *Handler) publish(w http.ResponseWriter, r *request, name string, latest registry.Service) error {
	spec := specOf(latest)
	if spec.Kind == function.KindName {
		if d, err := documentOf(spec); err != nil || !d.Program() {
			return invalid("the workers of this function are not the server's to keep: only modules and programs have versions")
		}
	}
	number := ""
	err := h.book.change(name, func(own *record) error {
		own.LastVersion++
		number = strconv.Itoa(own.LastVersion)
		return nil
	})
	if err != nil {
		return err
	}
	spec.Prefix = versionPrefix(latest.Prefix, number)
	_, err = h.cfg.Catalogue.Change(r.Context(), spec.Prefix, func(registry.Service) (services.Spec, error) { return spec, nil })
	if err != nil {
		return err
	}
	return h.answerConfiguration(w, http.StatusCreated, name, spec.Prefix)
}

func (h *Handler) listVersions(w http.ResponseWriter, r *request) error {
	name, e, err := h.named(r)
	if err != nil {
		return err
	}
	versions := []configuration{h.describe(e, name, arn.Latest)}
	for _, other := range h.cfg.Catalogue.List() {
		if base, number, ok := versionOf(other.Service.Prefix); ok && base == e.Service.Prefix {
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

// fill applies a request to an alias. It fails if a version does not exist. It may be called
// with the book locked: versions are numbers, which are looked up in the catalogue only.
func (h *Handler) fill(a *alias, in *aliasRequest, name string, base registry.Prefix) error {
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
		return invalid("an alias shares with one other version at most, and none with %s", arn.Latest)
	}
	for _, version := range append(sortedKeys(a.Weights), a.Version) {
		if weight, ok := a.Weights[version]; ok && !(weight >= 0 && weight <= 1) {
			return invalid("the weight of a version must be between 0 and 1")
		}
		if _, err := strconv.ParseUint(version, 10, 31); err != nil && version != arn.Latest {
			return invalid("%.140q is no version", version)
		}
		if _, _, err := h.qualified(base, arn.Reference{Name: name, Qualifier: version}); err != nil {
			return err
		}
	}
	a.Revision = invocation.NewID()
	return nil
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
	a := &alias{Version: arn.Latest}
	if err := h.fill(a, &in, name, e.Service.Prefix); err != nil {
		return err
	}
	err = h.book.change(name, func(own *record) error {
		if own.Aliases[in.Name] != nil {
			return fail(http.StatusConflict, "ResourceConflictException", "Alias already exists: %s", arn.Format(name, in.Name))
		}
		if own.Aliases == nil {
			own.Aliases = make(map[string]*alias)
		}
		own.Aliases[in.Name] = a
		return nil
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
	var changed *alias
	err = h.book.change(name, func(own *record) error {
		changed = own.Aliases[r.PathValue("alias")]
		switch {
		case changed == nil:
			return noAlias(name, r.PathValue("alias"))
		case in.RevisionId != nil && *in.RevisionId != changed.Revision:
			return fail(http.StatusPreconditionFailed, "PreconditionFailedException", "The RevisionId provided does not match that of the alias.")
		}
		return h.fill(changed, &in, name, e.Service.Prefix)
	})
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, aliasView(name, r.PathValue("alias"), changed))
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
	name, _, err := h.named(r)
	if err != nil {
		return err
	}
	err = h.book.change(name, func(own *record) error {
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
