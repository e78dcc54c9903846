package static_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/inflight"
	"github.com/vespo-dev/vespo/services/kinds/static"
	"github.com/vespo-dev/vespo/services/servicetest"
)

func TestFilesAndTheirTypes(t *testing.T) {
	s := serve(t, "/a", static.Document{CacheControl: "max-age=60"}, map[string]string{
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
		require.Equal(t, want[0], got.Body, path)
		require.EqualValues(t, len(want[0]), got.ContentLength)
		require.Equal(t, want[1], got.Header.Get("Content-Type"), path)
		require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"))
		require.Equal(t, "max-age=60", got.Header.Get("Cache-Control"))
		require.Equal(t, "bytes", got.Header.Get("Accept-Ranges"))
		require.NotEmpty(t, got.Header.Get("Last-Modified"))
		require.Empty(t, got.Header.Get("Vary"))
		head := s.do("HEAD", path)
		require.Empty(t, head.Body)
		for _, name := range []string{"Content-Type", "Content-Length", "Last-Modified"} {
			require.Equal(t, got.Header.Get(name), head.Header.Get(name), name)
		}
	}
	require.Equal(t, accesslog.OutcomeOK, s.Records.Nth(1).Outcome)
	require.Empty(t, s.Records.Nth(1).Start)
}

// TestWhatIsNotServed requests paths that must not be served.
func TestWhatIsNotServed(t *testing.T) {
	s := serve(t, "/a", static.Document{}, map[string]string{
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
		require.NotContains(t, got.Body, "secret")
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
	s := serve(t, "/", static.Document{}, map[string]string{"v2/index.html": "two", "v1/index.html": "one"})
	require.NoError(t, os.Symlink("v1", filepath.Join(s.dir, "current")))
	require.Equal(t, "one", s.get("/current/").Body)
	require.NoError(t, os.Remove(filepath.Join(s.dir, "current")))
	require.NoError(t, os.Symlink("v2", filepath.Join(s.dir, "current")))
	require.Equal(t, "two", s.get("/current/").Body)
}

// TestABuildThatReplacesTheDirectory removes and recreates the directory, as builds do.
func TestABuildThatReplacesTheDirectory(t *testing.T) {
	s := serve(t, "/", static.Document{Fallback: "index.html"}, map[string]string{"index.html": "first", "a.txt": "first"})
	require.Equal(t, "first", s.get("/a.txt").Body)
	for range 2 {
		require.NoError(t, os.RemoveAll(s.dir))
		gone := s.get("/a.txt")
		gone.requireProblem(t, problem.NotReady)
		s.get("/page").requireProblem(t, problem.NotReady)
		require.Equal(t, services.StateMissing, s.Status(s.key).State)
		require.NoError(t, os.Mkdir(s.dir, 0o755))
		s.get("/a.txt").requireProblem(t, problem.NotFound)
		s.write("index.html", "second")
		s.write("a.txt", "second")
		require.Equal(t, "second", s.get("/a.txt").Body)
		require.Equal(t, "second", s.get("/page").Body)
		status := s.Status(s.key)
		require.Equal(t, services.StateReady, status.State)
		require.Contains(t, status.Target, "www, else index.html (replaced ")
	}
	require.NoError(t, os.RemoveAll(s.dir))
	s.write("a.txt", "third")
	require.Equal(t, "third", s.get("/a.txt").Body, "no request came while it was gone")
}

func TestRedirects(t *testing.T) {
	files := map[string]string{"index.html": "x", "sub/index.html": "x", "a:b/index.html": "x", "ö/deep/index.html": "x", "bare/x.txt": "x"}
	for _, prefix := range []string{"/", "/a", "/a/b"} {
		s := serve(t, prefix, static.Document{}, files)
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
			require.Equal(t, strings.TrimSuffix(s.key, "/")+plain+"/", at.EscapedPath(), "it leads to where it came from, and a slash")
		}
	}
}

func TestMethods(t *testing.T) {
	s := serve(t, "/", static.Document{}, map[string]string{"index.html": "x"})
	for i, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"} {
		got := s.do(method, "/")
		got.requireProblem(t, problem.MethodNotAllowed)
		require.Equal(t, "GET, HEAD", got.Header.Get("Allow"))
		require.Equal(t, accesslog.OutcomeRefused, s.Records.Nth(i+1).Outcome)
	}
}

func TestFallback(t *testing.T) {
	s := serve(t, "/app", static.Document{Fallback: "app/main.html", CacheControl: "max-age=60"}, map[string]string{
		"app/main.html": "application", "index.html": "index", "sub/x.js": "x", ".env": "secret",
	})
	for path, want := range map[string]string{"/": "index", "/users/1": "application", "/users/": "application", "/sub/": "application", "/none": "application"} {
		got := s.get(path)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, want, got.Body, path)
		require.Equal(t, want == "application", got.Header.Get("Cache-Control") == "no-cache")
	}
	page := "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
	require.Equal(t, "application", s.get("/users/john.doe", page).Body)
	s.get("/users/john.doe").requireProblem(t, problem.NotFound)
	s.get("/sub/missing.js", "Accept: */*").requireProblem(t, problem.NotFound)
	for _, path := range []string{"/.env", "/.drafts/1/", "/users/.me", "/a%2Fb", "/a%5Cb", "/a//b", "/users/j%C3%B6rg/", "/%E9t%E9", "/..."} {
		got := s.get(path, page)
		require.Equal(t, "application", got.Body, "%s is for the application's router", path)
		require.Equal(t, "no-cache", got.Header.Get("Cache-Control"))
	}
	s.get("/.env").requireProblem(t, problem.NotFound)
	require.NoError(t, os.Remove(filepath.Join(s.dir, "app", "main.html")))
	s.get("/none").requireProblem(t, problem.NotFound)
}

