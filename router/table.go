package router

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/julienschmidt/httprouter"
)

// Table finds the route of a path. It is immutable and safe for concurrent use.
type Table struct {
	trees  []*httprouter.Router // by number of segments; nil where no prefix has that many
	routes []*Route             // ordered by prefix
}

// lookupMethod is the one synthetic method under which all prefixes are registered: a prefix serves all methods.
const lookupMethod = "*"

// BuildTable makes a table of routes, which may be none. It has no side effects. The error lists all that is wrong: a
// prefix that is not canonical, a route without a handler, two routes with one prefix.
func BuildTable(routes []*Route) (*Table, error) {
	t := &Table{routes: slices.Clone(routes)}
	var errs []error
	owners := make(map[Prefix]*Route, len(routes))
	for i, r := range routes {
		if err := checkRoute(i, r, owners); err != nil {
			errs = append(errs, err)
			continue
		}
		owners[r.Prefix] = r
		t.insert(r)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	slices.SortFunc(t.routes, func(a, b *Route) int { return strings.Compare(string(a.Prefix), string(b.Prefix)) })
	return t, nil
}

func checkRoute(i int, r *Route, owners map[Prefix]*Route) error {
	switch {
	case r == nil:
		return fmt.Errorf("router: route %d is nil", i)
	case !r.Prefix.valid():
		return fmt.Errorf("router: service %q: the prefix %q is not in canonical form; take it from ParsePrefix",
			r.Service, shorten(string(r.Prefix)))
	case r.Handler == nil:
		return fmt.Errorf("router: service %q has no handler", r.Service)
	}
	if owner := owners[r.Prefix]; owner != nil {
		return fmt.Errorf("router: services %q and %q are both bound to the prefix %q; remove one or choose another prefix",
			owner.Service, r.Service, r.Prefix)
	}
	return nil
}

// insert registers a checked prefix. Only whole prefixes without wildcards go into a tree, so nothing in it can conflict.
func (t *Table) insert(r *Route) {
	depth := r.Prefix.segments()
	for len(t.trees) <= depth {
		t.trees = append(t.trees, nil)
	}
	if t.trees[depth] == nil {
		t.trees[depth] = httprouter.New()
	}
	t.trees[depth].Handle(lookupMethod, string(r.Prefix), func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) {
		w.(*found).route = r
	})
}

// found carries a route out of a registered handle, which is the only value that httprouter keeps.
type found struct {
	http.ResponseWriter
	route *Route
}

// Routes gives the routes ordered by prefix. The slice is the caller's.
func (t *Table) Routes() []*Route { return slices.Clone(t.routes) }
