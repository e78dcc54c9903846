package proxy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/document"
)

func TestDocumentIsCanonical(t *testing.T) {
	d := Document{Upstreams: []string{"http://a&b"}, Host: HostUpstream}
	require.Equal(t, `{"upstreams":["http://a&b"]}`, string(d.Encode()))
	d = Document{Upstreams: []string{"http://a", "https://b/v1"}, KeepPrefix: true, Host: HostClient,
		RequestHeaders: []string{"A: b"}, ResponseHeaders: []string{"C:"}}
	text := `{"upstreams":["http://a","https://b/v1"],"keep_prefix":true,"host":"client","request_headers":["A: b"],"response_headers":["C:"]}`
	require.Equal(t, text, string(d.Encode()))
	back, err := Decode([]byte(text))
	require.NoError(t, err)
	require.Equal(t, d, back)
}

func TestDecodeRefuses(t *testing.T) {
	for _, text := range []string{
		"", "null x", "[]", `"x"`, `{"upstreams":"http://a"}`, `{"upstreams":[1]}`, `{"upstream":["http://a"]}`, `{"upstreams":["http://a"]}{}`,
		"\x00asm\x01\x00\x00\x00", `{"upstreams":["` + strings.Repeat("a", document.MaxBytes) + `"]}`,
	} {
		_, err := Decode([]byte(text))
		require.Error(t, err, "%.40q", text)
	}
}

func TestParseOrigin(t *testing.T) {
	for text, want := range map[string]origin{
		"http://a":                    {"http", "a", ""},
		"http://A.Example:80/":        {"http", "a.example", ""},
		"http://a:8080/b/c//":         {"http", "a:8080", "/b/c"},
		"https://a:443":               {"https", "a", ""},
		"https://a:80":                {"https", "a:80", ""},
		"h2c://127.0.0.1:9000":        {"h2c", "127.0.0.1:9000", ""},
		"HTTP://[::1]:9000/%2f|x":     {"http", "[::1]:9000", "/%2f%7Cx"},
		"http://[2001:DB8::1]":        {"http", "[2001:db8::1]", ""},
		"http://a/b%20c/d%2Fe?":       {},
		"http://a?x=y":                {},
		"http://a/#":                  {},
		"http://a/#x":                 {},
		"http://u@a":                  {},
		"http://u:p@a":                {},
		"http://":                     {},
		"http://:9000":                {},
		"http:///a":                   {},
		"http:a":                      {},
		"a:9000":                      {},
		"127.0.0.1:9000":              {},
		"//a":                         {},
		"/a":                          {},
		"ftp://a":                     {},
		"unix:///run/a":               {},
		"http://a:0":                  {},
		"http://a:":                   {},
		"http://a:99999":              {},
		"http://a:http":               {},
		"http://a/../b":               {},
		"http://a/b/%2e":              {},
		"http://a b":                  {},
		" http://a":                   {},
		"http://a\n":                  {},
		"http://ä":                    {},
		"http://a/%zz":                {},
		"http://a,http://b":           {},
		"http://169.254.169.254":      {"http", "169.254.169.254", ""},
		"http://metadata.internal/v1": {"http", "metadata.internal", "/v1"},
	} {
		got, wrong := parseOrigin(text)
		if want == (origin{}) {
			require.NotEmpty(t, wrong, text)
			continue
		}
		require.Empty(t, wrong, text)
		require.Equal(t, want, got, text)
		again, wrong := parseOrigin(got.String())
		require.Empty(t, wrong, "what is shown can be given")
		require.Equal(t, got, again)
	}
}

func TestParseRules(t *testing.T) {
	rs, wrong := parseRules("f", []string{"x-a: 1", "X-A:  2 ", "Cookie:", "authorization:Bearer a:b", "X-Empty :"}, nil)
	require.Equal(t, []string{`f "X-Empty ": it is not the name of a header`}, wrong)
	require.Equal(t, rules{{"X-A", []string{"1", "2"}}, {"Cookie", nil}, {"Authorization", []string{"Bearer a:b"}}}, rs)

	h := map[string][]string{"X-A": {"0"}, "Cookie": {"c"}, "Other": {"o"}}
	rs.apply(h)
	require.Equal(t, map[string][]string{"X-A": {"1", "2"}, "Authorization": {"Bearer a:b"}, "Other": {"o"}}, h)
	h["X-A"][0] = "changed"
	rs.apply(h)
	require.Equal(t, "1", h["X-A"][0], "requests share nothing")
}

