package embedded

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/internal/heaptest"
	"github.com/vespo-dev/vespo/services/events"
	"github.com/vespo-dev/vespo/services/events/storetest"
	"github.com/vespo-dev/vespo/services/internal/boltfile"
)

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(Config{Path: path, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return s
}

// at returns how to open the file of a test.
func at(t *testing.T) storetest.Open {
	path := filepath.Join(t.TempDir(), "events.db")
	return func(t *testing.T, l storetest.Limits) (events.Store, func() error) {
		s, err := Open(Config{Path: path, Events: l.Events, Bytes: l.Bytes})
		require.NoError(t, err)
		return s, s.Close
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, at)
	storetest.RunReopen(t, at(t))
}

func TestConformanceInMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Open {
		return func(t *testing.T, l storetest.Limits) (events.Store, func() error) {
			s, err := Open(Config{Events: l.Events, Bytes: l.Bytes})
			require.NoError(t, err)
			return s, s.Close
		}
	})
}

// TestEventsHoldNoMoreThanTheyCount stores events whose names are parts of larger texts, as those of requests are.
func TestEventsHoldNoMoreThanTheyCount(t *testing.T) {
	const stored = 64
	for _, path := range []string{"", filepath.Join(t.TempDir(), "events.db")} {
		s := open(t, path)
		before := heaptest.InUse()
		for i := range stored {
			e := events.Event{ID: heaptest.Part(fmt.Sprint(i)), Function: heaptest.Part(fmt.Sprint("f", i)), Service: heaptest.Part("/f"), Content: []byte("a")}
			require.NoError(t, s.Put(t.Context(), e))
		}
		require.Less(t, heaptest.InUse(), before+stored*heaptest.Large/4)
		require.Equal(t, stored, s.Stats().Events)
		require.NoError(t, s.Close())
	}
}

// filled writes the file of a store with events of all kinds, and returns it.
func filled(t *testing.T, path string) []byte {
	t.Helper()
	s := open(t, path)
	for n := range 6 {
		e := events.Event{ID: fmt.Sprint("event", n), Function: "f", Content: bytes.Repeat([]byte{byte('a' + n)}, n*n*300)}
		require.NoError(t, s.Put(t.Context(), e))
	}
	taken, _, err := s.Take(t.Context(), 3, time.Hour)
	require.NoError(t, err)
	require.Len(t, taken, 3)
	require.NoError(t, s.Retry(t.Context(), taken[0].LeaseID, 0, events.Progress{Attempts: 1}))
	require.NoError(t, s.Done(t.Context(), taken[1].LeaseID))
	require.NoError(t, s.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

// TestDamagedBytes flips random bits. No changed event is returned, and the process survives.
func TestDamagedBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	whole := filled(t, path)
	rounds := 500
	if testing.Short() {
		rounds = 150
	}
	random := rand.New(rand.NewPCG(1, 2))
	refused, aside := 0, 0
	for range rounds {
		at := random.IntN(len(whole))
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1 << random.IntN(8)
		require.NoError(t, os.WriteFile(path, flipped, 0o600))
		s, err := Open(Config{Path: path})
		if err != nil {
			refused++
			continue
		}
		s.file.DB.NoSync = true // for speed
		taken, _, err := s.Take(t.Context(), 100, time.Hour)
		if err == nil {
			require.LessOrEqual(t, len(taken), 5)
		}
		for _, e := range taken {
			var n int
			_, err := fmt.Sscanf(e.ID, "event%d", &n)
			require.NoError(t, err)
			require.Equal(t, bytes.Repeat([]byte{byte('a' + n)}, n*n*300), e.Content, "bit of byte %d", at)
		}
		if s.Stats().Damaged > 0 {
			aside++
		}
		require.NoError(t, s.Close())
	}
	require.Positive(t, refused)
	require.Positive(t, aside)
}

// TestDamagedEvent checks that a damaged event is set aside, and that the others are served.
func TestDamagedEvent(t *testing.T) {
	for _, name := range []bucket{records, contents} {
		path := filepath.Join(t.TempDir(), "events.db")
		filled(t, path)
		db, err := bbolt.Open(path, 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(name))
			value := bytes.Clone(b.Get([]byte("event4")))
			value[len(value)/2] ^= 1
			return b.Put([]byte("event4"), value)
		}))
		require.NoError(t, db.Close())
		var log bytes.Buffer
		s, err := Open(Config{Path: path, Log: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		taken, _, err := s.Take(t.Context(), 100, time.Hour)
		require.NoError(t, err)
		require.Len(t, taken, 4)
		require.EqualValues(t, 1, s.Stats().Damaged)
		require.Equal(t, 4, s.Stats().Events)
		require.Contains(t, log.String(), "id=event4")
		require.NoError(t, s.Close())
		require.Equal(t, 4, open(t, path).Stats().Events)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	require.NoError(t, open(t, path).Close())
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return boltfile.SetFormat(tx, formatVersion+1) }))
	require.NoError(t, db.Close())
	_, err = Open(Config{Path: path})
	require.ErrorIs(t, err, boltfile.ErrNewer)
}

func FuzzDecode(f *testing.F) {
	r := record{ID: "id", Function: "f", Bytes: 3, Accepted: time.Unix(1, 2), Progress: events.Progress{Attempts: 1, Final: []byte("{}")}}
	f.Add("id", encode(r))
	f.Add("id", []byte{mark, 0, 0, 0, 0, '{', '}'})
	f.Fuzz(func(t *testing.T, id string, value []byte) {
		r, err := decode(id, value)
		if err != nil {
			require.ErrorIs(t, err, errDamaged)
			return
		}
		again, err := decode(id, encode(r))
		require.NoError(t, err)
		require.Equal(t, r.ID, again.ID)
		require.Equal(t, r.Progress, again.Progress)
	})
}

// BenchmarkPut measures the acknowledgement of an event of 1 KB, in memory and in a file, by one client and by 16.
func BenchmarkPut(b *testing.B) {
	for _, path := range []string{"", filepath.Join(b.TempDir(), "events.db")} {
		for _, clients := range []int{1, 16} {
			name := map[bool]string{true: "memory", false: "file"}[path == ""]
			b.Run(fmt.Sprint(name, "/", clients), func(b *testing.B) {
				s, err := Open(Config{Path: path, Events: 1 << 30, Bytes: 1 << 40})
				require.NoError(b, err)
				content := make([]byte, 1000)
				b.SetParallelism(clients)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						id := fmt.Sprint(rand.Uint64(), rand.Uint64())
						if err := s.Put(context.Background(), events.Event{ID: id, Function: "f", Content: content}); err != nil {
							b.Error(err)
							return
						}
					}
				})
				require.NoError(b, s.Close())
			})
		}
	}
}
