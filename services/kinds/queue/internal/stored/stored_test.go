package stored

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func reopen(t *testing.T, path string, now time.Time) *Store {
	t.Helper()
	s, err := Open(path, now, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() }) // the second call in tests that reopen
	return s
}

func request(id string, accepted time.Time) Request {
	return Request{ID: id, Accepted: accepted, Deadline: accepted.Add(24 * time.Hour), LeaseTime: time.Minute, Redeliver: true, Environment: []byte(`{"A":"b"}`)}
}

// TestReopened checks that a reopened store returns all that was written.
func TestReopened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "requests.db")
	s := reopen(t, path, start)
	leased := Lease{ID: "lease", End: start.Add(time.Minute), Deliveries: 2}
	answer := Result{State: Answered, Ended: start.Add(time.Second), Status: 201, Header: http.Header{"A": {"b", "c"}}, Body: []byte("body\x00")}
	for n, id := range []string{"waits", "leased", "answered", "failed", "unusable"} {
		require.NoError(t, s.Put("/jobs", request(id, start.Add(time.Duration(10-n)*time.Millisecond)), []byte("body of "+id)))
	}
	require.NoError(t, s.Put("/other", request("waits", start), nil))
	require.NoError(t, s.SetLease("/jobs", "leased", leased))
	require.NoError(t, s.Finish("/jobs", "answered", answer))
	require.NoError(t, s.Fail("/jobs", "failed", start))
	require.NoError(t, s.Finish("/jobs", "unusable", Result{State: Unusable, Ended: start}))
	stats := s.Stats()
	require.Equal(t, 6, stats.Requests)
	require.Positive(t, stats.Bytes)
	for range 2 {
		require.Equal(t, stats, s.Stats())
		requests, err := s.Unfinished("/jobs")
		require.NoError(t, err)
		require.Len(t, requests, 2)
		require.Equal(t, []string{"leased", "waits"}, []string{requests[0].ID, requests[1].ID}, "in the order of their coming")
		require.Equal(t, leased, requests[0].Lease)
		want := request("waits", start.Add(10*time.Millisecond))
		require.Equal(t, want, requests[1])
		body, err := s.Body("/jobs", "waits")
		require.NoError(t, err)
		require.Equal(t, "body of waits", string(body))
		body, err = s.Body("/jobs", "answered")
		require.NoError(t, err)
		require.Empty(t, body, "which nobody needs any more")
		result, err := s.Result("/jobs", "answered", start)
		require.NoError(t, err)
		require.Equal(t, answer, result)
		for id, state := range map[string]State{"waits": Pending, "leased": Pending, "failed": Failed, "unusable": Unusable} {
			result, err := s.Result("/jobs", id, start)
			require.NoError(t, err)
			require.Equal(t, state, result.State)
		}
		_, err = s.Result("/other", "answered", start)
		require.ErrorIs(t, err, ErrNotFound, "of another prefix")
		require.NoError(t, s.Close())
		before := s.bytes
		s = reopen(t, path, start)
		require.Equal(t, before, s.bytes)
		require.Len(t, s.order, 3)
	}
}

func TestWhatHasEndedStays(t *testing.T) {
	s := reopen(t, filepath.Join(t.TempDir(), "requests.db"), start)
	require.NoError(t, s.Put("/jobs", request("a", start), nil))
	require.NoError(t, s.Finish("/jobs", "a", Result{State: Answered, Ended: start, Status: 200, Body: []byte("first")}))
	require.ErrorIs(t, s.Fail("/jobs", "a", start), ErrEnded)
	require.ErrorIs(t, s.SetLease("/jobs", "a", Lease{ID: "late"}), ErrEnded)
	result, err := s.Result("/jobs", "a", start)
	require.NoError(t, err)
	require.Equal(t, "first", string(result.Body))
	for _, prefix := range []string{"/jobs", "/none"} {
		require.ErrorIs(t, s.SetLease(prefix, "b", Lease{}), ErrNotFound)
		require.ErrorIs(t, s.Fail(prefix, "b", start), ErrNotFound)
		_, err = s.Body(prefix, "b")
		require.ErrorIs(t, err, ErrNotFound)
		_, err = s.Result(prefix, "b", start)
		require.ErrorIs(t, err, ErrNotFound)
	}
	none, err := s.Unfinished("/none")
	require.NoError(t, err)
	require.Empty(t, none)
}

