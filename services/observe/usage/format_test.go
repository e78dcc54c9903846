package usage

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/observe/tally"
	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/internal/boltfile"
)

// TestNewerFormatIsRefused checks that a file of a later version of the program is left alone, with the reason.
func TestNewerFormatIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file.db")
	open := func() error {
		s, err := Open(Config{Path: path, Tally: tally.New(nil), Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			err = s.Close()
		}
		return err
	}
	require.NoError(t, open())
	set := func(version uint64) {
		db, err := bbolt.Open(path, 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return boltfile.SetFormat(tx, version) }))
		require.NoError(t, db.Close())
	}
	set(formatVersion + 1)
	require.ErrorIs(t, open(), boltfile.ErrNewer)
	set(formatVersion)
	require.NoError(t, open())
}
