package invocation

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTailKeepsTheEnd(t *testing.T) {
	var all strings.Builder
	var tail Tail
	for i := range 3000 {
		line := strings.Repeat("x", i%7) + "\n"
		all.WriteString(line)
		n, err := tail.Write([]byte(line))
		require.NoError(t, err)
		require.Len(t, line, n)
	}
	require.Equal(t, all.String()[all.Len()-TailBytes:], string(tail.Bytes()))
	long := strings.Repeat("abcdefg", 1000)
	_, err := tail.Write([]byte(long))
	require.NoError(t, err)
	require.Equal(t, long[len(long)-TailBytes:], string(tail.Bytes()))
}

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

func TestFrom(t *testing.T) {
	require.Nil(t, From(context.Background()))
	c := &Call{}
	require.Same(t, c, From(With(context.Background(), c)))
}
