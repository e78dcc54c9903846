package cache

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRequestsThatTheCacheIsNotFor(t *testing.T) {
	for line, want := range map[string]bool{
		"Accept: a":               true,
		"Cache-Control: no-cache": true,
		"Cache-Control: no-store": false,
		"Range: bytes=0-1":        false,
		"If-Range: a":             false,
		"If-Match: a":             false,
		"If-Unmodified-Since: a":  false,
		"Upgrade: websocket":      false,
		"If-None-Match: a":        true,
		"Authorization: Basic a":  true,
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "get"} {
			r := httptest.NewRequest(method, "/", nil)
			r.Header = header(line)
			_, ok := NewRequest(r, Key{}, time.Now())
			require.Equal(t, want && (method == "GET" || method == "HEAD"), ok, "%s %s", method, line)
		}
	}
	_, ok := NewRequest(httptest.NewRequest("GET", "/", strings.NewReader("body")), Key{}, time.Now())
	require.False(t, ok)
}

func TestNotModified(t *testing.T) {
	const before, at, after = "Wed, 02 Jan 2030 03:04:04 GMT", "Wed, 02 Jan 2030 03:04:05 GMT", "Wed, 02 Jan 2030 03:04:06 GMT"
	for _, c := range []struct {
		stored, request []string
		want            bool
	}{
		{[]string{`Etag: "a"`}, []string{`If-None-Match: "a"`}, true},
		{[]string{`Etag: W/"a"`}, []string{`If-None-Match: "b", "a"`}, true},
		{[]string{`Etag: "a"`}, []string{`If-None-Match: "b"`, `If-None-Match: W/"a"`}, true},
		{[]string{`Etag: "a,b"`}, []string{`If-None-Match: "x", "a,b"`}, true},
		{[]string{`Etag: "a\"`}, []string{`If-None-Match: "a\", "b"`}, true},
		{nil, []string{`If-None-Match: *`}, true},
		{[]string{`Etag: "a"`}, []string{`If-None-Match: "b"`}, false},
		{[]string{`Etag: "b"`}, []string{`If-None-Match: "a,"b"`}, false},
		{nil, []string{`If-None-Match: "a"`}, false},
		{nil, []string{`If-None-Match: `}, false},
		{[]string{`Etag: "a"`, "Last-Modified: " + at}, []string{`If-None-Match: "b"`, "If-Modified-Since: " + after}, false},
		{[]string{"Last-Modified: " + at}, []string{"If-Modified-Since: " + at}, true},
		{[]string{"Last-Modified: " + at}, []string{"If-Modified-Since: " + after}, true},
		{[]string{"Last-Modified: " + at}, []string{"If-Modified-Since: " + before}, false},
		{[]string{"Last-Modified: " + at}, []string{"If-Modified-Since: x"}, false},
		{nil, []string{"If-Modified-Since: " + at}, false},
		{[]string{"Last-Modified: " + at}, nil, false},
	} {
		q := Request{Header: header(c.request...)}
		require.Equal(t, c.want, q.notModified(&entry{status: 200, header: header(c.stored...)}), "%v %v", c.stored, c.request)
		require.False(t, q.notModified(&entry{status: 404, header: header(c.stored...)}))
	}
}
