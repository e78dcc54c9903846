package httpevent

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/forwarded"
)

func TestEvent(t *testing.T) {
	r := httptest.NewRequest("POST", "http://fn.example.com/fn/a%20b/c?x=1&x=2&y=%20", strings.NewReader("{}"))
	r.Header = http.Header{"Content-Type": {"application/json"}, "X-Two": {"a", "b"}, "Cookie": {"c=1; d=2", "e=3"}, "Connection": {"close"},
		"User-Agent": {"curl"}, "X-Forwarded-Prefix": {"/forged"}, "X-Forwarded-For": {"1.1.1.1"}, "X-Forwarded-Proto": {"https"},
		"X-Forwarded-User": {"root"}, "X_forwarded_for": {"1.1.1.1"}, "Forwarded": {"for=1.1.1.1"}, "Vespo-Caller": {"/a"}}
	r.RemoteAddr = "192.0.2.1:4711"
	at := time.Date(2020, 3, 12, 19, 3, 58, 0, time.UTC)
	e := FromRequest(r, []byte("{}"), Source{RequestID: "id", Function: "fn", Prefix: "/fn", Rest: "/a%20b/c", Time: at})
	require.Equal(t, Event{
		Version:        "2.0",
		RouteKey:       "$default",
		RawPath:        "/a%20b/c",
		RawQueryString: "x=1&x=2&y=%20",
		Cookies:        []string{"c=1", "d=2", "e=3"},
		Headers: map[string]string{"content-type": "application/json", "x-two": "a,b", "host": "fn.example.com", "user-agent": "curl",
			"vespo-caller":       "/a", // left by the router: from a service
			"x-forwarded-prefix": "/fn", "x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "http", "x-forwarded-port": "80"},
		QueryStringParameters: map[string]string{"x": "1,2", "y": " "},
		RequestContext: RequestContext{
			AccountID:    "anonymous",
			APIID:        "fn",
			DomainName:   "fn.example.com",
			DomainPrefix: "fn",
			HTTP:         HTTP{Method: "POST", Path: "/a%20b/c", Protocol: "HTTP/1.1", SourceIP: "192.0.2.1", UserAgent: "curl"},
			RequestID:    "id",
			RouteKey:     "$default",
			Stage:        "$default",
			Time:         "12/Mar/2020:19:03:58 +0000",
			TimeEpoch:    1584039838000,
		},
		Body: "{}",
	}, e)
}

// TestEventOfTrustedProxy checks an event of a request that the router has
// forwarded: it has the fields of the trusted proxy, and no other claims.
func TestEventOfTrustedProxy(t *testing.T) {
	trust, err := forwarded.ParseTrust([]string{"10.0.0.0/8"})
	require.NoError(t, err)
	r := httptest.NewRequest("GET", "http://in.example/fn", nil)
	r.RemoteAddr = "10.0.0.1:1"
	r.Header = http.Header{"X-Forwarded-For": {"1.1.1.1, 192.0.2.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"www.example.com"},
		"X-Forwarded-User": {"alice"}, "X-Forwarded-Prefix": {"/outer"}}
	client := trust.Client(r)
	e := FromRequest(client.Service(r, false), nil, Source{Prefix: "/fn", Client: client})
	require.Equal(t, map[string]string{"host": "www.example.com", "x-forwarded-for": "192.0.2.1, 10.0.0.1", "x-forwarded-proto": "https",
		"x-forwarded-port": "443", "x-forwarded-host": "www.example.com", "x-forwarded-user": "alice", "x-forwarded-prefix": "/outer/fn"}, e.Headers)
	require.Equal(t, "192.0.2.1", e.RequestContext.HTTP.SourceIP)
	require.Equal(t, "www.example.com", e.RequestContext.DomainName)
}

func TestBodyIsTextOrBase64(t *testing.T) {
	for _, c := range []struct {
		name, contentType, encoding, body, want string
		base64                                  bool
	}{
		{"json", "application/json; charset=utf-8", "", `{"a":1}`, `{"a":1}`, false},
		{"problem", "application/problem+json", "", `{}`, `{}`, false},
		{"svg", "image/svg+xml", "", "<svg/>", "<svg/>", false},
		{"no type, text", "", "", "héllo", "héllo", false},
		{"no type, bytes", "", "", "\xff", "/w==", true},
		{"form", "application/x-www-form-urlencoded", "", "a=1", "YT0x", true},
		{"text that is none", "text/plain", "", "\xff", "/w==", true},
		{"packed text", "text/plain", "gzip", "a", "YQ==", true},
		{"malformed type", ";", "", "a", "YQ==", true},
		{"empty", "image/png", "", "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", nil)
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			if c.encoding != "" {
				r.Header.Set("Content-Encoding", c.encoding)
			}
			e := FromRequest(r, []byte(c.body), Source{})
			require.Equal(t, c.want, e.Body)
			require.Equal(t, c.base64, e.IsBase64Encoded)
			require.Equal(t, "/", e.RawPath)
		})
	}
}

