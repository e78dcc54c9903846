package static

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/inflight"
)

// site is a server on a loopback port with one service. Its files are in dir.
type site struct {
	*httptest.Server
	t          *testing.T
	dir        string
	deployment *deployment
	prefix     string

	mu       sync.Mutex
	recorded *sync.Cond
	records  []accesslog.Record // guarded by mu
}

// serve serves files, given as path and content. They are old enough for strong entity tags.
func serve(t *testing.T, prefix string, doc Document, files map[string]string) *site {
	t.Helper()
	s := &site{t: t, prefix: strings.TrimSuffix(prefix, "/")}
	s.recorded = sync.NewCond(&s.mu)
	top := t.TempDir()
	s.dir = filepath.Join(top, "www")
	for name, content := range files {
		s.write(name, content)
	}
	require.NoError(t, os.MkdirAll(s.dir, 0o755))
	root, err := os.OpenRoot(top)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, root.Close()) })
	doc.Directory = "www"
	spec := services.Spec{Prefix: registry.Prefix(prefix), Kind: KindName, Module: doc.Encode()}
	kind := New(Config{Root: root})
	require.NoError(t, kind.Validate(spec))
	prepared, err := kind.Prepare(t.Context(), spec)
	require.NoError(t, err)
	s.deployment = prepared.(*deployment)
	routing := router.New(router.Config{AccessLog: s.record})
	table, err := router.BuildTable([]*router.Route{
		router.NewRoute(router.Binding{Prefix: router.Prefix(prefix), Service: prefix, Handler: prepared})})
	require.NoError(t, err)
	routing.Publish(table)
	s.Server = httptest.NewUnstartedServer(routing)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	t.Cleanup(func() {
		if s.deployment.requests.Context().Err() == nil {
			require.NoError(t, prepared.Close(context.Background()))
		}
		s.Close()
	})
	return s
}

// write creates a file with a modification time one hour ago.
func (s *site) write(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.dir, filepath.FromSlash(name))
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(s.t, os.WriteFile(path, []byte(content), 0o644))
	s.age(name, time.Hour)
}

func (s *site) age(name string, age time.Duration) {
	s.t.Helper()
	at := time.Now().Add(-age).Truncate(time.Second)
	require.NoError(s.t, os.Chtimes(filepath.Join(s.dir, filepath.FromSlash(name)), at, at))
}

func (s *site) record(r *accesslog.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, *r)
	s.recorded.Broadcast()
}

// lastRecord waits for the n-th access record.
func (s *site) lastRecord(n int) accesslog.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.records) < n {
		s.recorded.Wait()
	}
	return s.records[n-1]
}

type reply struct {
	*http.Response
	body string
}

// get requests a path below the prefix, with headers given as "Name: value".
func (s *site) get(path string, headers ...string) reply {
	s.t.Helper()
	return s.do("GET", path, headers...)
}

func (s *site) do(method, path string, headers ...string) reply {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+s.prefix+path, nil)
	require.NoError(s.t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(r)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return reply{resp, string(body)}
}

func (r reply) requireProblem(t *testing.T, kind problem.Kind) {
	t.Helper()
	require.Equal(t, kind.Status(), r.StatusCode, r.body)
	require.Contains(t, r.body, kind.Type())
	require.NotContains(t, r.body, "www")
}

func TestFilesAndTheirTypes(t *testing.T) {
	s := serve(t, "/a", Document{CacheControl: "max-age=60"}, map[string]string{
		"index.html": "top", "sub/index.html": "sub", "a b/ö.txt": "odd", "app.js": "js", "app.wasm": "\x00asm", "noext": "<html>",
		"page.HTML": "<p>", "data.unknown": "<script>", ".well-known/security.txt": "contact", "empty.css": "", "a+b;c=d.json": "{}",
	})
	for path, want := range map[string][2]string{
		"/":                           {"top", "text/html; charset=utf-8"},
		"/index.html":                 {"top", "text/html; charset=utf-8"},
		"/sub/":                       {"sub", "text/html; charset=utf-8"},
		"/a%20b/%C3%B6.txt":           {"odd", "text/plain; charset=utf-8"},
		"/app.js":                     {"js", "text/javascript; charset=utf-8"},
		"/%61pp.wasm":                 {"\x00asm", "application/wasm"},
		"/noext":                      {"<html>", "application/octet-stream"},
		"/page.HTML":                  {"<p>", "text/html; charset=utf-8"},
		"/data.unknown":               {"<script>", "application/octet-stream"},
		"/.well-known/security.txt":   {"contact", "text/plain; charset=utf-8"},
		"/empty.css?v=1":              {"", "text/css; charset=utf-8"},
		"/a+b;c=d.json":               {"{}", "application/json"},
		"/%2ewell-known/security.txt": {"contact", "text/plain; charset=utf-8"},
	} {
		got := s.get(path)
		require.Equal(t, http.StatusOK, got.StatusCode, path)
		require.Equal(t, want[0], got.body, path)
		require.EqualValues(t, len(want[0]), got.ContentLength)
		require.Equal(t, want[1], got.Header.Get("Content-Type"), path)
		require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"))
		require.Equal(t, "max-age=60", got.Header.Get("Cache-Control"))
		require.Equal(t, "bytes", got.Header.Get("Accept-Ranges"))
		require.NotEmpty(t, got.Header.Get("Last-Modified"))
		require.Empty(t, got.Header.Get("Vary"))
		head := s.do("HEAD", path)
		require.Empty(t, head.body)
		for _, name := range []string{"Content-Type", "Content-Length", "Last-Modified"} {
			require.Equal(t, got.Header.Get(name), head.Header.Get(name), name)
		}
	}
	require.Equal(t, accesslog.OutcomeOK, s.lastRecord(1).Outcome)
	require.Empty(t, s.lastRecord(1).Start)
}

