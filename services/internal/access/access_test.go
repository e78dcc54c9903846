package access

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
)

// from returns a request from this machine over a loopback listener.
func from(method string, headers ...[2]string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:4242/", nil)
	r.RemoteAddr = "127.0.0.1:1"
	r = r.WithContext(WithListener(r.Context(), &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4242}))
	for _, h := range headers {
		r.Header.Set(h[0], h[1])
	}
	return r
}

// TestPagesAreRefusedWithoutToken checks that without a token all requests from pages
// are refused. A page of another origin cannot read the response, but its request
// could have an effect. A page of a service has the server's origin.
func TestPagesAreRefusedWithoutToken(t *testing.T) {
	g := New(Surface{Name: "the surface", ListenFlag: "--x-listen", Example: "127.0.0.1:1", TokenFlag: "--x-token"}, "")
	for _, c := range []struct {
		name           string
		request        *http.Request
		reads, changes bool
	}{
		{"a program", from("GET"), true, true},
		{"a URL that a user typed", from("GET", [2]string{"Sec-Fetch-Site", "none"}), true, true},
		{"a page elsewhere reads", from("GET", [2]string{"Sec-Fetch-Site", "cross-site"}), false, false},
		{"a page of an older browser", from("GET", [2]string{"Origin", "https://example.com"}), false, false},
		{"a page of a service", from("GET", [2]string{"Sec-Fetch-Site", "same-origin"}), false, false},
		{"a page of a service posts", from("POST", [2]string{"Origin", "http://127.0.0.1:4242"}), false, false},
		{"a page on another port", from("GET", [2]string{"Sec-Fetch-Site", "same-site"}), false, false},
		{"a page without an origin", from("GET", [2]string{"Origin", "null"}), false, false},
		{"a value that no browser sends", from("GET", [2]string{"Sec-Fetch-Site", ""}), false, false},
		{"a page elsewhere posts", from("POST", [2]string{"Sec-Fetch-Site", "cross-site"}), false, false},
		{"a proxy", from("GET", [2]string{"Via", "1.1 x"}), false, false},
		{"a service", from("GET", [2]string{CallerHeader, "/a"}), false, false},
	} {
		require.Equal(t, c.reads, g.Check(c.request) == nil, c.name)
		require.Equal(t, c.changes, g.CheckChange(c.request) == nil, c.name)
	}
	twice := from("GET")
	twice.Header["Sec-Fetch-Site"] = []string{"none", "same-origin"}
	require.Error(t, g.Check(twice))
	method := from("GET")
	require.NoError(t, g.CheckChange(method))
	require.Equal(t, "GET", method.Method, "the request stays as it is")
}

func TestRefusalsNameTheSurface(t *testing.T) {
	surface := Surface{Name: "the surface", ListenFlag: "--x-listen", Example: "127.0.0.1:1", TokenFlag: "--x-token"}
	public := httptest.NewRequest("GET", "/", nil)
	err := New(surface, "").Check(public)
	require.ErrorContains(t, err, "the surface is off on this listener")
	require.ErrorContains(t, err, "--x-token, or with --x-listen on a loopback address such as 127.0.0.1:1")
	require.Equal(t, problem.Forbidden, problem.From(err).Kind())
	err = New(surface, "secret").Check(public)
	require.ErrorContains(t, err, "the server's --x-token")
	require.Equal(t, problem.Unauthorized, problem.From(err).Kind())
}

// With a token, pages of other origins may read but not change. Pages of the server's own origin may do both.
func TestPagesWithToken(t *testing.T) {
	g := New(Surface{Name: "the surface", ListenFlag: "--x-listen", Example: "127.0.0.1:1", TokenFlag: "--x-token"}, "secret")
	bearer := [2]string{"Authorization", "Bearer secret"}
	elsewhere := [2]string{"Origin", "https://example.com"}
	require.NoError(t, g.Check(from("GET", bearer, elsewhere)))
	require.Error(t, g.Check(from("POST", bearer, elsewhere)))
	require.Error(t, g.CheckChange(from("GET", bearer, elsewhere)))
	require.NoError(t, g.Check(from("POST", bearer, [2]string{"Sec-Fetch-Site", "same-origin"})))
}

func TestRefusalsNameNoFlagWhereThereIsNone(t *testing.T) {
	err := New(Surface{Name: "the surface"}, "").Check(from("GET", [2]string{"Origin", "null"}))
	require.ErrorContains(t, err, "use a client that is no browser")
	require.NotContains(t, err.Error(), "start the server")
}
