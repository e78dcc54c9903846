package routekey

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for given, want := range map[string]string{"a/b/": "/a/b", "/": "/", "/ host: IAM": "/ Host: iam", "a x: 1 2": "/a X: 1 2"} {
		key, err := Parse(given)
		require.NoError(t, err, given)
		require.Equal(t, want, key.String())
		require.NoError(t, key.Canonical())
	}
	for _, given := range []string{"", " Host: x", "/a ", "/a  Host: x", "/a Host", "/services Host: x"} {
		_, err := Parse(given)
		require.Error(t, err, given)
	}
	require.Error(t, Key{Prefix: "/a", Match: Match{Value: "x"}}.Canonical())
	require.ErrorContains(t, Key{Prefix: "/a", Match: Match{Name: "host", Value: "x"}}.Canonical(), `not canonical; write "Host: x"`)
}

func TestMustParsePanics(t *testing.T) {
	require.Panics(t, func() { MustParse("/services") })
	require.Equal(t, Key{Prefix: "/a"}, MustParse("a"))
	require.True(t, Key{}.IsZero())
	require.False(t, MustParse("/").IsZero())
}

func TestKeysInJSON(t *testing.T) {
	out, err := json.Marshal(map[Key]any{MustParse("/a Host: x"): MustParse("/b")})
	require.NoError(t, err)
	require.JSONEq(t, `{"/a Host: x": "/b"}`, string(out))
}

func TestCompare(t *testing.T) {
	want := []string{"/", "/a Host: iam.example", "/a Host: iam", "/a X-A: iam", "/a X-B: 1", "/a", "/a/b"}
	keys := make([]Key, 0, len(want))
	for _, text := range slices.Backward(want) {
		keys = append(keys, MustParse(text))
	}
	slices.SortFunc(keys, Key.Compare)
	for i, key := range keys {
		require.Equal(t, want[i], key.String())
	}
}

// FuzzStored checks that stored keys keep their text, and that those which Parse accepts are the same key.
func FuzzStored(f *testing.F) {
	for _, seed := range []string{"", "/", "/a", "/a Host: iam", "/a host: IAM", "/a ", "/a b", "/a  X: 1", "/services", "a", "/a : x", "/a X: "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key := Stored(s)
		require.Equal(t, s, key.String())
		if parsed, err := Parse(s); err == nil && parsed.String() == s {
			require.Equal(t, parsed, key)
			require.NoError(t, key.Canonical())
		} else {
			require.Error(t, key.Canonical())
		}
	})
}
