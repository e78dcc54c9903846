package lambda

import (
	"errors"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/internal/arn"
)

// target is the service to invoke.
type target struct {
	name     string
	key      routekey.Key // of the version to execute
	kind     string
	arn      string // as requested, with the qualifier if any
	executed string // version to execute
}

// find returns the service that the path and query of a request name.
func (h *Handler) find(r *request) (target, error) {
	if !h.cfg.Catalogue.Ready() {
		return target{}, unavailable("the server is loading its services, or shutting down; try again", nil)
	}
	ref, err := arn.Parse(r.PathValue("function"))
	if err != nil {
		return target{}, invalid("%s", err)
	}
	if q := r.URL.Query().Get("Qualifier"); q != "" {
		switch {
		case !arn.ValidQualifier(q):
			return target{}, invalid("the qualifier %.140q can be neither a version nor an alias", q)
		case ref.Qualifier != "" && ref.Qualifier != q:
			return target{}, invalid("the qualifier in the query and the one of the function differ")
		}
		ref.Qualifier = q
	}
	entry, err := h.entry(ref.Name)
	if err != nil {
		return target{}, err
	}
	if entry.Service.Key.Match != (routekey.Match{}) {
		return target{}, notFound("Function not found: %s: a service that a header chooses cannot be invoked by its name", arn.Format(ref.Name, ""))
	}
	key, version, err := h.qualified(entry.Service.Key, ref)
	if err != nil {
		return target{}, err
	}
	if version != arn.Latest {
		if entry, err = h.cfg.Catalogue.Inspect(key); err != nil {
			return target{}, err
		}
	}
	return target{name: ref.Name, key: key, kind: entry.Service.Current.Kind, arn: arn.Format(ref.Name, ref.Qualifier), executed: version}, nil
}

// entry returns the service of a function name: the one at
// this prefix, or one whose prefix has several segments.
func (h *Handler) entry(name string) (deploy.Entry, error) {
	entry, err := h.cfg.Catalogue.Inspect(routekey.Key{Prefix: routekey.Prefix("/" + name)})
	if !errors.Is(err, registry.ErrNotFound) {
		return entry, err
	}
	for _, e := range h.cfg.Catalogue.List() {
		if arn.Name(e.Service.Key.String()) == name {
			return e, nil
		}
	}
	return deploy.Entry{}, notFound("Function not found: %s", arn.Format(name, ""))
}
