package admin

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/control/identity"
)

// TestEveryPathNamesWhatItNeeds checks that the table and the paths of the API are the same.
func TestEveryPathNamesWhatItNeeds(t *testing.T) {
	paths := slices.Sorted(maps.Keys(New(Config{}).endpoints))
	require.Equal(t, paths, slices.Sorted(maps.Keys(needs())))
	require.NotContains(t, slices.Collect(maps.Values(needs())), needUnset)
}

// TestEveryScopeOnEveryPath tries the scopes one by one, on every path and with services inside and outside of a pattern.
func TestEveryScopeOnEveryPath(t *testing.T) {
	const inside, below, outside, none = "/a", "/a/b", "/ab", ""
	services := []string{inside, below, outside, none}
	scopes := []string{"", "read", "follow", "deploy:/a", "deploy:/a/*", "deploy:/*", "admin"}
	// allowed returns the services, of those above, that a request of the scope may concern.
	allowed := map[need]map[string][]string{
		needNothing: {"": services, "read": services, "follow": services, "deploy:/a": services, "deploy:/a/*": services, "deploy:/*": services},
		needCaller:  {"read": services, "follow": services, "deploy:/a": services, "deploy:/a/*": services, "deploy:/*": services},
		needOwn:     {"read": services, "follow": services, "deploy:/a": services, "deploy:/a/*": services, "deploy:/*": services},
		needBody:    {"deploy:/a": services, "deploy:/a/*": services, "deploy:/*": services},
		needOne:     {"read": services, "follow": services, "deploy:/a": {inside}, "deploy:/a/*": {inside, below}, "deploy:/*": {inside, below, outside}},
		needRead:    {"read": services, "follow": services},
		needFollow:  {"follow": services},
		needDeploy:  {"deploy:/a": {inside}, "deploy:/a/*": {inside, below}, "deploy:/*": {inside, below, outside}},
		needAdmin:   {},
		needUnset:   {},
	}
	for path, n := range needs() {
		for _, scope := range scopes {
			for _, service := range services {
				require.Equal(t, scope == "admin" || slices.Contains(allowed[n][scope], service), may(t, path, n, scope, service),
					"%s with scope %q for service %q", path, scope, service)
			}
		}
	}
	require.False(t, may(t, "/services/new", needUnset, "read", none), "what has no line in the table needs admin")
	require.True(t, may(t, "/services/new", needUnset, "admin", none))
}

// may reports whether a caller with the scope may send a request for the service.
func may(t *testing.T, path string, n need, scope, service string) bool {
	t.Helper()
	caller := &identity.Principal{Kind: identity.KindToken, Name: "t"}
	if scope != "" {
		scopes, err := identity.ParseScopes([]string{scope})
		require.NoError(t, err)
		caller.Scopes = scopes
	}
	query := ""
	if service != "" {
		query = "?prefix=" + url.QueryEscape(service)
	}
	r := httptest.NewRequest(http.MethodGet, path+query, nil)
	ctx, stop := identity.With(r.Context(), caller)
	defer stop()
	return authorise(r.WithContext(ctx), n) == nil
}

// A query that names a service twice, or in a way that its handler reads otherwise, is not one for a service of the pattern.
func TestQueriesThatNameSeveralServices(t *testing.T) {
	for query, want := range map[string]string{
		"prefix=/a":                    "/a",
		"prefix=a/":                    "/a",
		"prefix=/a&match=Host:+x":      "/a Host: x",
		"prefix=/a&prefix=/b":          "",
		"prefix=/a&match=A:1&match=B:": "",
		"prefix=/a;prefix=/b":          "",
		"prefix=/a/../b":               "",
		"prefix=":                      "",
		"Prefix=/a":                    "",
		"prefix=%2Fa%2F..%2Fb":         "",
	} {
		r := httptest.NewRequest(http.MethodGet, "/services/inspect?"+query, nil)
		key, err := queryKey(r)
		if want == "" {
			require.Error(t, err, query)
			require.True(t, key.IsZero(), query)
		} else {
			require.Equal(t, want, key.String())
		}
	}
}
