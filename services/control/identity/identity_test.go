package identity_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/control/identity"
)

func TestParseScope(t *testing.T) {
	for given, want := range map[string]string{
		"read":                         "read",
		"follow":                       "follow",
		"admin":                        "admin",
		"deploy:/a":                    "deploy:/a",
		"deploy:a/":                    "deploy:/a",
		"deploy:a/*":                   "deploy:/a/*",
		"deploy:/*":                    "deploy:/*",
		"deploy:/":                     "deploy:/",
		"deploy:/* host: A.example":    "deploy:/* Host: a.example",
		"deploy:/a/b Host:a.example":   "deploy:/a/b Host: a.example",
		"deploy:/a/b/* X-Version: v2 ": "deploy:/a/b/* X-Version: v2",
	} {
		scope, err := identity.ParseScope(given)
		require.NoError(t, err, given)
		require.Equal(t, want, scope.String())
		again, err := identity.ParseScope(want)
		require.NoError(t, err)
		require.Equal(t, scope, again)
	}
	for given, words := range map[string]string{
		"":                  "unknown",
		"write":             "give read, deploy:PATTERN",
		"Read":              "unknown",
		"deploy":            "unknown",
		"deploy:":           "no pattern",
		"deploy:*":          "elsewhere",
		"deploy:/a*":        "elsewhere",
		"deploy:/*/a":       "elsewhere",
		"deploy:/a/*/*":     "elsewhere",
		"deploy:/a/../b":    "not a prefix",
		"deploy:/services":  "not a prefix",
		"deploy:/a/* ":      "not a prefix",
		"deploy:/a Host":    "not a prefix",
		"deploy:/a Host: *": "", // a value is no pattern: it is the beginning of the header's value
	} {
		_, err := identity.ParseScope(given)
		if words == "" {
			require.NoError(t, err, given)
			continue
		}
		require.ErrorContains(t, err, words, given)
	}
}

// FuzzParseScope checks that canonical texts are stable, and that no scope covers a service outside of its prefix.
func FuzzParseScope(f *testing.F) {
	for _, seed := range []string{"read", "deploy:/a/*", "deploy:/* Host: x", "deploy:/a /*", "deploy://*", "deploy:/a/* Host: x/*"} {
		f.Add(seed, "/a/b Host: xy")
	}
	f.Fuzz(func(t *testing.T, text, service string) {
		scope, err := identity.ParseScope(text)
		if err != nil {
			return
		}
		again, err := identity.ParseScope(scope.String())
		require.NoError(t, err)
		require.Equal(t, scope, again)
		key, err := routekey.Parse(service)
		if err == nil && scope != identity.Admin() && (identity.Scopes{scope}).Deploy(key) {
			require.Contains(t, scope.String(), "deploy:/")
		}
	})
}

func TestScopesCover(t *testing.T) {
	for _, c := range []struct {
		scope   string
		covered []string
		not     []string
	}{
		{"deploy:/a", []string{"/a", "/a Host: x"}, []string{"/", "/a/b", "/ab", "/b"}},
		{"deploy:/a/*", []string{"/a", "/a/b", "/a/b/c", "/a Host: x", "/a/b Host: x"}, []string{"/", "/ab", "/ab/c", "/b/a"}},
		{"deploy:/*", []string{"/", "/a", "/a/b Host: x"}, nil},
		{"deploy:/", []string{"/", "/ Host: x"}, []string{"/a"}},
		{
			"deploy:/* Host: a.example",
			[]string{"/ Host: a.example", "/x Host: a.example", "/x Host: a.example.org"},
			[]string{"/", "/x", "/ Host: a", "/ Host: b.example", "/ X-Host: a.example"},
		},
		{"read", nil, []string{"/", "/a"}},
		{"follow", nil, []string{"/", "/a"}},
	} {
		scopes, err := identity.ParseScopes([]string{c.scope})
		require.NoError(t, err)
		for _, key := range c.covered {
			require.True(t, scopes.Deploy(routekey.MustParse(key)), "%s covers %s", c.scope, key)
			require.True(t, scopes.Read(routekey.MustParse(key)), "%s sees %s", c.scope, key)
		}
		for _, key := range c.not {
			require.False(t, scopes.Deploy(routekey.MustParse(key)), "%s covers %s", c.scope, key)
			require.Equal(t, c.scope == "read" || c.scope == "follow", scopes.Read(routekey.MustParse(key)), "%s sees %s", c.scope, key)
		}
	}
	require.True(t, identity.Scopes{identity.Admin()}.Deploy(routekey.MustParse("/a")))
	require.False(t, identity.Scopes(nil).Read(routekey.MustParse("/a")))
	require.True(t, identity.Scopes{identity.Follow()}.Follow())
	require.True(t, identity.Scopes{identity.Admin()}.Follow())
	require.False(t, identity.Scopes{identity.Read()}.Follow(), "the catalogue has secrets")
}

func TestParseScopes(t *testing.T) {
	scopes, err := identity.ParseScopes([]string{"read", "deploy:b", "deploy:/a", "read", "deploy:/b"})
	require.NoError(t, err)
	require.Equal(t, "deploy:/a, deploy:/b, read", scopes.String())
	out, err := json.Marshal(scopes)
	require.NoError(t, err)
	require.JSONEq(t, `["deploy:/a","deploy:/b","read"]`, string(out))
	_, err = identity.ParseScopes([]string{"read", "all"})
	require.Error(t, err)
}

func TestRequestsEndWithTheirPrincipal(t *testing.T) {
	require.Empty(t, identity.Of(t.Context()).Scopes)
	gone := errors.New("revoked")
	ended, end := context.WithCancelCause(t.Context())
	ctx, stop := identity.With(t.Context(), &identity.Principal{Kind: identity.KindToken, Name: "ci", Ended: ended})
	defer stop()
	require.Equal(t, "token ci", identity.Of(ctx).String())
	require.NoError(t, ctx.Err())
	end(gone)
	<-ctx.Done()
	require.Equal(t, gone, context.Cause(ctx))

	ctx, stop = identity.With(t.Context(), identity.Local())
	stop()
	require.NoError(t, ctx.Err())
}
