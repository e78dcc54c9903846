package router

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vespo-dev/vespo/internal/routekey"
)

func FuzzParsePrefix(f *testing.F) {
	for _, seed := range []string{"", "/", "//", "test", "/a/b/", "a//b", "services", "services/x", "servicesx", ":a", "a/*b",
		"..", "a/./b", "%2f", "a\x00", "é", strings.Repeat("a/", 127), strings.Repeat("z", 64), "~", "-._~"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := routekey.ParsePrefix(s)
		if err != nil {
			var refused *routekey.Error
			require.ErrorAs(t, err, &refused)
			require.NotEmpty(t, refused.Violations)
			require.LessOrEqual(t, len(refused.Input), 83)
			return
		}
		again, err := routekey.ParsePrefix(string(p))
		require.NoError(t, err)
		require.Equal(t, p, again)
		require.LessOrEqual(t, len(p), routekey.MaxPrefixBytes)
		require.False(t, isReserved(string(p)))
		require.Nil(t, checkPath(string(p)))

		table := mustTable(t, p)
		base := strings.TrimSuffix(string(p), "/")
		for _, rest := range []string{"/", "/x", "//", "/x/y%2f"} {
			requireFinds(t, table, base+rest, p)
		}
		requireFinds(t, table, string(p), p)
		if p != "/" {
			_, _, ok := table.Lookup(string(p)+"x", nil)
			require.False(t, ok)
		}
	})
}

func requireFinds(t *testing.T, table *Table, path string, want routekey.Prefix) {
	t.Helper()
	route, rest, ok := table.Lookup(path, nil)
	require.True(t, ok, path)
	require.Equal(t, want, route.Key.Prefix, path)
	require.Equal(t, path, strings.TrimSuffix(string(want), "/")+rest)
}

// FuzzLookup compares the table with a naive implementation.
func FuzzLookup(f *testing.F) {
	f.Add("/ a a/b", "/a/b/c")
	f.Add("a/b/c/d a te test", "/te%73t/%2F")
	f.Add("a", "/a%2fb")
	f.Add("x y x/y/z", "//x")
	f.Add("x", "/%2e%2E/x/%00")
	f.Add("a b c d e f/g", "/%zz/%")
	f.Add("services2", "/%73ervices/")
	f.Fuzz(func(t *testing.T, prefixes, path string) {
		if len(path) > 1<<10 {
			t.Skip("the naive lookup takes quadratic time")
		}
		var list []routekey.Prefix
		known := map[routekey.Prefix]bool{}
		for _, s := range strings.Fields(prefixes) {
			if p, err := routekey.ParsePrefix(s); err == nil && !known[p] {
				list, known[p] = append(list, p), true
			}
		}
		route, rest, ok := mustTable(t, list...).Lookup(path, nil)
		wantPrefix, wantRest, wantOK := naiveLookup(known, path)
		require.Equal(t, wantOK, ok)
		require.Equal(t, wantRest, rest)
		if ok {
			require.Equal(t, wantPrefix, route.Key.Prefix)
		}
		requirePathIsSafe(t, path)
	})
}

func naiveLookup(known map[routekey.Prefix]bool, path string) (routekey.Prefix, string, bool) {
	if !strings.HasPrefix(path, "/") {
		return "", "", false
	}
	raw := strings.Split(path[1:], "/")
	for n := len(raw); n > 0; n-- {
		head := "/" + strings.Join(raw[:n], "/")
		if p := routekey.Prefix(naiveDecode(head)); p != "/" && known[p] {
			return p, path[len(head):], true
		}
	}
	if known["/"] {
		return "/", path, true
	}
	return "", "", false
}

var (
	escapeCode     = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	unreservedCode = regexp.MustCompile(`(?i)^%(2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])$`)
)

// naiveDecode decodes percent-encoded unreserved characters with regular expressions.
func naiveDecode(s string) string {
	return escapeCode.ReplaceAllStringFunc(s, func(code string) string {
		if c, err := url.PathUnescape(code); err == nil && unreservedCode.MatchString(code) {
			return c
		}
		return code
	})
}

// requirePathIsSafe checks that paths accepted by checkPath have no dot segments and no
// control characters in any decoding.
func requirePathIsSafe(t *testing.T, path string) {
	t.Helper()
	decoded, err := url.PathUnescape(path)
	if err != nil || checkPath(path) != nil {
		return
	}
	require.False(t, strings.ContainsFunc(decoded, func(r rune) bool { return r < 0x20 || r == 0x7f }))
	for segment := range strings.SplitSeq(path, "/") {
		name, err := url.PathUnescape(segment)
		require.NoError(t, err)
		require.NotContains(t, []string{".", ".."}, name)
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	name, err := url.PathUnescape(first)
	require.NoError(t, err)
	require.Equal(t, name == routekey.ReservedSegment, isReserved(path))
}
