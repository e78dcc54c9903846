package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// TestLiveBlobs lists the blobs of versions with requests, not those of earlier ones.
func TestLiveBlobs(t *testing.T) {
	state := &registry.State{}
	put := func(key string, modules ...string) {
		v := registry.Version{Kind: "wasm"}
		for _, m := range modules {
			v.Blobs = append(v.Blobs, registry.Blob{Field: m, Digest: registry.DigestOf([]byte(m))})
		}
		state, _ = state.Put(routekey.MustParse(key), v)
	}
	put("/b", "old")
	put("/b", "shared", "two")
	put("/a", "one", "shared")
	var want []registry.Digest
	for _, m := range []string{"one", "shared", "two"} {
		want = append(want, registry.DigestOf([]byte(m)))
	}
	require.Equal(t, want, state.LiveBlobs())
}
