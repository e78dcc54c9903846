package router

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/julienschmidt/httprouter"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
)

// Table maps paths to routes. It is immutable and safe for concurrent use.
type Table struct {
	trees  []*httprouter.Router // by number of segments; nil if no prefix has that many
	routes []*Route             // ordered by prefix, then by precedence

	incomplete bool // not all services are known: paths without a route are answered 503 instead of 404
}

// Incomplete returns a table with the same routes, for a server that does not know all
// of its services yet. Paths without a route are answered "not ready".
func (t *Table) Incomplete() *Table {
	other := *t
	other.incomplete = true
	return &other
}

// Complete returns a table with the same routes that answers paths without a route "not found".
func (t *Table) Complete() *Table {
	other := *t
	other.incomplete = false
	return &other
}

// place holds the routes of one prefix.
type place struct {
	matched []*Route // those with a match, in order of precedence
	plain   *Route   // the one without a match; may be nil
}

// lookupMethod is the method under which all prefixes are registered: a prefix serves all methods.
const lookupMethod = "*"

// BuildTable returns a table of routes, which may be empty. It has no side effects. The error lists all
// violations: non-canonical prefixes or matches, routes without a handler, and routes with the same key.
func BuildTable(routes []*Route) (*Table, error) {
	t := &Table{routes: slices.Clone(routes)}
	var errs []error
	owners := make(map[routekey.Key]*Route, len(routes))
	for i, r := range routes {
		if err := checkRoute(i, r, owners); err != nil {
			errs = append(errs, err)
			continue
		}
		owners[r.Key] = r
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	slices.SortFunc(t.routes, func(a, b *Route) int { return a.Key.Compare(b.Key) })
	var here *place
	for i, r := range t.routes {
		if i == 0 || r.Key.Prefix != t.routes[i-1].Key.Prefix {
			here = &place{}
			t.insert(r.Key.Prefix, here)
		}
		here.add(r)
	}
	return t, nil
}

// add must be called in order of precedence.
func (p *place) add(r *Route) {
	if r.Key.Match == (routekey.Match{}) {
		p.plain = r
		return
	}
	p.matched = append(p.matched, r)
}

func checkRoute(i int, r *Route, owners map[routekey.Key]*Route) error {
	switch {
	case r == nil:
		return fmt.Errorf("router: route %d is nil", i)
	case r.Handler == nil && r.split == nil:
		return fmt.Errorf("router: service %q has no handler", r.Service)
	}
	if err := r.Key.Canonical(); err != nil {
		return fmt.Errorf("router: service %q: %w", r.Service, err)
	}
	if owner := owners[r.Key]; owner != nil {
		return fmt.Errorf("router: services %q and %q are both bound to the prefix %q; remove one or choose another prefix",
			owner.Service, r.Service, r.Key)
	}
	return nil
}

// insert registers a checked prefix. The trees contain only whole prefixes without
// wildcards, so they cannot conflict.
func (t *Table) insert(prefix routekey.Prefix, p *place) {
	depth := prefix.Segments()
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

// found receives the place from a registered handle. httprouter stores only functions.
type found struct {
	http.ResponseWriter
	place *place
}

// nothing returns the problem of a path without a route.
func (t *Table) nothing() error {
	if t.incomplete {
		return notReady()
	}
	if len(t.routes) == 0 {
		return problem.New(problem.NotFound, `there are no services on this server yet; "vespo add" adds one, and "vespo new" makes a project to begin with`)
	}
	return notFound()
}

// Routes returns the routes ordered by prefix, then by precedence. The caller owns the slice.
func (t *Table) Routes() []*Route { return slices.Clone(t.routes) }
