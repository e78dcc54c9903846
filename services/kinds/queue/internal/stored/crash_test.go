package stored

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// scenario is a list of changes, one after the other.
func scenario() []func(*Store) error {
	var steps []func(*Store) error
	for n := range 6 {
		id := fmt.Sprint(n)
		steps = append(steps, func(s *Store) error {
			return s.Put("/jobs", request(id, start.Add(time.Duration(n))), bytes.Repeat([]byte(id), 3000*n+1))
		})
	}
	return append(steps,
		func(s *Store) error {
			return s.SetLease("/jobs", "1", Lease{ID: "l", End: start.Add(time.Minute), Deliveries: 1})
		},
		func(s *Store) error {
			return s.Finish("/jobs", "1", Result{State: Answered, Ended: start, Status: 200, Body: make([]byte, 9000)})
		},
		func(s *Store) error { return s.Fail("/jobs", "5", start) },
		func(s *Store) error {
			return s.Put("/other", request("0", start), []byte("in the space of a deleted body"))
		},
	)
}

// contentOf returns everything that a store has.
func contentOf(t *testing.T, path string) map[string]string {
	t.Helper()
	s := reopen(t, path, start)
	defer func() { require.NoError(t, s.Close()) }()
	found := make(map[string]string)
	for _, prefix := range []string{"/jobs", "/other"} {
		pending, err := s.Unfinished(prefix)
		require.NoError(t, err)
		for _, r := range pending {
			body, err := s.Body(prefix, r.ID)
			require.NoError(t, err)
			found[prefix+" pending "+r.ID] = fmt.Sprint(r, body)
		}
		for n := range 6 {
			result, err := s.Result(prefix, fmt.Sprint(n), start)
			if err == nil {
				found[prefix+" result "+fmt.Sprint(n)] = fmt.Sprint(result)
			}
		}
		require.Zero(t, s.DamagedAt(prefix))
	}
	return found
}

// sectorBytes is what a disk writes at once.
const sectorBytes = 512

// TestPowerLoss cuts the power at every phase of every change. bbolt writes the pages of a transaction and fsyncs
// them, and then writes a meta, which makes them the current ones, and fsyncs that. Of a write without an fsync, any
// of its sectors can be there. The change must be there wholly or not at all, and not before its meta was begun.
func TestPowerLoss(t *testing.T) {
	dir := t.TempDir()
	path, cut := filepath.Join(dir, "requests.db"), filepath.Join(dir, "cut.db")
	s := reopen(t, path, start)
	pageBytes := s.file.DB.Info().PageSize
	random := rand.New(rand.NewPCG(1, 2))
	read := func() []byte {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		return data
	}
	found := func(data []byte) map[string]string {
		require.NoError(t, os.WriteFile(cut, data, 0o600))
		return contentOf(t, cut)
	}
	before := read()
	want := found(before)
	for n, step := range scenario() {
		require.NoError(t, step(s))
		after := read()
		next := found(after)
		require.NotEqual(t, want, next, "step %d changes something", n)
		for range 20 {
			require.Equal(t, want, found(torn(random, before, after, 2*pageBytes, len(after))), "step %d: the pages", n)
		}
		pages := append(bytes.Clone(before[:2*pageBytes]), after[2*pageBytes:]...)
		for range 5 {
			got := found(torn(random, pages, after, 0, 2*pageBytes))
			if fmt.Sprint(got) != fmt.Sprint(want) {
				require.Equal(t, next, got, "step %d: the meta", n)
			}
		}
		before, want = after, next
	}
}

// torn returns before with random sectors of after in a range. The file has its new length: bbolt fsyncs that first.
func torn(random *rand.Rand, before, after []byte, from, to int) []byte {
	data := append(bytes.Clone(before), make([]byte, max(0, len(after)-len(before)))...)
	for at := from; at < to; at += sectorBytes {
		if random.IntN(2) == 0 {
			copy(data[at:min(at+sectorBytes, to)], after[at:])
		}
	}
	return data
}
