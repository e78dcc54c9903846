package registry

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestContentDigestIsSameContent draws versions from a small space, so that many pairs are equal and many
// differ in one field.
func TestContentDigestIsSameContent(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(n int) int { return random.IntN(n) }
	texts := [][]string{nil, {}, {"a"}, {"a", "b"}, {"ab"}, {"", "ab"}}
	pairs := []map[string]string{nil, {}, {"a": "b"}, {"ab": ""}, {"a": "", "b": ""}}
	draw := func() Version {
		v := Version{Digest: DigestOf([]byte{byte(pick(2))}), Kind: [...]string{"k", "kb"}[pick(2)], Generation: Generation(pick(9))}
		v.Options = Options{
			MemoryBytes: int64(pick(2)), Timeout: time.Duration(pick(2)), Isolation: [...]string{"", "fresh"}[pick(2)], CGIArgs: pick(2) == 1,
			Allow: texts[pick(len(texts))], Config: pairs[pick(len(pairs))], Mounts: pairs[pick(len(pairs))],
			UseConfig: pairs[pick(len(pairs))],
		}
		for range pick(3) {
			v.Options.Use = append(v.Options.Use, DigestOf([]byte{byte(pick(2))}))
		}
		return v
	}
	seen := make(map[Digest]Version)
	for range 5_000 {
		v := draw()
		other := v // differs in one field or in none
		changed := draw()
		switch pick(9) {
		case 0:
			other.Kind = changed.Kind
		case 1:
			other.Digest = changed.Digest
		case 2:
			other.Options.Allow = changed.Options.Allow
		case 3:
			other.Options.Config = changed.Options.Config
		case 4:
			other.Options.Mounts = changed.Options.Mounts
		case 5:
			other.Options.Use = changed.Options.Use
		case 6:
			other.Options.UseConfig = changed.Options.UseConfig
		case 7:
			other.Options.Timeout = changed.Options.Timeout
		case 8:
			other.Generation, other.Origin = 99, OriginFile
		}
		require.Equal(t, v.SameContent(other), v.ContentDigest() == other.ContentDigest(), "%+v\n%+v", v, other)
		if before, ok := seen[v.ContentDigest()]; ok {
			require.True(t, before.SameContent(v), "%+v\n%+v", before, v)
		}
		seen[v.ContentDigest()] = v
		_, err := ParseDigest(string(v.ContentDigest()))
		require.NoError(t, err)
	}
	require.Greater(t, len(seen), 1000)
}

// Users see the digests of versions and tools store them: they must not change between releases.
func TestContentDigestIsStable(t *testing.T) {
	for want, v := range map[Digest]Version{
		"sha256:75ada2bc532f1df439bc176f0500432fe14d7694545c2707e2be1b007e03559a": {Kind: "wasm", Digest: DigestOf([]byte("module"))},
		"sha256:e2be6ede0a41feb432068adecb1a5df0c05f13f03a6b34e2c5491e34636f6438": {Kind: "proxy", Digest: DigestOf([]byte("{}")), Options: Options{
			MemoryBytes: 1 << 20, Timeout: time.Second, Isolation: "fresh", Allow: []string{"https://a"}, Config: map[string]string{"k": "v"},
			Mounts: map[string]string{"/a": "b"}, Use: []Digest{DigestOf([]byte("auth"))}, UseConfig: map[string]string{"x": "y"},
		}},
	} {
		require.Equal(t, want, v.ContentDigest())
	}
}