func TestClose(t *testing.T) {
	s := serve(t, "/", static.Document{}, map[string]string{"index.html": "x"})
	d := s.Deployment("/")
	require.NoError(t, d.Scale(t.Context(), services.EvictCode))
	s.Withdraw("/")
	require.Equal(t, problem.NotReady, problem.From(servicetest.Call(d, "GET", "/")).Kind(), "a request that waited for admission")
	status := d.Status()
	require.Equal(t, services.StateReady, status.State)
	require.Equal(t, "www", status.Target)
	require.NoError(t, d.Scale(t.Context(), services.EvictCode))
}

// TestClientThatTakesNothing closes the deployment during a response that the client does not read.
func TestClientThatTakesNothing(t *testing.T) {
	s := serve(t, "/", static.Document{}, map[string]string{"large": strings.Repeat("x", 64<<20)})
	resp, err := s.RoundTrip(s.Request("GET", "/large", nil))
	require.NoError(t, err)
	defer resp.Body.Close()
	s.Withdraw("/") // cuts it off
	_, err = io.Copy(io.Discard, resp.Body)
	require.Error(t, err)
	rec := s.Records.Nth(1)
	require.Equal(t, accesslog.OutcomeNotReady, rec.Outcome)
	require.ErrorIs(t, rec.Err, inflight.ErrClosed, "the version was closed: that is the reason, and not the file")
}

// TestFileThatShrinks truncates a file while it is sent. The connection must be
// aborted, because the announced length cannot be kept.
func TestFileThatShrinks(t *testing.T) {
	s := serve(t, "/", static.Document{}, map[string]string{"large": strings.Repeat("x", 64<<20)})
	resp, err := s.RoundTrip(s.Request("GET", "/large", nil))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.NoError(t, os.Truncate(filepath.Join(s.dir, "large"), 1<<10))
	_, err = io.Copy(io.Discard, resp.Body)
	require.Error(t, err)
	require.ErrorContains(t, s.Records.Nth(1).Err, "the file changed while it was sent: it has 1024 bytes, it had 67108864")
}