// TestWhatIsNotServed requests paths that must not be served.
func TestWhatIsNotServed(t *testing.T) {
	s := serve(t, "/a", Document{}, map[string]string{
		"index.html": "x", "file.txt": "x", "sub/x.txt": "x", ".env": "secret", ".git/config": "secret", "sub/.htaccess": "secret",
		"sub/.well-known/x": "secret", "b\\c": "secret",
	})
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "..", "outside"), []byte("secret"), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "..", "www2"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "..", "www2", "x"), []byte("secret"), 0o644))
	for link, to := range map[string]string{
		"out": "../outside", "absolute": filepath.Join(s.dir, "..", "outside"), "outdir": "../www2", "passwd": "/etc/passwd", "loop": "loop",
		"dangling": "nowhere", "ways": "../www/../outside",
	} {
		require.NoError(t, os.Symlink(to, filepath.Join(s.dir, link)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "unreadable"), []byte("secret"), 0o000))
	for _, path := range []string{
		"/none", "/none/", "/file.txt/", "/file.txt/x", "/sub/", "/sub/none", "//file.txt", "/sub//x.txt", "/sub%2Fx.txt", "/index.html%2f",
		"/.env", "/%2eenv", "/.git/config", "/.git/", "/.git", "/sub/.htaccess", "/sub/.well-known/x", "/b%5Cc", "/b\\c",
		"/out", "/absolute", "/outdir/x", "/outdir/", "/passwd", "/loop", "/dangling", "/ways", "/" + strings.Repeat("n", 300),
		"/" + strings.Repeat("d/", 2000) + "x", "/...", "/..;/outside", "/%ff",
	} {
		got := s.get(path)
		got.requireProblem(t, problem.NotFound)
		require.NotContains(t, got.body, "secret")
	}
	for _, path := range []string{"/../outside", "/%2e%2e/outside", "/sub/..%2f..%2foutside", "/x%00", "/."} {
		require.NotEqual(t, http.StatusOK, s.get(path).StatusCode, path)
	}
	if os.Getuid() != 0 {
		s.get("/unreadable").requireProblem(t, problem.NotFound)
	}
}

// TestLinksWithin checks that links within the directory are followed. Sites use them to switch versions.
func TestLinksWithin(t *testing.T) {
	s := serve(t, "/", Document{}, map[string]string{"v2/index.html": "two", "v1/index.html": "one"})
	require.NoError(t, os.Symlink("v1", filepath.Join(s.dir, "current")))
	require.Equal(t, "one", s.get("/current/").body)
	require.NoError(t, os.Remove(filepath.Join(s.dir, "current")))
	require.NoError(t, os.Symlink("v2", filepath.Join(s.dir, "current")))
	require.Equal(t, "two", s.get("/current/").body)
}

// TestABuildThatReplacesTheDirectory removes and recreates the directory, as builds do.
func TestABuildThatReplacesTheDirectory(t *testing.T) {
	s := serve(t, "/", Document{Fallback: "index.html"}, map[string]string{"index.html": "first", "a.txt": "first"})
	require.Equal(t, "first", s.get("/a.txt").body)
	for range 2 {
		require.NoError(t, os.RemoveAll(s.dir))
		gone := s.get("/a.txt")
		gone.requireProblem(t, problem.NotReady)
		s.get("/page").requireProblem(t, problem.NotReady)
		require.Equal(t, services.StateMissing, s.deployment.Status().State)
		require.NoError(t, os.Mkdir(s.dir, 0o755))
		s.get("/a.txt").requireProblem(t, problem.NotFound)
		s.write("index.html", "second")
		s.write("a.txt", "second")
		require.Equal(t, "second", s.get("/a.txt").body)
		require.Equal(t, "second", s.get("/page").body)
		status := s.deployment.Status()
		require.Equal(t, services.StateReady, status.State)
		require.Contains(t, status.Target, "www, else index.html (replaced ")
	}
	require.NoError(t, os.RemoveAll(s.dir))
	s.write("a.txt", "third")
	require.Equal(t, "third", s.get("/a.txt").body, "no request came while it was gone")
}

