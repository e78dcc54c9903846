package live

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/page"
)

const browser = "text/html,application/xhtml+xml,*/*;q=0.8"

// serving returns a Live in front of a handler, on a real server.
func serving(t *testing.T, cfg Config, next http.HandlerFunc) (*Live, *httptest.Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cfg.Name, cfg.Closing = "hello", ctx
	if cfg.Prefix == "" {
		cfg.Prefix = "/"
	}
	l := New(cfg)
	s := httptest.NewServer(l.Handler(next))
	t.Cleanup(s.Close)
	t.Cleanup(cancel)
	return l, s
}

// get requests a path with header fields in pairs. It does not decompress.
func get(t *testing.T, s *httptest.Server, path string, fields ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+path, nil)
	require.NoError(t, err)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	resp, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func TestBrowsersSeeTheStateOfTheBuild(t *testing.T) {
	failure := Failure{
		Title:  "Build failed",
		Output: "main.go:3: 1 < 2 & \"x\"",
		Diagnostics: []Diagnostic{{
			File:    "main.go",
			Line:    3,
			Column:  2,
			Message: "1 < 2",
			Excerpt: []Line{{Number: 3, Text: "\t<b>", Here: true}},
		}},
	}
	for _, c := range []struct {
		prefix, method, path, accept, dest string
		want                               bool
	}{
		{"/", "GET", "/", browser, "", true},
		{"/", "GET", "/any/path", browser, "document", true},
		{"/", "GET", "/any/path", browser, "iframe", true},
		{"/", "GET", "/any/path", browser, "empty", false},
		{"/", "GET", "/any/path", "*/*", "", false},
		{"/", "GET", "/any/path", "", "", false},
		{"/", "POST", "/any/path", browser, "document", false},
		{"/", "GET", "/services", browser, "", false},
		{"/", "GET", "/services/list", browser, "", false},
		{"/", "GET", "/servicesX", browser, "", true},
		{"/a/b", "GET", "/a/b", browser, "", true},
		{"/a/b", "GET", "/a/b/", browser, "", true},
		{"/a/b", "GET", "/a/b/c", browser, "", true},
		{"/a/b", "GET", "/a/bc", browser, "", false},
		{"/a/b", "GET", "/a", browser, "", false},
		{"/a/b", "GET", "/", browser, "", false},
	} {
		l := New(Config{Name: "hello", Prefix: c.prefix, Closing: t.Context()})
		handler := l.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
		ask := func() (int, string) {
			r := httptest.NewRequest(c.method, c.path, nil)
			r.Host = "localhost:8080"
			r.Header.Set("Accept", c.accept)
			r.Header.Set("Sec-Fetch-Dest", c.dest)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return w.Code, w.Body.String()
		}
		status, body := ask()
		ours := below(c.path, c.prefix) && !below(c.path, "/services")
		switch {
		case c.want:
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Contains(t, body, "Building hello</h1>")
		case ours:
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Contains(t, body, "the first build has been running for 0 s")
		default:
			require.Equal(t, http.StatusTeapot, status, c)
		}
		l.Board.Fail(failure)
		status, body = ask()
		switch {
		case c.want:
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Contains(t, body, "<pre>main.go:3: 1 &lt; 2 &amp; &#34;x&#34;</pre>")
			require.Contains(t, body, "main.go:3:2</h2>")
			require.Contains(t, body, "\t&lt;b&gt;")
			require.Contains(t, body, "No version has been built yet.")
		case ours:
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Regexp(t, `main\.go:3:2: 1 (\\u003c|&lt;) 2`, body, "as JSON, or as a page")
		}
		l.Board.Serve(Version{Generation: 7, At: time.Now()})
		l.Board.Fail(failure)
		if status, body = ask(); c.want {
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Contains(t, body, "Generation 7, the last good version")
			require.Contains(t, body, "still serves")
		} else {
			require.Equal(t, http.StatusTeapot, status, c)
		}
		l.Board.Serve(Version{Generation: 8})
		status, _ = ask()
		require.Equal(t, http.StatusTeapot, status, "it is right again")
	}
}

// TestFailuresAreToldToThisMachineAlone requests the page as a site does whose name was made to resolve to this machine. Its
// scripts can read what it embeds.
func TestFailuresAreToldToThisMachineAlone(t *testing.T) {
	l := New(Config{Name: "hello", Prefix: "/", Closing: t.Context()})
	l.Board.Fail(Failure{
		Title:       "Build failed",
		Output:      "main.go:3: the-output",
		Diagnostics: []Diagnostic{{File: "main.go", Line: 3, Message: "the-message", Excerpt: []Line{{Number: 3, Text: "the-source", Here: true}}}},
	})
	handler := l.Handler(http.NotFoundHandler())
	for host, told := range map[string]bool{"127.0.0.1:8080": true, "localhost": true, "evil.example:8080": false, "": false} {
		for _, accept := range []string{browser, "application/json"} {
			r := httptest.NewRequest("GET", "/", nil)
			r.Host = host
			r.Header.Set("Accept", accept)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.Equal(t, told, strings.Contains(w.Body.String(), "the-message"), "%q %s", host, accept)
			require.Equal(t, told && accept == browser, strings.Contains(w.Body.String(), "the-source"), "%q %s", host, accept)
			require.Equal(t, told && accept == browser, strings.Contains(w.Body.String(), "the-output"), "%q %s", host, accept)
		}
	}
}