// TestForgotten checks that expired results are deleted.
func TestForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "requests.db")
	s := reopen(t, path, start)
	require.NoError(t, s.Put("/jobs", request("done", start), make([]byte, 1000)))
	require.NoError(t, s.Put("/jobs", request("never", start), make([]byte, 1000)))
	require.NoError(t, s.Finish("/jobs", "done", Result{State: Answered, Ended: start, Status: 200}))
	_, err := s.Result("/jobs", "done", start.Add(KeepFor))
	require.ErrorIs(t, err, ErrNotFound, "at its time, whenever it is swept")
	result, err := s.Result("/jobs", "never", start.Add(24*time.Hour))
	require.NoError(t, err)
	require.Equal(t, Failed, result.State)
	later := start.Add(25 * time.Hour)
	require.NoError(t, s.Put("/jobs", request("new", later), nil))
	require.Len(t, s.known, 1)
	require.Empty(t, s.order)
	require.Less(t, s.bytes, int64(1000))
	require.NoError(t, s.Close())
	s = reopen(t, path, later.Add(100*time.Hour))
	require.Empty(t, s.known)
	require.Zero(t, s.bytes)
}

func TestTooManyResults(t *testing.T) {
	s := reopen(t, filepath.Join(t.TempDir(), "requests.db"), start)
	s.file.DB.NoSync = true // for speed: durability is not tested here
	for n := range KeepResults + 2 {
		id := fmt.Sprint(n)
		require.NoError(t, s.Put("/jobs", request(id, start), nil))
		require.NoError(t, s.Fail("/jobs", id, start.Add(time.Duration(n))))
	}
	require.NoError(t, s.Put("/other", request("x", start), nil))
	require.Len(t, s.order, KeepResults)
	_, err := s.Result("/jobs", "1", start)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = s.Result("/jobs", "2", start)
	require.NoError(t, err)
}

func TestFull(t *testing.T) {
	s := reopen(t, filepath.Join(t.TempDir(), "requests.db"), start)
	s.bytes = MaxBytes - 1000
	require.ErrorIs(t, s.Put("/jobs", request("a", start), make([]byte, 1000)), ErrFull)
	require.NoError(t, s.Put("/jobs", request("a", start), make([]byte, 100)))
	require.Greater(t, s.bytes, int64(MaxBytes-1000))
}

// TestTogether writes from many goroutines, which share transactions.
func TestTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "requests.db")
	s := reopen(t, path, start)
	var all sync.WaitGroup
	for n := range 40 {
		all.Go(func() {
			prefix, id := fmt.Sprint("/", n%3), fmt.Sprint(n)
			if err := s.Put(prefix, request(id, start), []byte(id)); err != nil {
				t.Error(err)
			}
			if n%2 == 0 {
				if err := s.Finish(prefix, id, Result{State: Answered, Ended: start, Status: 200, Body: []byte(id)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, s.Close())
	again := reopen(t, path, start)
	require.Equal(t, s.bytes, again.bytes)
	for n := range 40 {
		result, err := again.Result(fmt.Sprint("/", n%3), fmt.Sprint(n), start)
		require.NoError(t, err)
		require.Equal(t, n%2 == 0, result.State == Answered)
	}
}

// TestDamaged opens files that are not databases, and
// truncated ones. Opening fails without ending the process.
func TestDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "requests.db")
	s := reopen(t, path, start)
	for n := range 20 {
		require.NoError(t, s.Put("/jobs", request(fmt.Sprint(n), start), make([]byte, 10_000)))
	}
	require.NoError(t, s.Close())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	half := append([]byte(nil), whole...)
	clear(half[4*4096 : len(half)-4096])
	for name, text := range map[string][]byte{"zeros": make([]byte, 1<<16), "cut off": whole[:5*4096], "cut in a page": whole[:3*4096+100], "emptied pages": half} {
		require.NoError(t, os.WriteFile(path, text, 0o600))
		_, err = Open(path, start, quiet())
		require.ErrorContains(t, err, path, name)
	}
	_, err = Open(filepath.Join(t.TempDir(), "none", "requests.db"), start, quiet())
	require.Error(t, err)
}
