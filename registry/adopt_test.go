package registry_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/storetest"
)

func adoptable(t *testing.T) (*registry.Registry, *storetest.Memory, *storetest.MemoryBlobs) {
	store, blobs := storetest.NewMemory(&registry.State{}), storetest.NewMemoryBlobs()
	r, _, err := registry.Open(t.Context(), store, blobs)
	require.NoError(t, err)
	return r, store, blobs
}

func TestAdoptCommitsWhatTheStoreLacks(t *testing.T) {
	r, store, _ := adoptable(t)
	version := registry.Version{Kind: "wasm", Blobs: []registry.Blob{{Field: "module", Digest: registry.DigestOf(nil)}}}
	first, _ := r.State().Put(routekey.MustParse("/a"), version)
	require.NoError(t, r.Adopt(t.Context(), first), "its blobs need not be stored")
	require.Same(t, first, r.State())
	for stored := range store.Watch(t.Context()) {
		require.Same(t, first, stored)
		break
	}
	require.NoError(t, r.Adopt(t.Context(), &registry.State{Generation: 1}), "one as new changes nothing")
	require.Same(t, first, r.State())

	second := first.PutRecord("test/a", registry.Record{Kind: "test", Manifest: "{}"})
	third := second.PutRecord("test/b", registry.Record{Kind: "test", Manifest: "{}"})
	require.NoError(t, store.Commit(t.Context(), first, third), "as another host does")
	require.NoError(t, r.Adopt(t.Context(), second), "the store has it, and a newer one")
	require.Same(t, second, r.State())
	require.NoError(t, r.Adopt(t.Context(), third))
	require.Same(t, third, r.State())

	invalid := &registry.State{Generation: 9, Services: map[routekey.Key]registry.Service{routekey.MustParse("/a"): {}}}
	require.ErrorIs(t, r.Adopt(t.Context(), invalid), registry.ErrInvalidState)
	require.Same(t, third, r.State())
	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, r.Adopt(ended, &registry.State{Generation: 9}), context.Canceled)
}

func TestHeldBlobsAreKept(t *testing.T) {
	r, _, blobs := adoptable(t)
	d := registry.DigestOf([]byte("a"))
	_, err := r.HoldBlob(t.Context(), d)
	require.ErrorIs(t, err, registry.ErrBlobMissing)
	require.NoError(t, blobs.Put(t.Context(), d, []byte("a")))
	release, err := r.HoldBlob(t.Context(), d)
	require.NoError(t, err)
	deleted, err := r.CollectGarbage(t.Context())
	require.NoError(t, err)
	require.Empty(t, deleted)
	release()
	deleted, err = r.CollectGarbage(t.Context())
	require.NoError(t, err)
	require.Equal(t, []registry.Digest{d}, deleted)
}
