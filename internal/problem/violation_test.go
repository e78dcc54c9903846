package problem

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestViolationsAreSentencesAboutAField(t *testing.T) {
	for _, c := range []struct {
		v    Violation
		want string
	}{
		{Violate("timeout", "is %s: it must be at most %s", "5h", "1h"), "timeout is 5h: it must be at most 1h"},
		{Violation{Text: "the query is malformed"}, "the query is malformed"},
		{Violate("a b", "is unknown"), `"a b" is unknown`},
		{Violate(strings.Repeat("x", 100), "is unknown"), `"` + strings.Repeat("x", 60) + `" is unknown`},
		{Violate("kö\n", "is unknown"), `"kö\n" is unknown`},
	} {
		require.Equal(t, c.want, c.v.String())
	}
	require.Equal(t, "--timeout is 5h", Violate("timeout", "is 5h").About("--timeout"))
}

// Clients find the field of a violation without reading its text.
func TestEachViolationIsSentWithItsField(t *testing.T) {
	p := New(BadRequest, "the service was not deployed")
	p.Violations = []Violation{Violate("timeout", "is negative"), {Text: "the query is malformed"}}
	w := httptest.NewRecorder()
	Write(w, "", p)
	var sent struct{ Violations, Fields []string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &sent))
	require.Equal(t, []string{"timeout is negative", "the query is malformed"}, sent.Violations)
	require.Equal(t, []string{"timeout", ""}, sent.Fields)
	require.NoError(t, Invalid(BadRequest, "x", nil))
	require.ErrorContains(t, Invalid(BadRequest, "x", p.Violations), "timeout is negative; the query is malformed")
}
