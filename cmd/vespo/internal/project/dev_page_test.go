package project

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

func TestBuildPage(t *testing.T) {
	const html, problem = "text/html,application/xhtml+xml;q=0.9", "main.go:3: 1 < 2 & \"x\""
	for _, c := range []struct {
		prefix               registry.Prefix
		method, path, accept string
		want                 bool
	}{
		{"/", "GET", "/", html, true},
		{"/", "GET", "/any/path", html, true},
		{"/", "GET", "/any/path", "*/*", false},
		{"/", "GET", "/any/path", "", false},
		{"/", "POST", "/any/path", html, false},
		{"/", "GET", "/services", html, false},
		{"/", "GET", "/services/list", html, false},
		{"/", "GET", "/servicesX", html, true},
		{"/a/b", "GET", "/a/b", html, true},
		{"/a/b", "GET", "/a/b/", html, true},
		{"/a/b", "GET", "/a/b/c", html, true},
		{"/a/b", "GET", "/a/bc", html, false},
		{"/a/b", "GET", "/a", html, false},
		{"/a/b", "GET", "/", html, false},
	} {
		p := &buildPage{prefix: c.prefix, next: http.NotFoundHandler()}
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Header.Set("Accept", c.accept)
		ask := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			return w
		}
		require.Equal(t, http.StatusNotFound, ask().Code, "nothing has failed yet")
		p.show(problem)
		if w := ask(); c.want {
			require.Equal(t, http.StatusServiceUnavailable, w.Code, c)
			require.Contains(t, w.Body.String(), "<pre>main.go:3: 1 &lt; 2 &amp; &#34;x&#34;</pre>")
		} else {
			require.Equal(t, http.StatusNotFound, w.Code, c)
		}
		p.clear()
		require.Equal(t, http.StatusNotFound, ask().Code, "it is right again")
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	w := &tail{limit: 10}
	for _, text := range []string{"0123", "", "456789ab", strings.Repeat("x", 25) + "the end 1!", "2"} {
		n, err := w.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, len(text), n)
	}
	require.Equal(t, "he end 1!2", w.String())
}
