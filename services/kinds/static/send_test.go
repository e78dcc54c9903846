package static_test

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/static"
)

func TestConditions(t *testing.T) {
	s := serve(t, "/", static.Document{CacheControl: "max-age=1"}, map[string]string{"a.txt": "0123456789"})
	first := s.get("/a.txt")
	tag, modified := first.Header.Get("Etag"), first.Header.Get("Last-Modified")
	require.NotEmpty(t, tag)
	for _, c := range []struct {
		header string
		want   int
	}{
		{"If-None-Match: " + tag, http.StatusNotModified},
		{`If-None-Match: "other", ` + tag, http.StatusNotModified},
		{"If-None-Match: *", http.StatusNotModified},
		{`If-None-Match: "other"`, http.StatusOK},
		{"If-Modified-Since: " + modified, http.StatusNotModified},
		{"If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT", http.StatusOK},
		{"If-Modified-Since: nonsense", http.StatusOK},
		{"If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT", http.StatusPreconditionFailed},
		{`If-Match: "other"`, http.StatusPreconditionFailed},
		{"If-Match: *", http.StatusOK},
	} {
		got := s.get("/a.txt", c.header)
		require.Equal(t, c.want, got.StatusCode, c.header)
		require.Equal(t, c.want == http.StatusOK, got.Body == "0123456789", c.header)
		if c.want == http.StatusNotModified {
			require.Equal(t, tag, got.Header.Get("Etag"))
			require.Equal(t, "max-age=1", got.Header.Get("Cache-Control"))
			require.Empty(t, got.Header.Get("Content-Length"))
		}
	}
}

func TestRanges(t *testing.T) {
	s := serve(t, "/", static.Document{}, map[string]string{"a.txt": "0123456789"})
	for ranges, want := range map[string]string{
		"bytes=0-0": "0", "bytes=2-4": "234", "bytes=-3": "789", "bytes=7-": "789", "bytes=7-100": "789",
	} {
		got := s.get("/a.txt", "Range: "+ranges)
		require.Equal(t, http.StatusPartialContent, got.StatusCode)
		require.Equal(t, want, got.Body)
		require.EqualValues(t, len(want), got.ContentLength)
		require.True(t, strings.HasSuffix(got.Header.Get("Content-Range"), "/10"))
		head := s.do("HEAD", "/a.txt", "Range: "+ranges)
		require.Contains(t, []int{http.StatusOK, http.StatusPartialContent}, head.StatusCode)
	}
	several := s.get("/a.txt", "Range: bytes=0-1,4-5")
	require.Equal(t, http.StatusPartialContent, several.StatusCode)
	require.True(t, strings.HasPrefix(several.Header.Get("Content-Type"), "multipart/byteranges"))
	require.Contains(t, several.Body, "\r\n\r\n01\r\n")
	require.Contains(t, several.Body, "\r\n\r\n45\r\n")
	none := s.get("/a.txt", "Range: bytes=10-")
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, none.StatusCode)
	require.Equal(t, "bytes */10", none.Header.Get("Content-Range"))
	require.Empty(t, none.Body)
	require.Equal(t, "0123456789", s.get("/a.txt", "Range: bytes=0-1", `If-Range: "another"`).Body)
	require.Equal(t, "0123456789", s.get("/a.txt", "Range: bytes=0-4,0-4,0-4,0-4").Body, "more than the file is the file")
}

