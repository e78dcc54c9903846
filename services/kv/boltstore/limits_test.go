package boltstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/kv"
)

func openWith(t *testing.T, l Limits) *Stores {
	t.Helper()
	s, err := Open(Config{Dir: filepath.Join(t.TempDir(), "new", "kv"), Limits: l})
	require.NoError(t, err)
	return s
}

func put(s *Stores, store, key string, size int) error {
	_, err := s.Write(context.Background(), store, []kv.Change{{Key: key, Value: make([]byte, size)}})
	return err
}

func TestQuotas(t *testing.T) {
	entry := int(1 + kv.EntryOverheadBytes) // size of an entry with a key of one byte and no value
	for name, c := range map[string]struct {
		limits Limits
		fill   func(s *Stores) error // succeeds
		over   func(s *Stores) error // fails
	}{
		"bytes of a store": {
			Limits{StoreBytes: int64(entry) + 100},
			func(s *Stores) error { return put(s, "a", "k", 100) },
			func(s *Stores) error { return put(s, "a", "k", 101) },
		},
		"keys of a store": {
			Limits{StoreKeys: 1},
			func(s *Stores) error { return put(s, "a", "k", 100) },
			func(s *Stores) error { return put(s, "a", "l", 0) },
		},
		"bytes of all": {
			Limits{Bytes: 2*int64(entry) + 100},
			func(s *Stores) error { return errorsOf(put(s, "a", "k", 100), put(s, "b", "k", 0)) },
			func(s *Stores) error { return put(s, "b", "k", 1) },
		},
		"keys of all": {
			Limits{Keys: 2},
			func(s *Stores) error { return errorsOf(put(s, "a", "k", 100), put(s, "b", "k", 0)) },
			func(s *Stores) error { return put(s, "b", "l", 0) },
		},
		"stores": {
			Limits{Stores: 1},
			func(s *Stores) error { return put(s, "a", "k", 0) },
			func(s *Stores) error { return put(s, "b", "k", 0) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openWith(t, c.limits)
			require.NoError(t, c.fill(s))
			require.ErrorIs(t, c.over(s), kv.ErrFull)
			require.NoError(t, put(s, "a", "k", 0), "smaller writes go on")
			_, err := s.Write(t.Context(), "a", []kv.Change{{Op: kv.OpDelete, Key: "k"}})
			require.NoError(t, err)
			require.NoError(t, s.Drop(t.Context(), "a"))
			require.NoError(t, c.fill(s), "there is room again")
			requireUsage(t, s)
			require.NoError(t, s.Close())
		})
	}
}

func errorsOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestExpiredKeysMakeRoom fills a store with keys that expire. They make room for a write at once, and for all after a sweep.
func TestExpiredKeysMakeRoom(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Config{Dir: dir, Limits: Limits{StoreKeys: 3000}})
		require.NoError(t, err)
		for n := range 30 {
			var changes []kv.Change
			for m := range kv.MaxChanges {
				changes = append(changes, kv.Change{Key: fmt.Sprint(n, "/", m), Expires: time.Now().Add(time.Second)})
			}
			_, err := s.Write(t.Context(), "a", changes)
			require.NoError(t, err)
		}
		require.ErrorIs(t, put(s, "a", "k", 0), kv.ErrFull)
		<-time.After(2 * time.Second)
		require.EqualValues(t, 3000, s.Stats().Keys)
		require.NoError(t, put(s, "a", "k", 0))
		require.EqualValues(t, 3000-sweepKeys+1, s.Stats().Keys)
		<-time.After(2 * sweepEvery)
		synctest.Wait()
		require.EqualValues(t, 1, s.Stats().Keys)
		requireUsage(t, s)
		require.NoError(t, s.Close())
	})
}

