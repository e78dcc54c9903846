package filestore

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Medium {
		dir := t.TempDir()
		return storetest.Medium{Open: func(t *testing.T) (registry.Store, func()) {
			store, err := Open(dir)
			require.NoError(t, err)
			return store, func() { require.NoError(t, store.Close()) }
		}}
	})
}

func TestBlobConformance(t *testing.T) {
	storetest.RunBlobs(t, func(t *testing.T) storetest.Blobs {
		dir := t.TempDir()
		return storetest.Blobs{
			Open: func(t *testing.T) (registry.BlobStore, func()) {
				store, err := Open(dir)
				require.NoError(t, err)
				return store.Blobs(), func() { require.NoError(t, store.Close()) }
			},
			Damage: func(t *testing.T, d registry.Digest, content []byte) {
				require.NoError(t, os.WriteFile(blobPath(dir, d), content, 0o600))
			},
		}
	})
}
