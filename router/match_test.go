package router

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// keyed returns a route for each key.
func keyed(t *testing.T, keys ...string) (routes []*Route) {
	t.Helper()
	for _, text := range keys {
		key, err := routekey.Parse(text)
		require.NoError(t, err)
		routes = append(routes, NewRoute(Binding{Key: key, Service: text, Handler: HandlerFunc(answerNothing)}))
	}
	return routes
}

// asked returns a request with the Host and header lines.
func asked(path, host string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = host
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestMatchesAreLookedUp(t *testing.T) {
	table, err := BuildTable(keyed(t, "/", "/ Host: iam", "/ Host: iam.example", "/ X-Beta: 1", "/ X-Alfa: 1", "/a X-Beta: 1", "/a/b"))
	require.NoError(t, err)
	for _, c := range []struct {
		why, path, host string
		header          []string
		want            string
	}{
		{why: "no condition holds", path: "/", host: "other", want: "/"},
		{why: "a match goes before none", path: "/x", host: "iam", want: "/ Host: iam"},
		{why: "case and port do not count", path: "/x", host: "IAM.net:8080", want: "/ Host: iam"},
		{why: "the longest value wins", path: "/x", host: "iam.example.com", want: "/ Host: iam.example"},
		{why: "the beginning has to be whole", path: "/x", host: "ia", want: "/"},
		{why: "a longer value wins over another header", path: "/", host: "iam", header: []string{"X-Beta: 1"}, want: "/ Host: iam"},
		{why: "then the name decides", path: "/", host: "o", header: []string{"X-Beta: 1", "X-Alfa: 1"}, want: "/ X-Alfa: 1"},
		{why: "any of the values", path: "/", host: "o", header: []string{"X-Beta: 0", "X-Beta: 12"}, want: "/ X-Beta: 1"},
		{why: "the longest prefix wins over a match", path: "/a/b/c", host: "iam", header: []string{"X-Beta: 1"}, want: "/a/b"},
		{why: "a prefix of which no match holds is passed over", path: "/a/c", host: "iam", want: "/ Host: iam"},
		{why: "the longest prefix whose match holds", path: "/a/c", host: "iam", header: []string{"X-Beta: 1"}, want: "/a X-Beta: 1"},
	} {
		route, rest, ok := table.Lookup(c.path, asked(c.path, c.host, c.header...))
		require.True(t, ok, c.why)
		require.Equal(t, c.want, route.Service, c.why)
		require.Equal(t, c.path, strings.TrimSuffix(string(route.Key.Prefix), "/")+rest)
	}
	_, _, ok := mustFind(t, "/a Host: x").Lookup("/a", asked("/a", "y"))
	require.False(t, ok)
}

func mustFind(t *testing.T, keys ...string) *Table {
	t.Helper()
	table, err := BuildTable(keyed(t, keys...))
	require.NoError(t, err)
	return table
}

func TestTwoRoutesOfOneKeyAreRefused(t *testing.T) {
	_, err := BuildTable(append(keyed(t, "/a", "/a Host: x", "/b Host: x"), keyed(t, "/a host: X")...))
	require.ErrorContains(t, err, `are both bound to the prefix "/a Host: x"`)
	bad := keyed(t, "/a")
	bad[0].Key.Match = routekey.Match{Name: "host", Value: "X"}
	_, err = BuildTable(bad)
	require.ErrorContains(t, err, "not canonical")
}

// Calls between services must not depend on headers chosen by the caller.
func TestServicesAreCalledWithoutMatches(t *testing.T) {
	routes := keyed(t, "/a", "/a X-Beta: 1", "/b X-Beta: 1")
	for _, r := range routes {
		name := r.Service
		r.Handler = HandlerFunc(func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
			_, err := w.Write([]byte(name))
			return err
		})
	}
	table, err := BuildTable(routes)
	require.NoError(t, err)
	rt := New(Config{})
	rt.Publish(table)
	w := httptest.NewRecorder()
	require.NoError(t, rt.Dispatch("/a", w, asked("/a", "h", "X-Beta: 1"), nil))
	require.Equal(t, "/a", w.Body.String())
	err = rt.Dispatch("/b", httptest.NewRecorder(), asked("/b", "h", "X-Beta: 1"), nil)
	require.Equal(t, problem.NotFound, problem.From(err).Kind())
	w = httptest.NewRecorder()
	rt.ServeHTTP(w, asked("/a", "h", "X-Beta: 1"))
	require.Equal(t, "/a X-Beta: 1", w.Body.String())
}

func TestLookupOfMatchesAllocatesNothing(t *testing.T) {
	table := mustFind(t, "/", "/a Host: iam", "/a X-Beta: 1")
	r := asked("/a/b", "IAM.example.com:80", "X-Beta: 1")
	var f found
	require.Zero(t, testing.AllocsPerRun(100, func() { table.lookup("/a/b", r, &f) }))
}

// FuzzMatch checks that a service with a match is found by exactly the requests that fulfil it.
func FuzzMatch(f *testing.F) {
	for _, seed := range []string{"Host: iam", "host:IAM", "X-A: 1 2", "Host: [::1]", "Host: a:1", "User-Agent: ::"} {
		f.Add(seed, "iam:80", "1 2 3")
	}
	f.Fuzz(func(t *testing.T, text, host, value string) {
		m, err := routekey.ParseMatch(text)
		if err != nil || m == (routekey.Match{}) {
			return
		}
		table, err := BuildTable(keyed(t, "/a", routekey.Key{Prefix: "/a", Match: m}.String(), "/a X-Other: 1", "/a Host: other"))
		if err != nil {
			require.True(t, slices.Contains([]string{"X-Other: 1", "Host: other"}, m.String()))
			return
		}
		r := asked("/a", host)
		r.Header[m.Name] = []string{value}
		route, _, ok := table.Lookup("/a", r)
		require.True(t, ok)
		require.True(t, route.Key.Match.Holds(r.Host, r.Header))
		if m.Holds(r.Host, r.Header) {
			require.NotZero(t, route.Key.Match)
		}
	})
}