// TestWritersDoNotStallReaders holds a transaction of a store open, as a slow fsync does. Reads of the store and writes of
// others go on, and a write of the store ends with its context.
func TestWritersDoNotStallReaders(t *testing.T) {
	s := openWith(t, Limits{})
	require.NoError(t, put(s, "a", "k", 10))
	tx, err := s.lookup("a").db.Begin(true)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		_, err := s.Write(ctx, "a", []kv.Change{{Key: "l"}})
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, kv.ErrUncertain, "it was taken")
	})
	require.NoError(t, put(s, "b", "k", 10))
	e, err := s.Get(t.Context(), "a", "k")
	require.NoError(t, err)
	require.Len(t, e.Value, 10)
	require.Eventually(t, func() bool { return len(s.lookup("a").queue) == 0 }, time.Minute, time.Millisecond)
	_, err = s.List(t.Context(), "a", kv.Query{Limit: 1})
	require.NoError(t, err)
	again := make(chan error, 1)
	waiting, withdraw := context.WithCancel(t.Context())
	go func() {
		_, err := s.Write(waiting, "a", []kv.Change{{Key: "withdrawn"}})
		again <- err
	}()
	require.Eventually(t, func() bool { return len(s.lookup("a").queue) == 1 }, time.Minute, time.Millisecond)
	withdraw()
	require.NotErrorIs(t, <-again, kv.ErrUncertain, "it was not begun")
	cancel()
	group.Wait()
	require.NoError(t, tx.Rollback())
	require.NoError(t, put(s, "a", "m", 0))
	_, err = s.Get(t.Context(), "a", "withdrawn")
	require.ErrorIs(t, err, kv.ErrNotFound)
	require.NoError(t, s.Close())
	require.ErrorIs(t, put(s, "a", "k", 0), kv.ErrUnavailable)
}

// TestDamage damages files. A damaged store refuses, all others go on, and it can be deleted.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	for _, name := range []string{"a", "b", "c", "d"} {
		require.NoError(t, put(s, name, "k", 100))
		require.NoError(t, put(s, name, "l", 100))
	}
	require.NoError(t, s.Close())
	damage(t, filepath.Join(dir, "a.db"), func(data []byte) { clear(data[2*4096:]) })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.db"), []byte("not a database"), 0o600))
	db, err := bbolt.Open(filepath.Join(dir, "c.db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(entriesName)
		raw := append([]byte(nil), b.Get([]byte("k"))...)
		raw[len(raw)-1]++
		return b.Put([]byte("k"), raw)
	}))
	require.NoError(t, db.Close())
	s = openIn(t, dir)
	for _, name := range []string{"a", "b"} {
		require.ErrorIs(t, put(s, name, "k", 0), kv.ErrUnavailable, name)
		_, err := s.Get(t.Context(), name, "k")
		require.ErrorIs(t, err, kv.ErrUnavailable, name)
		_, err = s.List(t.Context(), name, kv.Query{Limit: 1})
		require.ErrorIs(t, err, kv.ErrUnavailable, name)
	}
	all, err := s.All(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, all[0].Problem)
	_, err = s.Get(t.Context(), "c", "k")
	require.ErrorIs(t, err, kv.ErrUnavailable, "an entry whose checksum does not match")
	_, err = s.Get(t.Context(), "c", "l")
	require.NoError(t, err)
	_, err = s.Write(t.Context(), "c", []kv.Change{{Op: kv.OpAdd, Key: "k", Delta: 1}})
	require.ErrorIs(t, err, kv.ErrConflict)
	require.NoError(t, put(s, "c", "k", 1))
	require.NoError(t, put(s, "d", "k", 1))
	for _, name := range []string{"a", "b"} {
		require.NoError(t, s.Drop(t.Context(), name))
		require.NoError(t, put(s, name, "k", 1))
	}
	requireUsage(t, s)
	require.NoError(t, s.Close())
}

func damage(t *testing.T, path string, change func([]byte)) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	change(data)
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// TestForeignFiles leaves alone what is not of a store.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"README", "Upper.db", "x.db.new", "y.db.dropped"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	s := openIn(t, dir)
	require.Zero(t, s.Stats().Stores)
	require.NoError(t, s.Close())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2, "what an interrupted creation or deletion left is removed")
}

// FuzzDecode checks that stored entries are read as they were written, and others refused.
func FuzzDecode(f *testing.F) {
	f.Add("k", record{version: 1, expires: 2, metadata: []byte("m"), value: []byte("v")}.encode("k"))
	f.Add("", []byte{})
	f.Add("k", make([]byte, recordHead))
	f.Fuzz(func(t *testing.T, key string, raw []byte) {
		r, err := decode(key, raw)
		if err == nil {
			require.Equal(t, raw, r.encode(key))
		}
	})
}

// TestDropThatFails keeps a store whose file cannot be renamed.
func TestDropThatFails(t *testing.T) {
	s := openWith(t, Limits{})
	require.NoError(t, put(s, "a", "k", 10))
	require.NoError(t, os.MkdirAll(filepath.Join(s.cfg.Dir, "a"+droppedEnding, "in the way"), 0o700))
	require.ErrorIs(t, s.Drop(t.Context(), "a"), kv.ErrUnavailable)
	_, err := s.Get(t.Context(), "a", "k")
	require.NoError(t, err)
	require.NoError(t, put(s, "a", "l", 10))
	requireUsage(t, s)
	require.NoError(t, s.Close())
}
