package routekey

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/heaptest"
)

func TestParseMatch(t *testing.T) {
	for given, want := range map[string]string{
		"":                               "",
		"Host: iam":                      "Host: iam",
		"hOsT:IAM.Example.com":           "Host: iam.example.com",
		"Host: [::1]":                    "Host: [::1]",
		"x-api-version:  2 beta \t":      "X-Api-Version: 2 beta",
		"User-Agent: curl/8: \"quoted\"": "User-Agent: curl/8: \"quoted\"",
	} {
		m, err := ParseMatch(given)
		require.NoError(t, err, given)
		require.Equal(t, want, m.String(), given)
	}
	for given, why := range map[string]string{
		"Host":                           "not a header with",
		"Host:":                          "value is empty",
		": x":                            "no name of a header",
		"a b: x":                         "no name of a header",
		"é: x":                           "no name of a header",
		" Host: x":                       "no name of a header",
		strings.Repeat("a", 64) + ": x":  "no name of a header",
		"X: " + strings.Repeat("v", 256): "256 bytes long",
		"X: a\x00b":                      "control character",
		"X: é":                           "outside ASCII",
		"Host: iam:8080":                 "has a port",
		"Host: http://iam":               "no name of a host",
		"authorization: Bearer x":        "is not an authorisation",
	} {
		_, err := ParseMatch(given)
		var refused *Error
		require.ErrorAs(t, err, &refused, given)
		require.ErrorContains(t, err, why, given)
	}
	_, err := ParseMatch("a b: \x00")
	var refused *Error
	require.ErrorAs(t, err, &refused)
	require.Len(t, refused.Violations, 2, "all at once")
}

func TestMatchHolds(t *testing.T) {
	for _, c := range []struct {
		match, host, value string
		want               bool
	}{
		{match: "", host: "any", want: true},
		{match: "Host: iam", host: "iam", want: true},
		{match: "Host: iam", host: "IAM.example:8080", want: true},
		{match: "Host: iam", host: "ia"},
		{match: "Host: [::1]", host: "[::1]:80", want: true},
		{match: "X-A: 1", value: "12", want: true},
		{match: "X-A: 1", value: " 1"},
		{match: "X-A: a", value: "A"},
	} {
		m, err := ParseMatch(c.match)
		require.NoError(t, err)
		require.Equal(t, c.want, m.Holds(c.host, map[string][]string{"X-A": {"0", c.value}}), "%+v", c)
	}
}

// FuzzMatch checks that every valid match is parsed again from its text, and holds for a minimal matching request.
func FuzzMatch(f *testing.F) {
	for _, seed := range []string{"Host: iam", "host:IAM", "X-A: 1 2", "Host: [::1]", "Host: a:1", "Host: \u212a", "a\x00: b", ": ", "User-Agent: ::"} {
		f.Add(seed, "iam:80", "1 2 3")
	}
	f.Fuzz(func(t *testing.T, text, host, value string) {
		m, err := ParseMatch(text)
		if err != nil || m == (Match{}) {
			return
		}
		again, err := ParseMatch(m.String())
		require.NoError(t, err)
		require.Equal(t, m, again)
		key, err := Parse("/a " + text)
		require.NoError(t, err)
		require.Equal(t, m, key.Match)

		header := map[string][]string{m.Name: {value}}
		holds := strings.HasPrefix(value, m.Value)
		if m.Name == hostHeader {
			holds = strings.HasPrefix(strings.ToLower(hostname(host)), m.Value)
		}
		if isASCII(host) {
			require.Equal(t, holds, m.Holds(host, header))
		}
		header[m.Name] = []string{m.Value + "x"}
		require.True(t, m.Holds(m.Value+":80", header))
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

// TestMatchesHoldNoMoreThanTheirText parses matches that are parts of larger texts, as those of requests are.
func TestMatchesHoldNoMoreThanTheirText(t *testing.T) {
	const matches = 64
	before := heaptest.InUse()
	var kept []Match
	for range matches {
		m, err := ParseMatch(heaptest.Part("X-Tenant: a"))
		require.NoError(t, err)
		kept = append(kept, m)
	}
	require.Less(t, heaptest.InUse(), before+matches*heaptest.Large/4)
	require.Equal(t, "X-Tenant: a", kept[0].String())
}