func TestParseAnswer(t *testing.T) {
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	const asJSON = "application/json"
	for _, c := range []struct {
		name, output string
		want         Answer
		wrong        string
	}{
		{"no status: the output is the body", `{"a":1}`, Answer{200, header("Content-Type", asJSON), []byte(`{"a":1}`)}, ""},
		{"a string", `"hello"`, Answer{200, header("Content-Type", asJSON), []byte(`"hello"`)}, ""},
		{"null", `null`, Answer{200, header("Content-Type", asJSON), []byte(`null`)}, ""},
		{"an array", `[{"statusCode":500}]`, Answer{200, header("Content-Type", asJSON), []byte(`[{"statusCode":500}]`)}, ""},
		{"status alone", `{"statusCode":204}`, Answer{204, header("Content-Type", asJSON), nil}, ""},
		{"status as text", `{"statusCode":"404"}`, Answer{404, header("Content-Type", asJSON), nil}, ""},
		{"status with a fraction", `{"statusCode":200.0}`, Answer{200, header("Content-Type", asJSON), nil}, ""},
		{"status with an exponent", `{"statusCode":2e2}`, Answer{200, header("Content-Type", asJSON), nil}, ""},
		{"a byte order mark", "\ufeff" + `{"statusCode":201,"body":"x"}`, Answer{201, header("Content-Type", asJSON), []byte("x")}, ""},
		{"not UTF-8", "{\"statusCode\":200,\"headers\":{\"x-n\":\"caf\xe9\"},\"body\":\"\xff\"}",
			Answer{200, header("Content-Type", asJSON, "X-N", "café"), []byte("ÿ")}, ""},
		{"status with half", `{"statusCode":200.5}`, Answer{}, "statusCode"},
		{"all", `{"statusCode":201,"headers":{"x-n":1,"X-B":true,"content-type":"text/plain","content-length":"99","connection":"close"},
			"cookies":["a=1; Path=/","b=2"],"body":"aGk=","isBase64Encoded":true}`,
			Answer{201, header("X-N", "1", "X-B", "true", "Content-Type", "text/plain", "Set-Cookie", "a=1; Path=/", "Set-Cookie", "b=2"),
				[]byte("hi")}, ""},
		{"body null", `{"statusCode":200,"body":null}`, Answer{200, header("Content-Type", asJSON), nil}, ""},
		{"body a number", `{"statusCode":200,"body":7}`, Answer{200, header("Content-Type", asJSON), []byte("7")}, ""},
		{"nothing", ``, Answer{}, "not JSON"},
		{"text", `hello`, Answer{}, "not JSON"},
		{"two values", `{} {}`, Answer{}, "not JSON"},
		{"status too high", `{"statusCode":999}`, Answer{}, "statusCode"},
		{"status 101", `{"statusCode":101}`, Answer{}, "statusCode"},
		{"status null", `{"statusCode":null}`, Answer{}, "statusCode"},
		{"status an object", `{"statusCode":{}}`, Answer{}, "string is expected"},
		{"header split", `{"statusCode":200,"headers":{"a":"b\r\nc: d"}}`, Answer{}, "cannot be sent"},
		{"header name", `{"statusCode":200,"headers":{"a b":"c"}}`, Answer{}, "cannot be sent"},
		{"cookie split", `{"statusCode":200,"cookies":["a\nb"]}`, Answer{}, "cookie"},
		{"bad base64", `{"statusCode":200,"body":"%","isBase64Encoded":true}`, Answer{}, "base64"},
		{"headers of a wrong type", `{"statusCode":200,"headers":[]}`, Answer{}, "cannot unmarshal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := ParseAnswer([]byte(c.output))
			if c.wrong != "" {
				require.ErrorIs(t, err, ErrAnswer)
				require.ErrorContains(t, err, c.wrong)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, a)
		})
	}
}

