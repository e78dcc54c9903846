package registry

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestContentDigestIsSameContent draws versions from a small space, so that many pairs are equal and many
// differ in one field.
func TestContentDigestIsSameContent(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(n int) int { return random.IntN(n) }
	manifests := []Manifest{"", "{}", `{"a":1}`, `{"a":"1"}`}
	draw := func() Version {
		v := Version{
			Kind:       [...]string{"k", "kb"}[pick(2)],
			Manifest:   manifests[pick(len(manifests))],
			Generation: Generation(pick(9)),
		}
		for range pick(4) {
			v.Blobs = append(v.Blobs, Blob{
				Field:     [...]string{"module", "use"}[pick(2)],
				Digest:    DigestOf([]byte{byte(pick(2))}),
				SizeBytes: int64(pick(2)),
			})
		}
		return v
	}
	seen := make(map[Digest]Version)
	for range 5_000 {
		v := draw()
		other := v // differs in one field or in none
		changed := draw()
		switch pick(5) {
		case 0:
			other.Kind = changed.Kind
		case 1:
			other.Manifest = changed.Manifest
		case 2:
			other.Blobs = changed.Blobs
		case 3:
			other.Generation, other.Origin, other.Note = 99, OriginFile, Note{Message: "m", Author: "a"}
		}
		require.Equal(t, v.SameContent(other), v.ContentDigest() == other.ContentDigest(), "%+v\n%+v", v, other)
		if before, ok := seen[v.ContentDigest()]; ok {
			require.True(t, before.SameContent(v), "%+v\n%+v", before, v)
		}
		seen[v.ContentDigest()] = v
		_, err := ParseDigest(string(v.ContentDigest()))
		require.NoError(t, err)
	}
	require.Greater(t, len(seen), 500)
}

// Users see the digests of versions and tools store them: they must not change between releases.
func TestContentDigestIsStable(t *testing.T) {
	for want, v := range map[Digest]Version{
		"sha256:86d8f984477cc01c4c835bbaeda31405ecef659abe29c3407a3b131afb825182": {Kind: "wasm", Blobs: []Blob{{Field: "module", Digest: DigestOf([]byte("module"))}}},
		"sha256:7a12852e146eca9c13ae0c734fff570f2ad530f3441a1b57c84457d7f526bf6a": {
			Kind:     "proxy",
			Manifest: `{"upstream":["https://a"],"use_config":{"x":"y"}}`,
			Blobs:    []Blob{{Field: "use", Digest: DigestOf([]byte("auth")), SizeBytes: 4}},
		},
	} {
		require.Equal(t, want, v.ContentDigest())
	}
}
