package boltstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/kv"
)

// TestLastSyncFails lets the fsync of a transaction fail that is visible already. It is neither repeated nor called failed.
func TestLastSyncFails(t *testing.T) {
	s := openWith(t, Limits{})
	require.NoError(t, put(s, "a", "other", 10))
	st := s.lookup("a")
	st.update = func(db *bbolt.DB, f func(*bbolt.Tx) error) error {
		return errors.Join(db.Update(f), errors.New("the disk is gone"))
	}
	var group sync.WaitGroup
	failures := make([]error, 20)
	for i := range failures {
		group.Go(func() {
			_, failures[i] = s.Write(t.Context(), "a", []kv.Change{{Op: kv.OpAdd, Key: "n", Delta: 1}})
		})
	}
	group.Wait()
	for _, err := range failures {
		require.ErrorIs(t, err, kv.ErrUncertain)
		require.NotContains(t, err.Error(), "the disk is gone")
	}
	e, err := s.Get(t.Context(), "a", "n")
	require.NoError(t, err)
	require.Equal(t, "20", string(e.Value), "each was made once")
	requireUsage(t, s)
	require.NoError(t, s.Close())
}

// TestStoresThatAreNotCreated makes writes that fail or change nothing. None leaves a store that counts.
func TestStoresThatAreNotCreated(t *testing.T) {
	s := openWith(t, Limits{Stores: 1})
	write := func(c kv.Change) error {
		_, err := s.Write(t.Context(), "typo", []kv.Change{c})
		return err
	}
	one := kv.Version(1)
	require.NoError(t, write(kv.Change{Op: kv.OpDelete, Key: "k"}))
	require.ErrorIs(t, write(kv.Change{Key: "k", If: &one}), kv.ErrConflict)
	require.ErrorIs(t, write(kv.Change{Op: kv.OpDelete, Key: "k", If: &one}), kv.ErrConflict)
	withdrawn, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Write(withdrawn, "typo", []kv.Change{{Key: "k"}})
	require.Error(t, err)

	// a directory that is in the way of the file
	require.NoError(t, os.MkdirAll(filepath.Join(s.cfg.Dir, "typo"+newEnding, "in the way"), 0o700))
	require.ErrorIs(t, write(kv.Change{Key: "k"}), kv.ErrUnavailable)

	all, err := s.All(t.Context())
	require.NoError(t, err)
	require.Empty(t, all)
	require.NoError(t, put(s, "other", "k", 0), "the limit of stores is not reached")
	require.NoError(t, s.Close())
}

// TestReadsAfterClose checks that a server that stops does not call keys absent.
func TestReadsAfterClose(t *testing.T) {
	s := openWith(t, Limits{})
	require.NoError(t, put(s, "a", "k", 10))
	require.NoError(t, s.Close())
	_, err := s.Get(t.Context(), "a", "k")
	require.ErrorIs(t, err, kv.ErrUnavailable)
	_, err = s.List(t.Context(), "a", kv.Query{Limit: 1})
	require.ErrorIs(t, err, kv.ErrUnavailable)
}

// TestOneStoreDelaysNoOther keeps the deletion of a store waiting for a read. Neither lists of stores nor reads of others wait.
func TestOneStoreDelaysNoOther(t *testing.T) {
	s := openWith(t, Limits{})
	require.NoError(t, put(s, "a", "k", 10))
	require.NoError(t, put(s, "b", "k", 10))
	st := s.lookup("a")
	st.mu.RLock() // a read
	var group sync.WaitGroup
	group.Go(func() { require.NoError(t, s.Drop(t.Context(), "a")) })
	require.Eventually(t, func() bool {
		if st.mu.TryRLock() {
			st.mu.RUnlock()
			return false
		}
		return true
	}, time.Minute, time.Millisecond)
	group.Go(func() { _, _ = s.All(t.Context()) })
	for range 1000 {
		_, err := s.Get(t.Context(), "b", "k")
		require.NoError(t, err)
	}
	st.mu.RUnlock()
	group.Wait()
	require.NoError(t, s.Close())
}

// TestCloseMeetsDrops closes stores while they are created and deleted.
func TestCloseMeetsDrops(t *testing.T) {
	for range 20 {
		s := openWith(t, Limits{})
		var group sync.WaitGroup
		for _, name := range []string{"a", "b", "c", "d"} {
			require.NoError(t, put(s, name, "k", 10))
			group.Go(func() { _ = s.Drop(t.Context(), name) })
		}
		require.NoError(t, s.Close())
		group.Wait()
	}
}
