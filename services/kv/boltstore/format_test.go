package boltstore

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/internal/boltfile"
	"github.com/vespo-dev/vespo/services/kv"
)

// TestNewerFormatIsRefused checks that a file of a later version of the program is left alone, with the reason.
func TestNewerFormatIsRefused(t *testing.T) {
	st := &store{name: "a", all: &Stores{cfg: Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}}}
	st.path = filepath.Join(st.all.cfg.Dir, "a.db")
	db, err := bbolt.Open(st.path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(initialise))
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return boltfile.SetFormat(tx, formatVersion+1) }))
	require.NoError(t, db.Close())
	before, err := os.ReadFile(st.path)
	require.NoError(t, err)
	st.load()
	require.ErrorIs(t, st.usable(), kv.ErrUnavailable)
	require.Contains(t, *st.problem.Load(), boltfile.ErrNewer.Error())
	require.NoError(t, st.db.Close())
	after, err := os.ReadFile(st.path)
	require.NoError(t, err)
	require.Equal(t, before, after)
}
