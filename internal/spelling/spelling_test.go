package spelling

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNear(t *testing.T) {
	names := []string{"memory", "timeout", "rate", "rate_by", "keep_prefix", "kv", "on", "use", "use_config", "exec", "cron"}
	for given, want := range map[string]string{
		"memry": "memory", "memroy": "memory", "Memory": "memory", "MEMORY_": "memory", "mem": "", "timeuot": "timeout", "time-out": "timeout",
		"keep-prefix": "keep_prefix", "keepprefix": "keep_prefix", "ratee": "rate", "ratr_by": "rate_by", "rat": "rate",
		"kvs": "kv", "vk": "kv", "no": "on", "x": "", "": "", "surprise": "", "exce": "exec", "crom": "cron", "useconfig": "use_config", "uses": "use",
	} {
		require.Equal(t, want, Near(given, names), given)
	}
	require.Empty(t, Near("x", []string{"y", ""}))
}

func TestHint(t *testing.T) {
	require.Equal(t, `, did you mean "b_c"?`, Hint("b-c", []string{"a", "b_c"}))
	require.Equal(t, ": expected are a, b_c", Hint("surprise", []string{"a", "b_c"}))
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"ca", "abc", 3}, {"abcd", "acbd", 1}} {
		require.Equal(t, c.want, distance(c.a, c.b), c)
		require.Equal(t, c.want, distance(c.b, c.a), c)
	}
}
