package cgi

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
)

func address(s string) func() net.Addr {
	return func() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
}

// newExchange returns a plain request to a service at /a.
func newExchange() *abi.Exchange {
	return &abi.Exchange{
		Method:     "GET",
		URI:        "/a/b?c=d",
		Proto:      "HTTP/1.1",
		Scheme:     "http",
		Host:       "example.com:8080",
		RemoteAddr: "192.0.2.1:1234",
		LocalAddr:  address("198.51.100.2:80"),
		Invocation: abi.Invocation{Prefix: "/a", Rest: "/b"},
		Header:     abi.Header{},
		Body:       abi.Arrived(strings.NewReader("")),
	}
}

// variables returns the environment of a request as a map and checks its form.
func variables(t *testing.T, x *abi.Exchange, settings map[string]string) map[string]string {
	t.Helper()
	env := environment(x, settings)
	require.True(t, slices.IsSorted(env), "the same request gives the same environment")
	all := make(map[string]string, len(env))
	for _, v := range env {
		name, value, ok := strings.Cut(v, "=")
		require.True(t, ok)
		require.NotContains(t, all, name, "no variable is there twice")
		require.NotContains(t, v, "\x00")
		all[name] = value
	}
	return all
}

func TestMetaVariables(t *testing.T) {
	require.Equal(t, map[string]string{
		"AUTH_TYPE": "", "CONTENT_LENGTH": "", "CONTENT_TYPE": "", "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_SCHEME": "http", "HTTP_HOST": "example.com:8080",
		"PATH_INFO": "/b", "PATH_TRANSLATED": "/b", "QUERY_STRING": "c=d", "REMOTE_ADDR": "192.0.2.1", "REMOTE_HOST": "192.0.2.1",
		"REMOTE_PORT": "1234", "REMOTE_USER": "", "REQUEST_METHOD": "GET", "REQUEST_URI": "/a/b?c=d", "SCRIPT_NAME": "/a",
		"SERVER_NAME": "example.com", "SERVER_PORT": "8080", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "Vespo",
		"X_FULL_URL": "http://example.com:8080/a/b?c=d", "X_MATCHED_ROUTE": "/a/...", "X_RAW_PATH_INFO": "/b",
	}, variables(t, newExchange(), nil))
}

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		prefix, uri, rest                           string
		script, path, raw, query, url, route, argv0 string
	}{
		{"/", "/", "/", "", "/", "/", "", "http://h/", "/...", "/"},
		{"/", "/x/y?z", "/x/y", "", "/x/y", "/x/y", "z", "http://h/x/y?z", "/...", "/"},
		{"/a", "/a", "", "/a", "", "", "", "http://h/a", "/a/...", "/a"},
		{"/a", "/a/", "/", "/a", "/", "/", "", "http://h/a/", "/a/...", "/a"},
		{"/a/b", "/a/b/c/d?e=f&g", "/c/d", "/a/b", "/c/d", "/c/d", "e=f&g", "http://h/a/b/c/d?e=f&g", "/a/b/...", "/a/b"},
		{"/a", "/a/%C3%A4%20b", "/%C3%A4%20b", "/a", "/ä b", "/%C3%A4%20b", "", "http://h/a/%C3%A4%20b", "/a/...", "/a"},
		{"/a", "/a/b%2Fc", "/b%2Fc", "/a", "/b/c", "/b%2Fc", "", "http://h/a/b%2Fc", "/a/...", "/a"},
		{"/a", "/a/b+c", "/b+c", "/a", "/b+c", "/b+c", "", "http://h/a/b+c", "/a/...", "/a"},
		{"/a", "/a/%zz", "/%zz", "/a", "/%zz", "/%zz", "", "http://h/a/%zz", "/a/...", "/a"},
		{"/a", "/a/%00b", "/%00b", "/a", "/%00b", "/%00b", "", "http://h/a/%00b", "/a/...", "/a"},
		{"/a", "/a?x=%00&y=%20", "", "/a", "", "", "x=%00&y=%20", "http://h/a?x=%00&y=%20", "/a/...", "/a"},
	} {
		t.Run(c.uri, func(t *testing.T) {
			x := newExchange()
			x.Host, x.Prefix, x.URI, x.Rest = "h", c.prefix, c.uri, c.rest
			env := variables(t, x, nil)
			require.Equal(t, c.script, env["SCRIPT_NAME"])
			require.Equal(t, c.path, env["PATH_INFO"])
			require.Equal(t, c.path, env["PATH_TRANSLATED"])
			require.Equal(t, c.raw, env["X_RAW_PATH_INFO"])
			require.Equal(t, c.query, env["QUERY_STRING"])
			require.Equal(t, c.uri, env["REQUEST_URI"])
			require.Equal(t, c.url, env["X_FULL_URL"])
			require.Equal(t, c.route, env["X_MATCHED_ROUTE"])
			require.Equal(t, c.argv0, arguments(x)[0])
		})
	}
}

