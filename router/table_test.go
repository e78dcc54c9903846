package router

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
)

func answerNothing(http.ResponseWriter, *Request, *accesslog.Result) error { return nil }

// routesOf returns one route for each prefix. The prefix is also the name of the service.
func routesOf(prefixes ...routekey.Prefix) []*Route {
	routes := make([]*Route, 0, len(prefixes))
	for _, p := range prefixes {
		routes = append(routes, NewRoute(Binding{Key: routekey.Key{Prefix: p}, Service: string(p), Handler: HandlerFunc(answerNothing)}))
	}
	return routes
}

func mustTable(t testing.TB, prefixes ...routekey.Prefix) *Table {
	t.Helper()
	table, err := BuildTable(routesOf(prefixes...))
	require.NoError(t, err)
	return table
}

func TestLookup(t *testing.T) {
	nested := []routekey.Prefix{"/test", "/a", "/a/b", "/a/b/c/d", "/te", "/x/y"}
	for _, c := range []struct {
		path string
		want routekey.Prefix // "" for none
		rest string
	}{
		{"/test", "/test", ""},
		{"/test/", "/test", "/"},
		{"/test/a/b", "/test", "/a/b"},
		{"/test//a", "/test", "//a"},
		{"/testing", "", ""},
		{"/tes", "", ""},
		{"/te/st", "/te", "/st"},
		{"/Test", "", ""},
		{"//test", "", ""},
		{"/a", "/a", ""},
		{"/a/b", "/a/b", ""},
		{"/a/bb", "/a", "/bb"},
		{"/a//b", "/a", "//b"},
		{"/a/b/c", "/a/b", "/c"},
		{"/a/b/c/dd", "/a/b", "/c/dd"},
		{"/a/b/c/d/", "/a/b/c/d", "/"},
		{"/a/b/c/d/e/f", "/a/b/c/d", "/e/f"},
		{"/x", "", ""},
		{"/x/", "", ""},
		{"/x/y", "/x/y", ""},
		{"/te%73t", "/test", ""},
		{"/%74%65%73%74/%41%2f", "/test", "/%41%2f"},
		{"/a%2Fb", "", ""},
		{"/a/b%2Fc/d", "/a", "/b%2Fc/d"},
		{"/a/%62/%63/d/%65", "/a/b/c/d", "/%65"},
		{"/test%", "", ""},
		{"/test%7", "", ""},
		{"/test/%zz", "/test", "/%zz"},
		{"/%2574est", "", ""},
		{"", "", ""},
		{"/", "", ""},
		{"*", "", ""},
		{"test", "", ""},
	} {
		route, rest, ok := mustTable(t, nested...).Lookup(c.path, nil)
		require.Equal(t, c.want != "", ok, c.path)
		if ok {
			require.Equal(t, c.want, route.Key.Prefix, c.path)
		}
		require.Equal(t, c.rest, rest, c.path)

		// An additional "/" gets only the paths that match no other prefix.
		route, rest, ok = mustTable(t, append(nested, "/")...).Lookup(c.path, nil)
		switch {
		case c.want != "":
			require.Equal(t, c.want, route.Key.Prefix, c.path)
		case c.path != "" && c.path[0] == '/':
			require.True(t, ok, c.path)
			require.Equal(t, routekey.Prefix("/"), route.Key.Prefix, c.path)
			require.Equal(t, c.path, rest)
		default:
			require.False(t, ok, c.path)
		}
	}
}

func TestEmptyTableFindsNothing(t *testing.T) {
	for _, path := range []string{"", "/", "/a", "/a/b", "*"} {
		_, _, ok := mustTable(t).Lookup(path, nil)
		require.False(t, ok, path)
	}
}

func TestBuildTableRefuses(t *testing.T) {
	twice := routesOf("/a", "/b", "/a")
	twice[0].Service, twice[2].Service = "first", "second"
	_, err := BuildTable(twice)
	require.ErrorContains(t, err, `services "first" and "second" are both bound to the prefix "/a"`)

	bad := append(routesOf("a", "/a/", "/:x", "/services/x", ""), nil, NewRoute(Binding{Key: routekey.Key{Prefix: "/h"}, Service: "handlerless"}))
	_, err = BuildTable(bad)
	for _, part := range []string{`service "a"`, `service "/a/"`, `service "/:x"`, `service "/services/x"`, `service ""`,
		"route 5 is nil", `service "handlerless" has no handler`} {
		require.ErrorContains(t, err, part)
	}
}

func TestTableKeepsItsRoutes(t *testing.T) {
	routes := routesOf("/b", "/", "/a")
	table, err := BuildTable(routes)
	require.NoError(t, err)
	want := []*Route{routes[1], routes[2], routes[0]}
	routes[0] = nil
	require.Equal(t, want, table.Routes())
	table.Routes()[0] = nil
	require.Equal(t, want, table.Routes())
}

func TestLookupAllocations(t *testing.T) {
	table := mustTable(t, "/", "/a", "/a/b/c")
	for _, path := range []string{"/a/b/c/d/e", "/a/x", "/other"} {
		var f found
		require.Zero(t, testing.AllocsPerRun(100, func() { table.lookup(path, nil, &f) }), path)
	}
}
