package stored

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// filled returns the file of a store with requests in every state.
func filled(t *testing.T, path string) []byte {
	t.Helper()
	s := reopen(t, path, start)
	require.NoError(t, s.Put("/jobs", request("waits", start), []byte("body of waits")))
	require.NoError(t, s.Put("/jobs", request("large", start.Add(1)), bytes.Repeat([]byte("x"), 9000)))
	require.NoError(t, s.Put("/jobs", request("leased", start.Add(2)), []byte("body of leased")))
	require.NoError(t, s.SetLease("/jobs", "leased", Lease{ID: "l", End: start.Add(time.Minute), Deliveries: 1}))
	require.NoError(t, s.Put("/jobs", request("answered", start.Add(3)), nil))
	require.NoError(t, s.Finish("/jobs", "answered", Result{State: Answered, Ended: start, Status: 200, Header: http.Header{"A": {"b"}}, Body: []byte("the answer")}))
	require.NoError(t, s.Put("/other", request("waits", start), []byte("another")))
	require.NoError(t, s.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return text
}

// TestDamagedBytes flips random bits of a store. The process must survive, and no
// modified content may be returned. The store is either refused or reports the damage.
func TestDamagedBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "requests.db")
	whole := filled(t, path)
	rounds := 1000
	if testing.Short() {
		rounds = 300
	}
	random := rand.New(rand.NewPCG(1, 2))
	refused, aside := 0, 0
	for range rounds {
		at := random.IntN(len(whole))
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1 << random.IntN(8)
		require.NoError(t, os.WriteFile(path, flipped, 0o600))
		s, err := Open(path, start, quiet())
		if err != nil {
			refused++
			continue
		}
		s.file.DB.NoSync = true // for speed
		inspect(t, s, at)
		if s.DamagedAt("/jobs")+s.DamagedAt("/other") > 0 {
			aside++
		}
		require.NoError(t, s.Close())
	}
	require.NotZero(t, refused)
	require.NotZero(t, aside)
}

// inspect uses all methods of a store that may be damaged.
func inspect(t *testing.T, s *Store, at int) {
	t.Helper()
	want := map[string]string{"waits": "body of waits", "large": string(bytes.Repeat([]byte("x"), 9000)), "leased": "body of leased"}
	pending, err := s.Unfinished("/jobs")
	if err != nil {
		require.ErrorIs(t, err, ErrDamaged, at)
		return
	}
	for _, r := range pending {
		require.Contains(t, want, r.ID, at)
		require.Equal(t, `{"A":"b"}`, string(r.Environment), at)
		body, err := s.Body("/jobs", r.ID)
		if err == nil {
			require.Equal(t, want[r.ID], string(body), at)
		} else {
			require.True(t, errors.Is(err, ErrEnded) || errors.Is(err, ErrDamaged), "%d: %v", at, err)
		}
	}
	result, err := s.Result("/jobs", "answered", start)
	switch {
	case err != nil:
		require.True(t, errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged), "%d: %v", at, err)
	case result.State == Answered:
		require.Equal(t, "the answer", string(result.Body), at)
		require.Equal(t, http.Header{"A": {"b"}}, result.Header)
	default:
		require.Equal(t, Damaged, result.State, at)
	}
	err = s.Put("/jobs", request("new", start), []byte("new"))
	if err == nil {
		body, err := s.Body("/jobs", "new")
		require.NoError(t, err, at)
		require.Equal(t, "new", string(body), at)
	} else {
		require.ErrorIs(t, err, ErrDamaged, at)
	}
}

// edit changes a value of a closed store.
func edit(t *testing.T, path string, p part, id string, change func([]byte) []byte) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		k := key{"/jobs", id}
		return put(tx, p, k, change(bytes.Clone(get(tx, p, k))))
	}))
	require.NoError(t, db.Close())
}

func flip(b []byte) []byte {
	b[len(b)/2] ^= 4
	return b
}

// TestSetAside checks that a damaged request fails, is kept for inspection, and does not affect the others.
func TestSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "requests.db")
	filled(t, path)
	edit(t, path, records, "waits", flip)
	edit(t, path, bodies, "large", flip)
	edit(t, path, answers, "answered", flip)
	s := reopen(t, path, start)
	require.Equal(t, 1, s.DamagedAt("/jobs"), "records are checked at once")
	pending, err := s.Unfinished("/jobs")
	require.NoError(t, err)
	require.Len(t, pending, 2)
	_, err = s.Body("/jobs", "large")
	require.ErrorIs(t, err, ErrEnded)
	body, err := s.Body("/jobs", "leased")
	require.NoError(t, err)
	require.Equal(t, "body of leased", string(body))
	for range 2 {
		for _, id := range []string{"waits", "large", "answered"} {
			result, err := s.Result("/jobs", id, time.Now())
			require.NoError(t, err)
			require.Equal(t, Damaged, result.State, id)
		}
	}
	require.Equal(t, 3, s.DamagedAt("/jobs"))
	require.NoError(t, s.file.View(func(tx *bbolt.Tx) error {
		require.Equal(t, 6, tx.Bucket([]byte(asideName)).Stats().KeyN, "three records with what belongs to them")
		return nil
	}))
	require.NoError(t, s.Close())
	s = reopen(t, path, time.Now())
	require.Zero(t, s.DamagedAt("/jobs"))
	pending, err = s.Unfinished("/jobs")
	require.NoError(t, err)
	require.Len(t, pending, 1)
}

// TestWithoutSums opens a store written by a version without checksums.
func TestWithoutSums(t *testing.T) {
	path := filepath.Join(t.TempDir(), "requests.db")
	filled(t, path)
	for _, id := range []string{"waits", "large", "leased", "answered"} {
		edit(t, path, records, id, func(value []byte) []byte {
			var r record
			require.NoError(t, json.Unmarshal(value[headBytes:], &r))
			r.BodySum, r.AnswerSum = nil, nil
			text, err := json.Marshal(r)
			require.NoError(t, err)
			return text
		})
	}
	s := reopen(t, path, start)
	inspect(t, s, -1)
	require.Zero(t, s.DamagedAt("/jobs"))
	require.NoError(t, s.Finish("/jobs", "waits", Result{State: Answered, Ended: start, Status: 200, Body: []byte("x")}))
	result, err := s.Result("/jobs", "waits", start)
	require.NoError(t, err)
	require.Equal(t, "x", string(result.Body))
}

// TestOver checks that a request whose only lease has ended has failed, even if that was not stored.
func TestOver(t *testing.T) {
	s := reopen(t, filepath.Join(t.TempDir(), "requests.db"), start)
	once := request("once", start)
	once.Redeliver = false
	require.NoError(t, s.Put("/jobs", once, nil))
	require.NoError(t, s.SetLease("/jobs", "once", Lease{ID: "l", End: start.Add(time.Minute), Deliveries: 1}))
	for after, want := range map[time.Duration]State{time.Second: Pending, time.Minute: Failed} {
		result, err := s.Result("/jobs", "once", start.Add(after))
		require.NoError(t, err)
		require.Equal(t, want, result.State)
	}
}
