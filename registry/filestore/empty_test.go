package filestore

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

func TestRemoveEmpty(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := Open(dir)
	require.NoError(t, err)
	_, err = s.Load(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.RemoveEmpty())
	require.NoError(t, s.Close())
	require.NoDirExists(t, dir)

	for name, fill := range map[string]func(s *Store){
		"blob": func(s *Store) {
			blob := []byte("blob")
			require.NoError(t, s.Blobs().Put(t.Context(), registry.DigestOf(blob), blob))
		},
		"file of others": func(*Store) { require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)) },
		"catalogue": func(s *Store) {
			loaded, err := s.Load(t.Context())
			require.NoError(t, err)
			require.NoError(t, s.Commit(t.Context(), loaded.State, loaded.State.PutRecord("a/b", registry.Record{Kind: "test", Manifest: "{}"})))
		},
	} {
		s, err := Open(dir)
		require.NoError(t, err)
		fill(s)
		require.NoError(t, s.RemoveEmpty())
		require.NoError(t, s.Close())
		require.DirExists(t, dir, name)
		require.NoError(t, os.RemoveAll(dir))
	}
}
