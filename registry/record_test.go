package registry

import (
	"strings"
	"testing"

	"github.com/vespo-dev/vespo/internal/routekey"

	"github.com/stretchr/testify/require"
)

func TestPutRecord(t *testing.T) {
	empty := &State{}
	one := Record{Kind: "function", Manifest: `{"a":1}`, Blobs: []Digest{DigestOf([]byte("blob"))}}
	first := empty.PutRecord("function/x", one)
	require.Empty(t, empty.Records, "a state does not change")
	require.Equal(t, map[string]Record{"function/x": one}, first.Records)
	require.EqualValues(t, 1, first.Generation)
	require.Same(t, first, first.PutRecord("function/x", one), "no change")
	one.Manifest = "{ \"a\": 1 }\n"
	require.Same(t, first, first.PutRecord("function/x", one), "the same in another form")
	one.Manifest = `{"a":1}`
	require.Same(t, empty, empty.PutRecord("function/x", Record{}))
	require.Contains(t, first.Digests(), DigestOf([]byte("blob")))

	two := Record{Kind: "function", Manifest: `{}`}
	second := first.PutRecord("function/y", two)
	third := second.PutRecord("function/x", two)
	require.Equal(t, one, second.Records["function/x"])
	require.Equal(t, map[string]Record{"function/x": two, "function/y": two}, third.Records)
	require.NotContains(t, third.Digests(), DigestOf([]byte("blob")))
	require.NoError(t, third.Check())

	withService, _ := third.Put(routekey.MustParse("/a"), Version{Kind: "k", Blobs: []Blob{{Field: "module", Digest: DigestOf(nil)}}})
	require.Equal(t, third.Records, withService.Records, "services and records do not concern each other")
	without, err := withService.PutRecord("function/y", Record{}).Remove(routekey.MustParse("/a"))
	require.NoError(t, err)
	require.Equal(t, map[string]Record{"function/x": two}, without.Records)
	require.Nil(t, without.PutRecord("function/x", Record{}).Records)
}

func TestCheckRecord(t *testing.T) {
	for name, r := range map[string]Record{
		"no kind":      {Manifest: "{}"},
		"no manifest":  {Kind: "k"},
		"no object":    {Kind: "k", Manifest: "[]"},
		"torn":         {Kind: "k", Manifest: `{"a":`},
		"two":          {Kind: "k", Manifest: `{}{}`},
		"too large":    {Kind: "k", Manifest: Manifest(`{"a":"` + strings.Repeat("x", MaxRecordBytes) + `"}`)},
		"not a digest": {Kind: "k", Manifest: "{}", Blobs: []Digest{"sha256:x"}},
	} {
		require.ErrorIs(t, r.Check(), ErrRecord, name)
		s := &State{Records: map[string]Record{"n": r}}
		require.ErrorIs(t, s.Check(), ErrInvalidState, name)
	}
	require.NoError(t, Record{Kind: "k", Manifest: "{}"}.Check())
	unnamed := &State{Records: map[string]Record{"": {Kind: "k", Manifest: "{}"}}}
	require.ErrorIs(t, unnamed.Check(), ErrInvalidState)
}

func TestCanonical(t *testing.T) {
	for object, want := range map[string]Manifest{
		`{}`: `{}`,
		` { "b" : 1.50, "a" : [ "<&>" ] }` + "\n": `{"a":["<&>"],"b":1.50}`,
		`{"a":"\u003c\u00e9\u2028"}`:              `{"a":"<é\u2028"}`,
		`{"n":123456789012345678901234}`:          `{"n":123456789012345678901234}`,
	} {
		got, err := Canonical([]byte(object))
		require.NoError(t, err)
		require.Equal(t, want, got)
		again, err := Canonical([]byte(got))
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	for _, object := range []string{"", "null", "[]", "1", `{"a":}`, `{} {}`, `{}x`} {
		_, err := Canonical([]byte(object))
		require.Error(t, err, "%q", object)
	}
}