func TestCompressedFiles(t *testing.T) {
	s := serve(t, "/", static.Document{Fallback: "f.html"}, map[string]string{
		"a.js": "plain", "a.js.br": "b", "a.js.gz": "zz", "only.css": "plain", "only.css.gz": "zz", "stale.css": "new", "stale.css.gz": "old",
		"f.html": "plain", "f.html.br": "b", "dir.js": "plain", "dir.js.br/x": "x",
	})
	s.age("stale.css", time.Minute)
	types := map[string]string{
		".js":  "text/javascript; charset=utf-8",
		".css": "text/css; charset=utf-8",
		"":     "text/html; charset=utf-8", // the fallback
	}
	for _, c := range []struct{ path, accept, coding, body string }{
		{"/a.js", "gzip, deflate, br", "br", "b"},
		{"/a.js", "gzip", "gzip", "zz"},
		{"/a.js", "x-gzip", "gzip", "zz"},
		{"/a.js", "GZIP;q=1.0, br;q=0.9", "gzip", "zz"},
		{"/a.js", "br;q=0, *", "gzip", "zz"},
		{"/a.js", "*", "br", "b"},
		{"/a.js", "br;q=0, gzip;q=0", "", "plain"},
		{"/a.js", "", "", "plain"},
		{"/a.js", "identity", "", "plain"},
		{"/a.js", "identity, br;q=0.5", "", "plain"},
		{"/a.js", "identity;q=0.5, br;q=0.5", "br", "b"},
		{"/a.js", "gzip;q=nonsense", "", "plain"},
		{"/a.js", "zstd", "", "plain"},
		{"/only.css", "br, gzip;q=0.1", "gzip", "zz"},
		{"/only.css", "identity;q=0", "", "plain"},
		{"/somewhere", "br", "br", "b"},
	} {
		got := s.get(c.path, "Accept-Encoding: "+c.accept)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, c.coding, got.Header.Get("Content-Encoding"), c.accept)
		require.Equal(t, c.body, got.Body)
		require.EqualValues(t, len(c.body), got.ContentLength)
		require.Equal(t, "Accept-Encoding", got.Header.Get("Vary"))
		require.Equal(t, types[path.Ext(c.path)], got.Header.Get("Content-Type"))
	}
	for _, path := range []string{"/stale.css", "/dir.js"} {
		got := s.get(path, "Accept-Encoding: gzip, br")
		require.Empty(t, got.Header.Get("Content-Encoding"), path)
	}
	itself := s.get("/a.js.gz", "Accept-Encoding: gzip")
	require.Equal(t, "application/gzip", itself.Header.Get("Content-Type"))
	require.Empty(t, itself.Header.Get("Content-Encoding"))
	plain, packed := s.get("/a.js"), s.get("/a.js", "Accept-Encoding: br")
	require.NotEqual(t, plain.Header.Get("Etag"), packed.Header.Get("Etag"))
	again := s.get("/a.js", "Accept-Encoding: br", "If-None-Match: "+packed.Header.Get("Etag"))
	require.Equal(t, http.StatusNotModified, again.StatusCode)
	require.Equal(t, "Accept-Encoding", again.Header.Get("Vary"))
	part := s.get("/a.js", "Accept-Encoding: gzip", "Range: bytes=0-0")
	require.Equal(t, "z", part.Body)
}

// Compressors copy times in whole seconds, so a fraction must not make a compressed file older.
func TestCompressedFilesOfTheSameSecond(t *testing.T) {
	s := serve(t, "/", static.Document{}, map[string]string{"a.js": "plain", "a.js.gz": "zz", "a.js.zst": "zs", "b.js": "plain", "b.js.br": "br"})
	second := time.Now().Add(-time.Hour).Truncate(time.Second)
	set := func(name string, at time.Time) { require.NoError(t, os.Chtimes(filepath.Join(s.dir, name), at, at)) }
	set("a.js", second.Add(900*time.Millisecond))
	set("a.js.gz", second)
	set("a.js.zst", second)
	set("b.js", second)
	set("b.js.br", second.Add(-time.Millisecond))
	require.Equal(t, "gzip", s.get("/a.js", "Accept-Encoding: gzip").Header.Get("Content-Encoding"))
	require.Equal(t, "zstd", s.get("/a.js", "Accept-Encoding: gzip, deflate, br, zstd").Header.Get("Content-Encoding"))
	require.Empty(t, s.get("/b.js", "Accept-Encoding: br").Header.Get("Content-Encoding"), "it is of the second before")
}

// TestLargeFiles sends more than all buffers hold, whole and in parts.
func TestLargeFiles(t *testing.T) {
	var b strings.Builder
	for i := range 1 << 20 {
		fmt.Fprintf(&b, "%07d\n", i)
	}
	s := serve(t, "/", static.Document{}, map[string]string{"large": b.String()})
	require.Equal(t, b.String(), s.get("/large").Body)
	const from = 1<<20 + 3
	require.Equal(t, b.String()[from:], s.get("/large", fmt.Sprintf("Range: bytes=%d-", from)).Body)
	require.EqualValues(t, b.Len(), s.Records.Nth(1).BytesOut)
}

// maxRanges is the number of ranges up to which they are sent.
const maxRanges = 16

// Many small ranges would multiply the size of the response.
func TestManyRangesAreNotAmplified(t *testing.T) {
	text := strings.Repeat("0123456789", 100)
	s := serve(t, "/", static.Document{}, map[string]string{"a.txt": text})
	most := s.get("/a.txt", "Range: bytes="+strings.TrimSuffix(strings.Repeat("0-0,", maxRanges), ","))
	require.Equal(t, http.StatusPartialContent, most.StatusCode)
	for _, headers := range [][]string{
		{"Range: bytes=" + strings.Repeat("0-0,", maxRanges) + "0-0"},
		{"Range: bytes=" + strings.Repeat("0-0,", 500) + "0-0"},
		{"Range: bytes=" + strings.Repeat(",", 500) + "0-0"},
	} {
		got := s.get("/a.txt", headers...)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, text, got.Body)
	}
}
