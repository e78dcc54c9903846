package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

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