func TestDocumentsGetTheScript(t *testing.T) {
	document := "<!DOCTYPE html>\n<title>x</title>\n"
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(document))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, c := range map[string]struct {
		status int
		header http.Header
		body   string
		accept string
		script string // what is appended; empty: nothing
		reason string
	}{
		"document":            {200, http.Header{"Content-Type": {"text/html; charset=utf-8"}}, document, browser, "<script src", ""},
		"an error of its own": {500, http.Header{"Content-Type": {"TEXT/HTML"}}, document, browser, "<script src", ""},
		"nonce":               {200, http.Header{"Content-Type": {"text/html"}, "Content-Security-Policy": {"script-src 'nonce-a\"b'"}}, document, browser, ` nonce="a&#34;b"`, ""},
		"not for a document":  {200, http.Header{"Content-Type": {"text/html"}}, document, "*/*", "", ""},
		"text":                {200, http.Header{"Content-Type": {"text/plain"}}, document, browser, "", ""},
		"no type":             {200, http.Header{"Content-Type": nil}, document, browser, "", ""},
		"partial":             {206, http.Header{"Content-Type": {"text/html"}}, document, browser, "", ""},
		"redirect":            {302, http.Header{"Content-Type": {"text/html"}, "Location": {"/y"}}, document, browser, "", ""},
		"no content":          {204, http.Header{"Content-Type": {"text/html"}}, "", browser, "", ""},
		"download":            {200, http.Header{"Content-Type": {"text/html"}, "Content-Disposition": {"attachment; filename=x"}}, document, browser, "", ""},
		"compressed":          {200, http.Header{"Content-Type": {"text/html"}, "Content-Encoding": {"gzip"}}, zipped.String(), browser, "", "it is compressed"},
		"UTF-16":              {200, http.Header{"Content-Type": {"text/html; charset=UTF-16LE"}}, document, browser, "", "its charset is wider than a byte"},
		"no-transform":        {200, http.Header{"Content-Type": {"text/html"}, "Cache-Control": {"private, no-transform"}}, document, browser, "", "its Cache-Control is no-transform"},
		"page of the server":  {500, http.Header{"Content-Type": {"text/html"}, "Content-Security-Policy": {page.Policy}}, document, browser, "<script src", ""},
		"policy":              {200, http.Header{"Content-Type": {"text/html"}, "Content-Security-Policy": {"default-src 'none'"}}, document, browser, "", "its Content-Security-Policy"},
	} {
		for _, length := range []bool{true, false} {
			for _, flush := range []bool{true, false} {
				t.Run(fmt.Sprint(name, length, flush), func(t *testing.T) {
					var reason string
					l, s := serving(t, Config{Reload: true, Skipped: func(_, r string) { reason = r }}, func(w http.ResponseWriter, _ *http.Request) {
						for name, values := range c.header {
							w.Header()[name] = values
						}
						if length && c.status != 204 {
							w.Header().Set("Content-Length", strconv.Itoa(len(c.body)))
						}
						w.WriteHeader(c.status)
						for _, part := range []string{c.body[:len(c.body)/2], c.body[len(c.body)/2:]} {
							_, _ = io.WriteString(w, part)
							if flush {
								require.NoError(t, client.ConnOf(w).Flush())
							}
						}
					})
					l.Board.Serve(Version{Generation: 1})
					resp, body := get(t, s, "/", "Accept", c.accept)
					require.Equal(t, c.status, resp.StatusCode)
					require.Equal(t, c.body, body[:len(c.body)], "the service's bytes are as they were")
					require.Contains(t, reason, c.reason)
					if c.script == "" {
						require.Equal(t, c.body, body)
						return
					}
					state, _ := l.Board.State()
					require.Contains(t, body[len(c.body):], c.script)
					require.Contains(t, body[len(c.body):], `data-results="`+state.Results+`"`)
					if length {
						require.EqualValues(t, len(body), resp.ContentLength)
					}
				})
			}
		}
	}
}

// The script is not appended to a document that was cut off, or whose size is another than announced.
func TestIncompleteDocumentsStayIncomplete(t *testing.T) {
	for name, next := range map[string]http.HandlerFunc{
		"aborted": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<p>half")
			_ = client.ConnOf(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "<p>half")
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, s := serving(t, Config{Reload: true}, next)
			l.Board.Serve(Version{Generation: 1})
			r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL, nil)
			require.NoError(t, err)
			r.Header.Set("Accept", browser)
			resp, err := s.Client().Do(r)
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, "<p>half", string(body))
		})
	}
}

func TestNoReloadLeavesDocumentsAlone(t *testing.T) {
	l, s := serving(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<p>x")
	})
	l.Board.Serve(Version{Generation: 1})
	_, body := get(t, s, "/", "Accept", browser)
	require.Equal(t, "<p>x", body)
}
