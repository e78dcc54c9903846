package routekey

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParsePrefixAccepts(t *testing.T) {
	longSegment := strings.Repeat("s", MaxSegmentBytes)
	for input, want := range map[string]Prefix{
		"test":                    "/test",
		"/test":                   "/test",
		"test/":                   "/test",
		"/test/":                  "/test",
		"a/b":                     "/a/b",
		"/A/b.c_d~e-f/9":          "/A/b.c_d~e-f/9",
		"/":                       "/",
		"...":                     "/...",
		".well-known/x":           "/.well-known/x",
		"a/services":              "/a/services",
		"Services":                "/Services",
		"servicesx":               "/servicesx",
		longSegment:               Prefix("/" + longSegment),
		"/a/" + longSegment + "/": Prefix("/a/" + longSegment),
	} {
		got, err := ParsePrefix(input)
		require.NoError(t, err, input)
		require.Equal(t, want, got)
	}
}

func TestParsePrefixRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		input string
		want  []string // a part of each violation, in order
	}{
		"empty":              {"", []string{"it is empty"}},
		"two slashes":        {"//", []string{"segment 1 is empty"}},
		"leading slashes":    {"//a", []string{"segment 1 is empty"}},
		"inner slashes":      {"a//b", []string{"segment 2 is empty"}},
		"trailing slashes":   {"a//", []string{"segment 2 is empty"}},
		"dot":                {"a/.", []string{`segment 2 is "."`}},
		"dots":               {"../a", []string{`segment 1 is ".."`}},
		"reserved":           {"services", []string{`"services" is reserved`}},
		"reserved and below": {"/services/add/", []string{`"services" is reserved`}},
		"encoded slash":      {"a%2Fb", []string{`segment 1 has a "%"; percent-encodings are not accepted`}},
		"nul":                {"a\x00", []string{"control character 0x00"}},
		"delete":             {"a\x7f", []string{"control character 0x7f"}},
		"backslash":          {`a\b`, []string{"has a backslash"}},
		"parameter":          {"a/:b", []string{"segment 2 has a ':'; wildcards are not needed"}},
		"catch-all":          {"a/*", []string{"segment 2 has a '*'; wildcards are not needed"}},
		"query":              {"a?b", []string{"has a '?'; a prefix has no query"}},
		"fragment":           {"a#b", []string{"has a '#'; a prefix has no query"}},
		"space":              {"a b", []string{"has the character ' '"}},
		"not ascii":          {"é", []string{"a character outside ASCII"}},
		"not utf-8":          {"\xff", []string{"a character outside ASCII"}},
		"long segment":       {strings.Repeat("x", 64), []string{"segment 1 is 64 bytes long; use at most 63"}},
		"long":               {strings.Repeat("/abcdefg", 32), []string{"it is 256 bytes long; use at most 255"}},
		"all at once": {
			`services//../` + strings.Repeat("x", 64) + `/%2f/` + "\n" + `/\/*/?/@` + strings.Repeat("/yyyyyyy", 30),
			[]string{"bytes long; use at most 255", "reserved", "segment 2 is empty", `segment 3 is ".."`,
				"segment 4 is 64", "segment 5 has a \"%\"", "segment 6 has the control", "segment 7 has a backslash",
				"segment 8 has a '*'", "segment 9 has a '?'", "segment 10 has the character '@'"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParsePrefix(c.input)
			var refused *Error
			require.ErrorAs(t, err, &refused)
			require.Len(t, refused.Violations, len(c.want), "%q", refused.Violations)
			for i, part := range c.want {
				require.Contains(t, refused.Violations[i], part)
				require.Contains(t, err.Error(), part)
			}
		})
	}
}

func TestPrefixErrorStaysShort(t *testing.T) {
	_, err := ParsePrefix(strings.Repeat("/\x00%*\\?", 1<<16))
	require.Error(t, err)
	require.Less(t, len(err.Error()), 2000)
}
