package proxy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTarget(t *testing.T) {
	for _, c := range []struct{ base, path, want string }{
		{"", "", "/"},
		{"", "/", "/"},
		{"", "//a//", "//a//"},
		{"/v1", "", "/v1"},
		{"/v1", "/", "/v1/"},
		{"/v1", "/a/b", "/v1/a/b"},
		{"/v%2F1", "/a%2Fb", "/v%2F1/a%2Fb"},
		{"", "/%61|%2f\xff%25", "/%61%7C%2f%FF%25"},
		{"", "/a:b;c=d,e@f!$&'()*+[]", "/a:b;c=d,e@f!$&'()*+[]"},
	} {
		u := origin{scheme: "http", host: "a", path: c.base}.target(c.path, &url.URL{RawQuery: "x;y=%zz"})
		require.Equal(t, c.want+"?x;y=%zz", u.RequestURI(), c.path)
	}
	require.Equal(t, "/?", origin{scheme: "h2c", host: "a"}.target("", &url.URL{ForceQuery: true}).RequestURI())
}

// requireLeadsTo checks the target URL of a path. It skips paths without a leading
// slash or with malformed escapes.
func requireLeadsTo(t *testing.T, o origin, path string) {
	t.Helper()
	if _, err := url.PathUnescape(path); err != nil || !strings.HasPrefix(path, "/") {
		return
	}
	u := o.target(path, &url.URL{})
	require.Equal(t, o.host, u.Host)
	require.Contains(t, []string{"http", "https"}, u.Scheme)
	line := u.RequestURI()
	require.True(t, strings.HasPrefix(line, o.path+"/"), line)
	require.False(t, strings.ContainsAny(line, " \r\n?#"), line)
	want, err := url.PathUnescape(path)
	require.NoError(t, err)
	got, err := url.PathUnescape(strings.TrimPrefix(line, o.path))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, strings.Count(path, "/"), strings.Count(strings.TrimPrefix(line, o.path), "/"), "an encoded slash separates nothing")
}

func TestClimbs(t *testing.T) {
	for _, path := range []string{"/..%2fx", "/..%2Fx", "/a%2f..%2fb", "/..%5cx", `/..\x`, "/..;/x", "/..;a=b/x", "/%2e%2e;/x", "/..%3b/x", "/a%2f%2e%2e", "/..%252fx",
		"/%252e%252e/x", "/a%5C..", "/%2e%2e", "/..%3Bx%2fy", "/%2e%252e%252fx"} {
		require.True(t, climbs(path), path)
	}
	for _, path := range []string{"", "/", "/a%2Fb", "/...", "/..a", "/a..", "/a..%2fb", "/%2e%2ea", "/a;..", "/%", "/%2", "/%zz..", "/a%2f.%2fb", "/..%zz", "/.%2f.",
		"/a%25b"} {
		require.False(t, climbs(path), path)
	}
	p := &plan{upstreams: []origin{{host: "a"}}}
	require.False(t, p.confined("/api"))
	require.True(t, (&plan{upstreams: []origin{{host: "a"}}, keepPrefix: true}).confined("/api"))
	require.False(t, (&plan{upstreams: []origin{{host: "a"}}, keepPrefix: true}).confined("/"))
	require.True(t, (&plan{upstreams: []origin{{host: "a"}, {host: "b", path: "/v1"}}}).confined("/"))
}

// FuzzClimbs checks that a path accepted by climbs never leads above its start, however often it is decoded.
func FuzzClimbs(f *testing.F) {
	for _, seed := range []string{"/..%2fx", "/a/%2e%2e/b", "/..;/x", "/%252e%252e%252f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		if climbs(rest) {
			return
		}
		for range decodings + 1 {
			depth := 0
			for segment := range strings.SplitSeq(strings.ReplaceAll(rest, `\`, "/"), "/") {
				if name, _, _ := strings.Cut(segment, ";"); name == ".." {
					depth--
				} else if name != "." && name != "" {
					depth++
				}
				require.GreaterOrEqual(t, depth, 0, rest)
			}
			decoded, err := url.PathUnescape(rest)
			if err != nil {
				return
			}
			rest = decoded
		}
	})
}

func TestDropH2C(t *testing.T) {
	for upgrade, dropped := range map[string]bool{
		"websocket": false, "tcp": false, "": false, "h2c": true, "H2C": true, "websocket, h2c": true, "HTTP/2.0": true, "h2": true, "h2cx": false,
	} {
		h := http.Header{"Upgrade": {upgrade}, "Connection": {"Upgrade"}, "Http2-Settings": {"AAMAAABkAAQ"}}
		dropH2C(h)
		require.Equal(t, dropped, len(h) == 0, upgrade)
	}
}
