package router

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/page"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
)

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// browse requests a path as a browser does that navigates to it.
func (h *house) browse(method, path string) (*http.Response, string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL+path, nil)
	require.NoError(h.t, err)
	r.Header.Set("Accept", browser)
	answer, err := h.server.Client().Do(r)
	require.NoError(h.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(h.t, err)
	return answer, string(body)
}

// TestBrowsersGetPages checks the pages of failures: with the request id, and without the fields of the service.
func TestBrowsersGetPages(t *testing.T) {
	h := newHouse(t, Config{}, binding("/trap", func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Content-Security-Policy", "default-src *")
		return problem.New(problem.Trap, "the <service> trapped")
	}))
	for _, c := range []struct {
		path, text string
		status     int
	}{
		{"/trap", "the &lt;service&gt; trapped", 500},
		{"/none", "no service is bound", 404},
		{"/" + routekey.ReservedSegment, "no service is bound", 404},
		{"/a/../%3Cscript%3E", "<h1>Bad request</h1>", 400},
	} {
		answer, body := h.browse("GET", c.path)
		require.Equal(t, c.status, answer.StatusCode, c.path)
		require.Equal(t, "text/html; charset=utf-8", answer.Header.Get("Content-Type"))
		require.Equal(t, page.Policy, answer.Header.Get("Content-Security-Policy"))
		require.Equal(t, "Accept", answer.Header.Get("Vary"))
		require.Empty(t, answer.Header.Get("Set-Cookie"))
		require.Contains(t, body, c.text)
		require.NotContains(t, body, "<script>")
		require.Contains(t, body, "<code>"+h.record().RequestID+"</code>")
	}
	answer, body := h.browse("HEAD", "/none")
	require.Equal(t, "text/html; charset=utf-8", answer.Header.Get("Content-Type"))
	require.Positive(t, answer.ContentLength)
	require.Empty(t, body)
	h.record()
	answer, sent := h.do("GET", "/none", nil) // not a browser
	h.requireProblem(problem.NotFound, answer, sent)
	require.Equal(t, "Accept", answer.Header.Get("Vary"))
}

// TestEmptyServerSaysWhatToDo checks what a browser and other clients get from a server without services.
func TestEmptyServerSaysWhatToDo(t *testing.T) {
	h := newHouse(t, Config{})
	answer, body := h.browse("GET", "/")
	require.Equal(t, 404, answer.StatusCode)
	require.Contains(t, body, "no services on this server yet; &#34;vespo add&#34; adds one")
	_, sent := h.do("GET", "/", nil)
	require.Contains(t, strings.ReplaceAll(string(sent), `\"`, `"`), `"vespo add" adds one`)
}
