package invocation

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseError(t *testing.T) {
	for _, c := range []struct{ raw, hint, message, errorType, json string }{
		{`{"errorMessage":"m","errorType":"T","stackTrace":[1]}`, "", "m", "T", `{"errorMessage":"m","errorType":"T","stackTrace":[1]}`},
		{`{"errorMessage":"m"}`, "Hint", "m", "Hint", `{"errorMessage":"m"}`},
		{`oh`, "", "oh", "Runtime.Unknown", `{"errorMessage":"oh","errorType":"Runtime.Unknown"}`},
		{`[]`, "Hint", "[]", "Hint", `{"errorMessage":"[]","errorType":"Hint"}`},
		{``, "", "", "Runtime.Unknown", `{"errorMessage":"","errorType":"Runtime.Unknown"}`},
	} {
		e := ParseError([]byte(c.raw), c.hint)
		require.Equal(t, c.message, e.Message)
		require.Equal(t, c.errorType, e.Type)
		require.Equal(t, c.json, string(e.JSON()))
	}
}

func TestTraceID(t *testing.T) {
	at := time.Unix(0x5759e988, 0)
	const own = `^Root=1-5759e988-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$`
	require.Regexp(t, own, TraceID("", at))
	require.Regexp(t, own, TraceID("Self=1", at), "there is no root")
	require.Regexp(t, own, TraceID("Root=1-"+strings.Repeat("x", 1000), at))
	require.NotEqual(t, TraceID("", at), TraceID("", at))
	const given = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
	require.Equal(t, given, TraceID(given, at))
}

func TestOf(t *testing.T) {
	c := &Call{}
	require.Same(t, c, Of(c))
	require.Nil(t, Of(nil))
	require.Nil(t, Of("of another kind"))
}