func TestRedirects(t *testing.T) {
	files := map[string]string{"index.html": "x", "sub/index.html": "x", "a:b/index.html": "x", "ö/deep/index.html": "x", "bare/x.txt": "x"}
	for _, prefix := range []string{"/", "/a", "/a/b"} {
		s := serve(t, prefix, Document{}, files)
		paths := map[string]string{"/sub": "./sub/", "/sub?x=y&z": "./sub/?x=y&z", "/a:b": "./a:b/", "/%C3%B6/deep": "./deep/", "/bare": "./bare/",
			"/%C3%B6": "./%C3%B6/"}
		if prefix != "/" {
			paths[""] = "." + prefix[strings.LastIndexByte(prefix, '/'):] + "/"
		}
		for path, location := range paths {
			got := s.get(path)
			require.Equal(t, http.StatusMovedPermanently, got.StatusCode, path)
			require.Equal(t, location, got.Header.Get("Location"))
			at, err := got.Request.URL.Parse(location)
			require.NoError(t, err)
			plain, _, _ := strings.Cut(path, "?")
			require.Equal(t, s.prefix+plain+"/", at.EscapedPath(), "it leads to where it came from, and a slash")
		}
	}
}

func TestMethods(t *testing.T) {
	s := serve(t, "/", Document{}, map[string]string{"index.html": "x"})
	for i, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"} {
		got := s.do(method, "/")
		got.requireProblem(t, problem.MethodNotAllowed)
		require.Equal(t, "GET, HEAD", got.Header.Get("Allow"))
		require.Equal(t, accesslog.OutcomeRefused, s.lastRecord(i+1).Outcome)
	}
}

func TestFallback(t *testing.T) {
	s := serve(t, "/app", Document{Fallback: "app/main.html", CacheControl: "max-age=60"}, map[string]string{
		"app/main.html": "application", "index.html": "index", "sub/x.js": "x", ".env": "secret",
	})
	for path, want := range map[string]string{"/": "index", "/users/1": "application", "/users/": "application", "/sub/": "application", "/none": "application"} {
		got := s.get(path)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, want, got.body, path)
		require.Equal(t, want == "application", got.Header.Get("Cache-Control") == "no-cache")
	}
	page := "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
	require.Equal(t, "application", s.get("/users/john.doe", page).body)
	s.get("/users/john.doe").requireProblem(t, problem.NotFound)
	s.get("/sub/missing.js", "Accept: */*").requireProblem(t, problem.NotFound)
	for _, path := range []string{"/.env", "/.drafts/1/", "/users/.me", "/a%2Fb", "/a%5Cb", "/a//b", "/users/j%C3%B6rg/", "/%E9t%E9", "/..."} {
		got := s.get(path, page)
		require.Equal(t, "application", got.body, "%s is for the application's router", path)
		require.Equal(t, "no-cache", got.Header.Get("Cache-Control"))
	}
	s.get("/.env").requireProblem(t, problem.NotFound)
	require.NoError(t, os.Remove(filepath.Join(s.dir, "app", "main.html")))
	s.get("/none").requireProblem(t, problem.NotFound)
}

func TestClose(t *testing.T) {
	s := serve(t, "/", Document{}, map[string]string{"index.html": "x"})
	require.NoError(t, s.deployment.Close(t.Context()))
	s.get("/").requireProblem(t, problem.NotReady)
	_, err := s.deployment.dir.Acquire(true)
	require.ErrorIs(t, err, fs.ErrClosed)
	status := s.deployment.Status()
	require.Equal(t, services.StateReady, status.State)
	require.Equal(t, "www", status.Target)
	require.NoError(t, s.deployment.Scale(t.Context(), services.EvictCode))
}

// TestClientThatTakesNothing closes the deployment during a response that the client does not read.
func TestClientThatTakesNothing(t *testing.T) {
	s := serve(t, "/", Document{}, map[string]string{"large": strings.Repeat("x", 64<<20)})
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/large", nil)
	require.NoError(t, err)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.NoError(t, s.deployment.Close(t.Context()), "it is cut off")
	_, err = io.Copy(io.Discard, resp.Body)
	require.Error(t, err)
	rec := s.lastRecord(1)
	require.Equal(t, accesslog.OutcomeNotReady, rec.Outcome)
	require.ErrorIs(t, rec.Err, inflight.ErrClosed, "the version was closed: that is the reason, and not the file")
}

// TestFileThatShrinks truncates a file while it is sent. The connection must be
// aborted, because the announced length cannot be kept.
func TestFileThatShrinks(t *testing.T) {
	s := serve(t, "/", Document{}, map[string]string{"large": strings.Repeat("x", 64<<20)})
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/large", nil)
	require.NoError(t, err)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.NoError(t, os.Truncate(filepath.Join(s.dir, "large"), 1<<10))
	_, err = io.Copy(io.Discard, resp.Body)
	require.Error(t, err)
	require.ErrorContains(t, s.lastRecord(1).Err, "the file changed while it was sent: it has 1024 bytes, it had 67108864")
}
