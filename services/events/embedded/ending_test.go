package embedded

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/events"
)

// TestRenewBesideAFailingEnd renews a lease while its end is written, which fails. The lease lasts as renewed.
func TestRenewBesideAFailingEnd(t *testing.T) {
	for name, end := range map[string]func(s *Store, lease string) error{
		"done": func(s *Store, lease string) error { return s.Done(t.Context(), lease) },
		"retry": func(s *Store, lease string) error {
			return s.Retry(t.Context(), lease, 0, events.Progress{Attempts: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, filepath.Join(t.TempDir(), "events.db"))
			require.NoError(t, s.Put(t.Context(), events.Event{ID: "e", Function: "f"}))
			taken, _, err := s.Take(t.Context(), 1, time.Millisecond)
			require.NoError(t, err)
			require.Len(t, taken, 1)
			lease := taken[0].LeaseID

			require.NoError(t, s.file.DB.Update(func(tx *bbolt.Tx) error { // in place of the record, which cannot be written then
				b := tx.Bucket([]byte(records))
				if err := b.Delete([]byte("e")); err != nil {
					return err
				}
				_, err := b.CreateBucket([]byte("e"))
				return err
			}))
			tx, err := s.file.DB.Begin(true) // the end waits for it
			require.NoError(t, err)
			ended := make(chan error, 1)
			go func() { ended <- end(s, lease) }()
			for claimed := false; !claimed; {
				s.mu.Lock()
				claimed = s.leases[lease].ending
				s.mu.Unlock()
			}
			require.NoError(t, s.Renew(t.Context(), lease, time.Hour), "it has not ended")
			require.ErrorIs(t, s.Done(t.Context(), lease), events.ErrEnded, "one operation ends it")
			require.NoError(t, tx.Rollback())
			require.Error(t, <-ended)

			taken, _, err = s.Take(t.Context(), 1, time.Hour)
			require.NoError(t, err)
			require.Empty(t, taken, "the renewed lease lasts")
			require.NoError(t, s.Renew(t.Context(), lease, time.Hour))
			require.NoError(t, s.file.DB.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(records)).DeleteBucket([]byte("e")) }))
			require.NoError(t, end(s, lease))
			require.ErrorIs(t, s.Renew(t.Context(), lease, time.Hour), events.ErrEnded)
			require.Zero(t, s.Stats().Leased)
			require.NoError(t, s.Close())
		})
	}
}
