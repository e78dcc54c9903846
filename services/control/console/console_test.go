package console

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func serve(t *testing.T, c *Console, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	require.NoError(t, c.Serve(w, r))
	return w
}

// maxBytes bounds the compressed size of the console.
const maxBytes = 64 << 10

func TestFiles(t *testing.T) {
	require.Contains(t, Paths(), Path)
	c := New()
	total := 0
	for _, path := range Paths() {
		plain := serve(t, c, http.MethodGet, path)
		require.Equal(t, http.StatusOK, plain.Code)
		require.NotEqual(t, "application/octet-stream", plain.Header().Get("Content-Type"), path)
		require.Empty(t, plain.Header().Get("Content-Encoding"))
		packed := serve(t, c, http.MethodGet, path, "Accept-Encoding", "br, gzip")
		total += packed.Body.Len()
		if packed.Header().Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(packed.Body)
			require.NoError(t, err)
			content, err := io.ReadAll(z)
			require.NoError(t, err)
			require.Equal(t, plain.Body.Bytes(), content)
			require.NotEqual(t, plain.Header().Get("ETag"), packed.Header().Get("ETag"))
		}
		for _, w := range []*httptest.ResponseRecorder{plain, packed} {
			require.Equal(t, "Accept-Encoding", w.Header().Get("Vary"))
			require.Equal(t, policy, w.Header().Get("Content-Security-Policy"))
			require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
			require.Equal(t, "DENY", w.Header().Get("X-Frame-Options"))
			require.Equal(t, "same-origin", w.Header().Get("Cross-Origin-Opener-Policy"))
			require.Equal(t, "same-origin", w.Header().Get("Cross-Origin-Resource-Policy"))
			require.Equal(t, "no-cache", w.Header().Get("Cache-Control"))
		}
		head := serve(t, c, http.MethodHead, path)
		require.Equal(t, plain.Header(), head.Header())
		require.Empty(t, head.Body.Bytes())
	}
	require.LessOrEqual(t, total, maxBytes)
}

func TestUnchangedFiles(t *testing.T) {
	c := New()
	etag := serve(t, c, http.MethodGet, Path).Header().Get("ETag")
	packed := serve(t, c, http.MethodGet, Path, "Accept-Encoding", "gzip").Header().Get("ETag")
	for encoding, tags := range map[string][]string{
		"":     {etag, `"other", ` + etag, "W/" + etag, "*"},
		"gzip": {packed, etag, "W/" + packed, "*"},
	} {
		for _, given := range tags {
			w := serve(t, c, http.MethodGet, Path, "If-None-Match", given, "Accept-Encoding", encoding)
			require.Equal(t, http.StatusNotModified, w.Code, given)
			require.Empty(t, w.Body.Bytes())
			require.Empty(t, w.Header().Get("Content-Type"))
			require.Equal(t, policy, w.Header().Get("Content-Security-Policy"))
		}
	}
	for _, given := range []string{"", packed, `"other"`, strings.Trim(etag, `"`)} {
		require.Equal(t, http.StatusOK, serve(t, c, http.MethodGet, Path, "If-None-Match", given).Code)
	}
}

func TestAcceptsGzip(t *testing.T) {
	for value, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "gzip;q=0.5": true, "gzip; q=0": false, "gzip;q=0.000": false, "br": false,
		"*": true, "*;q=0": false, "gzip;q=0, *": false, "*;q=0, gzip": true, "identity, gzip": true, "gzip;q=x": false, "xgzip": false,
	} {
		require.Equal(t, want, acceptsGzip(http.Header{"Accept-Encoding": {value}}), value)
	}
}

// TestNoExternalResources checks that no file names another origin or has scripts and styles in its markup.
func TestNoExternalResources(t *testing.T) {
	c := New()
	external := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}|@import|javascript:`)
	inline := regexp.MustCompile(`(?i)<style|<script(>|[^>]*>[^<])|\son[a-z]+\s*=\s*["']|\sstyle\s*=\s*["']`)
	sinks := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|setAttribute\("style`)
	for path, f := range c.files {
		text := strings.ReplaceAll(string(f.plain), "http://www.w3.org/2000/svg", "")                          // a namespace
		text = strings.NewReplacer("https://api.example.com", "", "https://new.example.com", "").Replace(text) // what users may enter
		require.Empty(t, external.FindString(text), path)
		require.Empty(t, sinks.FindString(text), path)
		if strings.HasPrefix(f.mediaType, "text/html") {
			require.Empty(t, inline.FindString(text), path)
		}
	}
}
