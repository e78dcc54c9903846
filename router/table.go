package router

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/julienschmidt/httprouter"
)

// Table finds the route of a path. It is immutable and safe for concurrent use.
type Table struct {
	trees  []*httprouter.Router // by number of segments; nil where no prefix has that many
	routes []*Route             // ordered by prefix, then by precedence

	incomplete bool // services are still to come: a path without one is answered 503, not 404
}

// Incomplete returns a table with the same routes, for a server that does not know all of its services yet. Paths without a
// route are answered "not ready".
func (t *Table) Incomplete() *Table {
	other := *t
	other.incomplete = true
	return &other
}

// Complete returns a table with the same routes, where paths without a route are answered "not found".
func (t *Table) Complete() *Table {
	other := *t
	other.incomplete = false
	return &other
}

// place is all that is bound to one prefix.
type place struct {
	matched []*Route // those with a match, in their order of precedence
	plain   *Route   // the one without; nil if there is none
}

// lookupMethod is the one synthetic method under which all prefixes are registered: a prefix serves all methods.
const lookupMethod = "*"

// BuildTable makes a table of routes, which may be none. It has no side effects. The error lists all that is wrong: a
// prefix or match that is not canonical, a route without a handler, two routes with one prefix and one match.
func BuildTable(routes []*Route) (*Table, error) {
	t := &Table{routes: slices.Clone(routes)}
	var errs []error
	owners := make(map[Key]*Route, len(routes))
	for i, r := range routes {
		if err := checkRoute(i, r, owners); err != nil {
			errs = append(errs, err)
			continue
		}
		owners[r.Key()] = r
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	slices.SortFunc(t.routes, func(a, b *Route) int { return a.Key().Compare(b.Key()) })
	var here *place
	for i, r := range t.routes {
		if i == 0 || r.Prefix != t.routes[i-1].Prefix {
			here = &place{}
			t.insert(r.Prefix, here)
		}
		here.add(r)
	}
	return t, nil
}

// add takes the routes of a prefix in their order of precedence.
func (p *place) add(r *Route) {
	if r.Match == (Match{}) {
		p.plain = r
		return
	}
	p.matched = append(p.matched, r)
}

func checkRoute(i int, r *Route, owners map[Key]*Route) error {
	switch {
	case r == nil:
		return fmt.Errorf("router: route %d is nil", i)
	case !r.Prefix.valid():
		return fmt.Errorf("router: service %q: the prefix %q is not in canonical form; take it from ParsePrefix",
			r.Service, shorten(string(r.Prefix)))
	case !r.Key().valid():
		return fmt.Errorf("router: service %q: the match %q is not in canonical form; take it from ParseMatch",
			r.Service, shorten(r.Match.String()))
	case r.Handler == nil:
		return fmt.Errorf("router: service %q has no handler", r.Service)
	}
	if owner := owners[r.Key()]; owner != nil {
		return fmt.Errorf("router: services %q and %q are both bound to the prefix %q; remove one or choose another prefix",
			owner.Service, r.Service, r.Key())
	}
	return nil
}

// insert registers a checked prefix. Only whole prefixes without wildcards go into a tree, so nothing in it can conflict.
func (t *Table) insert(prefix Prefix, p *place) {
	depth := prefix.segments()
	for len(t.trees) <= depth {
		t.trees = append(t.trees, nil)
	}
	if t.trees[depth] == nil {
		t.trees[depth] = httprouter.New()
	}
	t.trees[depth].Handle(lookupMethod, string(prefix), func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) {
		w.(*found).place = p
	})
}

// found carries a place out of a registered handle, which is the only value that httprouter keeps.
type found struct {
	http.ResponseWriter
	place *place
}

// nothing is the problem of a path that no route has.
func (t *Table) nothing() error {
	if t.incomplete {
		return notReady()
	}
	return notFound()
}

// Routes gives the routes ordered by prefix, and by precedence at one prefix. The slice is the caller's.
func (t *Table) Routes() []*Route { return slices.Clone(t.routes) }