// TestAllThatIsWrongIsTold puts all violations into one spec and expects each of them to be reported.
func TestAllThatIsWrongIsTold(t *testing.T) {
	d := Document{
		Upstreams: []string{"ftp://a", "http://u@b", "http://c", "http://C:80/"}, Host: "mine",
		RequestHeaders: []string{"none", "Host: x", "Via:", "X-Forwarded-For: 1.2.3.4", "x_y z: 1", "Connection: close", "Ok: yes", "ok:",
			"Secret: hunter2\x01"},
		ResponseHeaders: []string{"Content-Length: 1", "X-Request-Id: 1", "Transfer-Encoding:", "etag: 1", "ETag: 2", "L: " + strings.Repeat("x", maxRuleBytes)},
	}
	o := registry.Options{MemoryBytes: 1, Timeout: 2 * MaxTimeout, Isolation: "fresh", Allow: []string{"http://a"},
		Config: map[string]string{"a": "b"}, Mounts: map[string]string{"/a": "b"}}
	err := New(Config{}).Validate(services.Spec{Module: d.Encode(), Options: o})
	var p *problem.Problem
	require.True(t, errors.As(err, &p))
	require.Equal(t, problem.BadRequest, p.Kind())
	all := strings.Join(p.Violations, "\n")
	for _, want := range []string{
		`upstream "ftp://a": it must begin`, `upstream "http://u@b": it names a user`, `upstream "http://C:80/" is given more than once`,
		`host is "mine"`, `request_header must be`, `request_header "Host"`, `request_header "Via"`, `"X-Forwarded-For"`, `"x_y z": it is not`,
		`"Connection"`, `"Ok" is both removed and given`, `"Secret": its value has a control`, `response_header "Content-Length"`,
		`"X-Request-Id"`, `"Transfer-Encoding"`, `response_header "Etag" is given twice`, `"L": it is longer`,
		"option timeout", "option memory", "option isolation", "option allow", "option config", "option mount",
	} {
		require.Contains(t, all, want)
	}
	require.NotContains(t, all, "hunter2")
	require.Len(t, p.Violations, 23)
	_, err = New(Config{}).Prepare(t.Context(), services.Spec{Module: d.Encode(), Options: o})
	require.ErrorContains(t, err, "names a user", "what was stored is looked at again")
}

func TestNumbersAreBounded(t *testing.T) {
	many := make([]string, 65)
	for name, d := range map[string]Document{
		"none":            {},
		"many upstreams":  {Upstreams: many},
		"many rules":      {Upstreams: []string{"http://a"}, RequestHeaders: many},
		"many other ones": {Upstreams: []string{"http://a"}, ResponseHeaders: many},
	} {
		require.Error(t, New(Config{}).Validate(services.Spec{Module: d.Encode()}), name)
	}
	require.NoError(t, New(Config{}).Validate(services.Spec{Module: Document{Upstreams: []string{"http://a"}}.Encode(),
		Options: registry.Options{Timeout: time.Second}}))
}

// FuzzDocument checks that accepted documents re-encode to the same bytes and can be
// prepared, and that the URLs of their upstreams keep host and path.
func FuzzDocument(f *testing.F) {
	for _, text := range []string{
		`{"upstreams":["http://127.0.0.1:9000"]}`,
		`{"upstreams":["https://a.example/v1","h2c://[::1]:1"],"keep_prefix":true,"host":"client","request_headers":["A: b","C:"],"response_headers":["D: e"]}`,
		`{"upstreams":["http://u:p@a?x#y"],"host":"x","request_headers":["\u0000"]}`,
		`{"upstreams":null}{}`, `[]`, "\x00asm",
	} {
		f.Add([]byte(text), "/a%2Fb|c")
	}
	kind := New(Config{})
	f.Fuzz(func(t *testing.T, text []byte, path string) {
		d, err := Decode(text)
		if err != nil {
			return
		}
		again, err := Decode(d.Encode())
		require.NoError(t, err)
		require.Equal(t, d.Encode(), again.Encode())
		prepared, err := kind.Prepare(t.Context(), services.Spec{Module: text})
		if err != nil {
			var p *problem.Problem
			require.True(t, errors.As(err, &p))
			require.NotEmpty(t, p.Violations)
			return
		}
		defer func() { require.NoError(t, prepared.Close(t.Context())) }()
		for _, u := range prepared.(*deployment).balancer.upstreams {
			requireLeadsTo(t, u.origin, path)
		}
	})
}

func TestKindName(t *testing.T) { require.Equal(t, "proxy", New(Config{}).Name()) }
