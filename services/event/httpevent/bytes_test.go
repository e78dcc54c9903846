package httpevent

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// TestBytes checks that an event preserves all bytes of a request that is not UTF-8.
func TestBytes(t *testing.T) {
	r := httptest.NewRequest("GET", "/fn", nil)
	r.URL.RawQuery = "caf\xe9=1&x=%FF&y=é"
	r.Host = "h\xe9"
	r.Header = http.Header{"X-Latin": {"caf\xe9"}, "X-Utf8": {"café"}, "Cookie": {"a=\xff"}, "User-Agent": {"\xfc"}}
	var b bytes.Buffer
	require.NoError(t, Write(&b, r, [][]byte{{0xff, 0xfe}}, Source{Rest: "/a\xe9/é", Prefix: "/fn"}))
	require.True(t, utf8.Valid(b.Bytes()))
	require.NotContains(t, b.String(), "\ufffd")
	require.NotContains(t, b.String(), `\ufffd`)
	var e Event
	require.NoError(t, json.Unmarshal(b.Bytes(), &e))
	require.Equal(t, "/a%E9/%C3%A9", e.RawPath)
	require.Equal(t, "caf%E9=1&x=%FF&y=%C3%A9", e.RawQueryString)
	require.Equal(t, map[string]string{"café": "1", "x": "ÿ", "y": "é"}, e.QueryStringParameters)
	require.Equal(t, map[string]string{"x-latin": "café", "x-utf8": "café", "user-agent": "ü", "host": "hé", "x-forwarded-prefix": "/fn",
		"x-forwarded-for": "192.0.2.1", "x-forwarded-port": "80", "x-forwarded-proto": "http"}, e.Headers)
	require.Equal(t, []string{"a=ÿ"}, e.Cookies)
	require.Equal(t, "//4=", e.Body)
	require.True(t, e.IsBase64Encoded)

	text, err := Answer{StatusCode: 200, Header: http.Header{"X-Latin": {"caf\xe9"}, "Set-Cookie": {"a=\xff"}}, Body: []byte("\xff")}.Encode()
	require.NoError(t, err)
	require.JSONEq(t, `{"statusCode":200,"headers":{"x-latin":"café"},"cookies":["a=ÿ"],"body":"/w==","isBase64Encoded":true}`, string(text))
	_, err = Request(context.Background(), []byte("\ufeff{\"rawPath\":\"/a\"}"), "/fn")
	require.NoError(t, err, "a byte order mark")
}

// FuzzWrite checks that Write produces the same event as FromRequest, wherever the body is split.
func FuzzWrite(f *testing.F) {
	f.Add("text/plain", []byte("a\"\\\n\x01é<&>\u2028"), uint8(3))
	f.Add("", []byte("\xff\xfe"), uint8(1))
	f.Add("", []byte("\U0001f600\U0001f600"), uint8(2))
	f.Add("image/png", []byte("abcdefg"), uint8(2))
	f.Fuzz(func(t *testing.T, contentType string, body []byte, step uint8) {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header["Content-Type"] = []string{contentType}
		var pieces [][]byte
		for rest := body; len(rest) > 0; {
			n := min(len(rest), int(step)+1)
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		var b bytes.Buffer
		require.NoError(t, Write(&b, r, pieces, Source{}))
		var e Event
		require.NoError(t, json.Unmarshal(b.Bytes(), &e), b.String())
		require.Equal(t, FromRequest(r, body, Source{}), e)
	})
}
