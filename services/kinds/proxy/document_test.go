package proxy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest"
)

func TestDocumentIsCanonical(t *testing.T) {
	d := proxy.Document{Upstreams: []string{"http://a&b"}, Host: proxy.HostUpstream}
	require.Equal(t, `{"upstream":["http://a&b"]}`, string(d.Encode()))
	d = proxy.Document{
		Upstreams:       []string{"http://a", "https://b/v1"},
		KeepPrefix:      true,
		Host:            proxy.HostClient,
		RequestHeaders:  []string{"A: b"},
		ResponseHeaders: []string{"C:"},
	}
	text := `{"host":"client","keep_prefix":true,"request_header":["A: b"],"response_header":["C:"],"upstream":["http://a","https://b/v1"]}`
	require.Equal(t, text, string(d.Encode()))
	back, err := proxy.Decode(registry.Manifest(text))
	require.NoError(t, err)
	require.Equal(t, d, back)
}

func TestDecodeRefuses(t *testing.T) {
	for _, text := range []string{
		"null x", "[]", `"x"`, `{"upstream":"http://a"}`, `{"upstream":[1]}`, `{"upstreams":["http://a"]}`, `{"upstream":["http://a"]}{}`,
		"\x00asm\x01\x00\x00\x00", `{"upstream":["` + strings.Repeat("a", schema.MaxManifestBytes) + `"]}`,
	} {
		_, err := proxy.Decode(registry.Manifest(text))
		require.Error(t, err, "%.40q", text)
	}
}

// TestAllThatIsWrongIsTold puts all violations into one spec and expects each of them to be reported.
func TestAllThatIsWrongIsTold(t *testing.T) {
	d := proxy.Document{
		Upstreams: []string{"ftp://a", "http://u@b", "http://c", "http://C:80/"},
		Host:      "mine",
		RequestHeaders: []string{"none", "Host: x", "Via:", "X-Forwarded-For: 1.2.3.4", "x_y z: 1", "Connection: close", "Ok: yes", "ok:",
			"Secret: hunter2\x01"},
		ResponseHeaders: []string{"Content-Length: 1", "X-Request-Id: 1", "Transfer-Encoding:", "etag: 1", "ETag: 2", "L: " + strings.Repeat("x", 4<<10)},
	}
	wrong := spec("/", d, servicetest.WithTimeout(2*proxy.MaxTimeout))
	err := proxy.New(proxy.Config{}).Validate(wrong)
	var p *problem.Problem
	require.True(t, errors.As(err, &p))
	require.Equal(t, problem.BadRequest, p.Kind())
	all := strings.Join(problem.Texts(p.Violations), "\n")
	for _, want := range []string{
		`upstream is "ftp://a": it must begin`, `upstream is "http://u@b": it names a user`, `upstream has "http://C:80/" more than once`,
		`host is "mine"`, `request_header must be`, `request_header "Host"`, `request_header "Via"`, `"X-Forwarded-For"`, `"x_y z": it is not`,
		`"Connection"`, `"Ok" is both removed and given`, `"Secret": its value has a control`, `response_header "Content-Length"`,
		`"X-Request-Id"`, `"Transfer-Encoding"`, `response_header "Etag" is given twice`, `"L": it is longer`,
		"timeout is 2h0m0s",
	} {
		require.Contains(t, all, want)
	}
	require.NotContains(t, all, "hunter2")
	require.Len(t, p.Violations, 18)
	_, err = proxy.New(proxy.Config{}).Prepare(t.Context(), wrong)
	require.ErrorContains(t, err, "names a user", "what was stored is looked at again")
}

func TestNumbersAreBounded(t *testing.T) {
	many := make([]string, 65)
	for name, d := range map[string]proxy.Document{
		"none":            {},
		"many upstreams":  {Upstreams: many},
		"many rules":      {Upstreams: []string{"http://a"}, RequestHeaders: many},
		"many other ones": {Upstreams: []string{"http://a"}, ResponseHeaders: many},
	} {
		require.Error(t, proxy.New(proxy.Config{}).Validate(spec("/", d)), name)
	}
	good := spec("/", proxy.Document{Upstreams: []string{"http://a"}}, servicetest.WithTimeout(time.Second))
	require.NoError(t, proxy.New(proxy.Config{}).Validate(good))
}

// FuzzDocument checks that accepted documents re-encode to the same bytes and can be prepared.
func FuzzDocument(f *testing.F) {
	for _, text := range []string{
		`{"upstream":["http://127.0.0.1:9000"]}`,
		`{"upstream":["https://a.example/v1","h2c://[::1]:1"],"keep_prefix":true,"host":"client","request_header":["A: b","C:"],"response_header":["D: e"]}`,
		`{"upstream":["http://u:p@a?x#y"],"host":"x","request_header":["\u0000"]}`,
		`{"upstream":null}{}`, `[]`, "\x00asm",
	} {
		f.Add([]byte(text))
	}
	kind := proxy.New(proxy.Config{})
	f.Fuzz(func(t *testing.T, text []byte) {
		m := registry.Manifest(text)
		d, err := proxy.Decode(m)
		if err != nil {
			return
		}
		again, err := proxy.Decode(d.Encode())
		require.NoError(t, err)
		require.Equal(t, d.Encode(), again.Encode())
		prepared, err := kind.Prepare(t.Context(), servicetest.Manifest(proxy.KindName, "/", m))
		if err != nil {
			var p *problem.Problem
			require.True(t, errors.As(err, &p))
			require.NotEmpty(t, p.Violations)
			return
		}
		require.NoError(t, prepared.Close(t.Context()))
	})
}

func TestKindName(t *testing.T) { require.Equal(t, "proxy", proxy.New(proxy.Config{}).Describe().Name) }
