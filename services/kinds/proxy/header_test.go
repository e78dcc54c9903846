package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
)

func TestParseRules(t *testing.T) {
	rs, wrong := parseRules("f", []string{"x-a: 1", "X-A:  2 ", "Cookie:", "authorization:Bearer a:b", "X-Empty :"}, nil)
	require.Equal(t, []string{`f "X-Empty ": it is not the name of a header`}, problem.Texts(wrong))
	require.Equal(t, rules{{"X-A", []string{"1", "2"}}, {"Cookie", nil}, {"Authorization", []string{"Bearer a:b"}}}, rs)

	h := map[string][]string{"X-A": {"0"}, "Cookie": {"c"}, "Other": {"o"}}
	rs.apply(h)
	require.Equal(t, map[string][]string{"X-A": {"1", "2"}, "Authorization": {"Bearer a:b"}, "Other": {"o"}}, h)
	h["X-A"][0] = "changed"
	rs.apply(h)
	require.Equal(t, "1", h["X-A"][0], "requests share nothing")
}