func TestServers(t *testing.T) {
	for _, c := range []struct {
		host, local      string
		name, port, full string
	}{
		{"example.com", "192.0.2.1:8080", "example.com", "8080", "http://example.com/a/b?c=d"},
		{"example.com:81", "192.0.2.1:8080", "example.com", "81", "http://example.com:81/a/b?c=d"},
		{"127.0.0.1:81", "127.0.0.1:81", "127.0.0.1", "81", "http://127.0.0.1:81/a/b?c=d"},
		{"[::1]:81", "[::1]:80", "[::1]", "81", "http://[::1]:81/a/b?c=d"},
		{"[::1]", "[::1]:80", "[::1]", "80", "http://[::1]/a/b?c=d"},
		{"example.com:", "192.0.2.1:8080", "example.com", "8080", "http://example.com:/a/b?c=d"},
		{"example.com:http", "192.0.2.1:8080", "example.com", "8080", "http://example.com:http/a/b?c=d"},
		{":81", "192.0.2.1:8080", "192.0.2.1", "81", "http://:81/a/b?c=d"},
		{"", "192.0.2.1:8080", "192.0.2.1", "8080", "http://192.0.2.1:8080/a/b?c=d"},
		{"", "[2001:db8::1]:8080", "[2001:db8::1]", "8080", "http://[2001:db8::1]:8080/a/b?c=d"},
	} {
		t.Run(c.host+" at "+c.local, func(t *testing.T) {
			x := newExchange()
			x.Host, x.LocalAddr = c.host, address(c.local)
			env := variables(t, x, nil)
			require.Equal(t, c.name, env["SERVER_NAME"])
			require.Equal(t, c.port, env["SERVER_PORT"])
			require.Equal(t, c.full, env["X_FULL_URL"])
			require.Equal(t, c.host, env["HTTP_HOST"])
		})
	}
}

func TestClients(t *testing.T) {
	x := newExchange()
	x.RemoteAddr, x.Scheme, x.Proto = "[2001:db8::2]:4321", "https", "HTTP/2.0"
	env := variables(t, x, nil)
	require.Equal(t, "2001:db8::2", env["REMOTE_ADDR"])
	require.Equal(t, "4321", env["REMOTE_PORT"])
	require.Equal(t, "on", env["HTTPS"])
	require.Equal(t, "HTTP/2.0", env["SERVER_PROTOCOL"])
	require.Equal(t, "https", env["REQUEST_SCHEME"])
	x.Host, x.RemoteAddr = "example.com", "192.0.2.1:0" // through a proxy
	env = variables(t, x, nil)
	require.Equal(t, []string{"192.0.2.1", "", "443"}, []string{env["REMOTE_ADDR"], env["REMOTE_PORT"], env["SERVER_PORT"]})
	x.ServerPort = "8443"
	require.Equal(t, "8443", variables(t, x, nil)["SERVER_PORT"])
	x.RemoteAddr = "@"
	require.Equal(t, "@", variables(t, x, nil)["REMOTE_ADDR"], "a client on a socket of the host's")
}

func TestLengths(t *testing.T) {
	for _, c := range []struct {
		length int64
		header []string
		want   string
	}{{0, nil, ""}, {0, []string{"0"}, "0"}, {5, []string{"5"}, "5"}, {7, nil, "7"}, {1 << 40, nil, "1099511627776"}} {
		x := newExchange()
		x.ContentLength = c.length
		x.Header["Content-Type"] = []string{"text/plain", "ignored"}
		if c.header != nil {
			x.Header["Content-Length"] = c.header
		}
		env := variables(t, x, nil)
		require.Equal(t, c.want, env["CONTENT_LENGTH"])
		require.Equal(t, "text/plain", env["CONTENT_TYPE"])
		require.NotContains(t, env, "HTTP_CONTENT_LENGTH")
		require.NotContains(t, env, "HTTP_CONTENT_TYPE")
	}
}