func TestSplitPrelude(t *testing.T) {
	whole := []byte("{\"statusCode\":418,\"headers\":{\"a\":\"b\"},\"cookies\":[\"c=d\"]}\x00\x00\x00\x00\x00\x00\x00\x00body")
	for cut := range len(whole) - len("body") {
		_, _, done, err := SplitPrelude(whole[:cut])
		require.NoError(t, err)
		require.False(t, done, cut)
	}
	a, rest, done, err := SplitPrelude(whole)
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, "body", string(rest))
	require.Equal(t, 418, a.StatusCode)
	require.Equal(t, http.Header{"A": {"b"}, "Set-Cookie": {"c=d"}, "Content-Type": {"application/json"}}, a.Header)

	a, _, _, err = SplitPrelude([]byte("{}\x00\x00\x00\x00\x00\x00\x00\x00"))
	require.NoError(t, err)
	require.Equal(t, 200, a.StatusCode, "the status is 200 unless something else is said")

	for _, bad := range [][]byte{[]byte("x\x00\x00\x00\x00\x00\x00\x00\x00"), bytes.Repeat([]byte("a"), MaxPreludeBytes)} {
		_, _, done, err := SplitPrelude(bad)
		require.ErrorIs(t, err, ErrAnswer)
		require.False(t, done)
	}
}

func TestRequest(t *testing.T) {
	r, err := Request(context.Background(), []byte(`{"version":"2.0","rawPath":"/a%2Fb","rawQueryString":"x=1","cookies":["a=1","b=2"],
		"headers":{"x-h":"v","host":"example.com","connection":"close"},"requestContext":{"http":{"method":"PUT","sourceIp":"192.0.2.7"}},
		"body":"aGk=","isBase64Encoded":true}`), "/fn")
	require.NoError(t, err)
	require.Equal(t, "/fn/a%2Fb?x=1", r.RequestURI)
	require.Equal(t, "PUT", r.Method)
	require.Equal(t, "example.com", r.Host)
	require.Equal(t, "192.0.2.7:0", r.RemoteAddr)
	require.Equal(t, http.Header{"X-H": {"v"}, "Cookie": {"a=1; b=2"}}, r.Header)
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, "hi", string(body))

	r, err = Request(context.Background(), nil, "/")
	require.NoError(t, err)
	require.Equal(t, "GET / ", r.Method+" "+r.RequestURI+" "+r.Host)

	for _, bad := range []string{`[]`, `{`, `{"rawPath":"a"}`, `{"rawPath":"/a?b"}`, `{"rawQueryString":"a b"}`, `{"headers":{"a b":"c"}}`,
		`{"headers":{"a":"\u0000"}}`, `{"cookies":["\n"]}`, `{"body":"%","isBase64Encoded":true}`, `{"requestContext":{"http":{"method":"A B"}}}`} {
		_, err := Request(context.Background(), []byte(bad), "/fn")
		require.ErrorIs(t, err, ErrEvent, bad)
	}
}

// FuzzRoundTrip checks that converting an event to a request and back returns the same event.
func FuzzRoundTrip(f *testing.F) {
	f.Add("GET", "/a", "x=1", "name", "value", []byte("body"))
	f.Add("POST", "/%2e%2e/", "", "content-type", "text/plain", []byte("\xff"))
	f.Fuzz(func(t *testing.T, method, path, query, name, value string, body []byte) {
		e := Event{Version: version, RawPath: path, RawQueryString: query, Headers: map[string]string{name: value}}
		e.RequestContext.HTTP.Method = method
		e.Body = string(body)
		text, err := json.Marshal(e)
		require.NoError(t, err)
		r, err := Request(context.Background(), text, "/fn")
		if err != nil {
			require.ErrorIs(t, err, ErrEvent)
			return
		}
		require.True(t, strings.HasPrefix(r.RequestURI, "/fn/"), r.RequestURI)
		sent, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		again := FromRequest(r, sent, Source{Rest: strings.TrimPrefix(r.URL.EscapedPath(), "/fn")})
		require.Equal(t, query, again.RawQueryString)
	})
}

// FuzzAnswer checks that every output of a function is either rejected
// or can be sent, and that its encoding parses to the same answer.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"statusCode":200,"headers":{"a":"b"},"cookies":["c"],"body":"d"}`))
	f.Add([]byte(`"text"`))
	f.Fuzz(func(t *testing.T, output []byte) {
		a, err := ParseAnswer(output)
		if err != nil {
			require.ErrorIs(t, err, ErrAnswer)
			return
		}
		w := httptest.NewRecorder()
		for name, values := range a.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(a.StatusCode)
		text, err := a.Encode()
		require.NoError(t, err)
		again, err := ParseAnswer(text)
		require.NoError(t, err)
		require.Equal(t, a.StatusCode, again.StatusCode)
		require.Equal(t, string(a.Body), string(again.Body))
	})
}