func TestHeadersAreVariables(t *testing.T) {
	x := newExchange()
	x.Header = abi.Header{
		"Accept": {"a", "b"}, "Cookie": {"c=1", "d=2"}, "X-Forwarded-For": {"192.0.2.9"}, "X1-2": {""}, "Content-Type": {"text/plain"},
		"Authorization": {"secret"}, "Connection": {"close"}, "Proxy": {"http://evil"},
		"X_forwarded_for": {"spoofed"}, "X.y": {"z"}, "X!": {"z"},
	}
	env := variables(t, x, nil)
	for name := range env {
		if !strings.HasPrefix(name, "HTTP_") {
			delete(env, name)
		}
	}
	require.Equal(t, map[string]string{"HTTP_ACCEPT": "a, b", "HTTP_COOKIE": "c=1; d=2", "HTTP_HOST": "example.com:8080",
		"HTTP_X1_2": "", "HTTP_X_FORWARDED_FOR": "192.0.2.9"}, env)
}

func TestSettingsAreVariablesToo(t *testing.T) {
	x := newExchange()
	meta := variables(t, x, nil)
	settings := map[string]string{"DATABASE": "db=1", "lower": "case", "EMPTY": "", "HTTP_PROXY": "http://evil", "HTTP_X": "y",
		"": "x", "A=B": "x", "NUL\x00": "x", "NUL": "\x00"}
	for name := range meta {
		settings[name] = "overridden"
	}
	x.Header["X"] = []string{"z"}
	env := variables(t, x, settings)
	want := map[string]string{"DATABASE": "db=1", "lower": "case", "EMPTY": "", "HTTP_X": "z"}
	for name, value := range meta {
		want[name] = value
	}
	require.Equal(t, want, env)
}

func TestArguments(t *testing.T) {
	for query, want := range map[string][]string{
		"":                  nil,
		"?":                 nil,
		"?word":             {"word"},
		"?a+b":              {"a", "b"},
		"?a%20b+%C3%A4%2Bc": {"a b", "ä+c"},
		"?a%3Db":            {"a=b"},
		"?%E9":              {"\xe9"},
		"?a=b":              nil,
		"?a+b=c":            nil,
		"?a+%zz":            nil,
		"?a+%00":            nil,
		"?-c&print(1)":      {"-c&print(1)"},
	} {
		x := newExchange()
		x.URI = "/a/b" + query
		require.Equal(t, []string{"/a"}, arguments(x), "%s: a client does not choose a program's options", query)
		x.QueryArgs = true
		require.Equal(t, append([]string{"/a"}, want...), arguments(x), query)
		x.Method = "POST"
		require.Equal(t, []string{"/a"}, arguments(x), "%s: no search", query)
	}
}

// FuzzEnvironment checks the variables of arbitrary requests.
func FuzzEnvironment(f *testing.F) {
	f.Add("/a/b?c=d", "/b", "example.com:80", "X-A", "b")
	f.Add("/a/%00?%00&&+", "/%00", "[::1", "Proxy", "x")
	f.Add("", "", "", "X_y", "\x00")
	f.Fuzz(func(t *testing.T, uri, rest, host, name, value string) {
		x := newExchange()
		x.URI, x.Rest, x.Host = uri, rest, host
		if canonical, ok := abi.CanonicalName(name); ok && abi.ValidValue(value) {
			x.Header[canonical] = []string{value}
		}
		if strings.ContainsRune(uri+rest+host, 0) { // no server accepts these
			return
		}
		env := variables(t, x, map[string]string{name: value})
		require.Equal(t, "GET", env["REQUEST_METHOD"])
		require.NotContains(t, env, "HTTP_PROXY")
		x.QueryArgs = true
		for _, arg := range arguments(x) {
			require.NotContains(t, arg, "\x00")
		}
	})
}
