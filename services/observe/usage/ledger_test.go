package usage

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/observe/tally"
	"github.com/vespo-dev/vespo/services/observe/tally/tallytest"
)

// clock is a clock that tests set.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 28, 13, 0, 30, 0, time.UTC)} }

// counting is a Ledger with the counts that it writes.
type counting struct {
	*Ledger
	*tallytest.Services
}

// open opens a Ledger with a file's maximum size; 0: the default.
func open(t testing.TB, path string, c *clock, size int64) counting {
	t.Helper()
	counts := tallytest.New(t)
	l, err := Open(Config{
		Path:      path,
		Tally:     counts.Tally,
		Unit:      1,
		FileBytes: size,
		Now:       func() time.Time { return c.now },
		Log:       slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return counting{l, counts}
}

func openNew(t testing.TB) (counting, *clock) {
	t.Helper()
	c := newClock()
	return open(t, filepath.Join(t.TempDir(), "hours.db"), c, 0), c
}

// record returns the record of a request.
func record(service string, number uint64) *accesslog.Record {
	return &accesslog.Record{
		Service:    service,
		Number:     number,
		Generation: number,
		TTLB:       3 * time.Second,
		QueueWait:  time.Second,
		BytesIn:    5,
		BytesOut:   7,
		Result:     accesslog.Result{GuestTime: time.Millisecond, Work: 11, ResidentBytes: 3 << 20},
	}
}

var everything = Query{Since: time.Unix(0, 0), Until: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), By: Hour}

func read(t *testing.T, l counting, q Query) []Row {
	t.Helper()
	rows, err := l.Read(t.Context(), q)
	require.NoError(t, err)
	return rows
}

func TestSumsOfAService(t *testing.T) {
	l, _ := openNew(t)
	l.Listen(record("/a", 1))
	failed := record("/a", 1)
	failed.Failed = true
	l.Listen(failed)
	l.Listen(&accesslog.Record{Service: "services"}) // the management API
	l.Listen(&accesslog.Record{})                    // no service
	rows := read(t, l, everything)
	require.Len(t, rows, 1)
	require.InDelta(t, 12, rows[0].Memory, 1e-9, "3 MiB for 2 s, twice")
	require.Equal(t, Row{
		Begin:   time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC),
		Service: "/a",
		Unit:    1,
		Memory:  rows[0].Memory,
		Sums: Sums{
			Requests:  2,
			Failed:    1,
			GuestTime: 2 * time.Millisecond,
			Work:      22,
			Memory:    12 << 10 * 1e6,
			BytesIn:   10,
			BytesOut:  14,
		},
	}, rows[0])
}

func TestRowsOfPeriodsServicesAndVersions(t *testing.T) {
	l, c := openNew(t)
	for range 50 { // hours, over a month's end
		for _, service := range []string{"/a", "/a Host: b", "/ab"} {
			l.Listen(record(service, 1))
			l.Listen(record(service, 2))
		}
		require.NoError(t, l.Flush())
		c.now = c.now.Add(time.Hour)
	}
	count := func(q Query) (n int, requests uint64) {
		for _, row := range read(t, l, q) {
			n++
			requests += row.Sums.Requests
		}
		return n, requests
	}
	for name, s := range map[string]struct {
		change   func(q *Query)
		rows     int
		requests uint64
	}{
		"hours":      {func(*Query) {}, 150, 300},
		"days":       {func(q *Query) { q.By = Day }, 9, 300},
		"months":     {func(q *Query) { q.By = Month }, 3, 300},
		"versions":   {func(q *Query) { q.By, q.Versions = Day, true }, 18, 300},
		"a service":  {func(q *Query) { q.By, q.Service = Month, "/a" }, 1, 100},
		"a match":    {func(q *Query) { q.By, q.Service = Month, "/a Host: b" }, 1, 100},
		"none":       {func(q *Query) { q.Service = "/c" }, 0, 0},
		"visible":    {func(q *Query) { q.Visible = func(s string) bool { return s == "/ab" } }, 50, 100},
		"from a day": {func(q *Query) { q.Since = time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC) }, 15 * 3, 15 * 6},
		"until":      {func(q *Query) { q.Until = time.Date(2026, 11, 28, 14, 0, 0, 0, time.UTC) }, 3, 6},
	} {
		t.Run(name, func(t *testing.T) {
			q := everything
			s.change(&q)
			rows, requests := count(q)
			require.Equal(t, s.rows, rows)
			require.Equal(t, s.requests, requests)
		})
	}
}

// TestNothingIsLostOrCountedTwice counts from many goroutines while the ledger flushes, versions leave memory, and the clock
// steps in both directions.
func TestNothingIsLostOrCountedTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hours.db")
	c := newClock()
	l := open(t, path, c, 0)
	const goroutines, each = 8, 5000
	var wg sync.WaitGroup
	for g := range goroutines {
		random := rand.New(rand.NewPCG(uint64(g), 1))
		wg.Go(func() {
			for range each {
				l.Listen(record(fmt.Sprintf("/%d", random.IntN(20)), 1+random.Uint64N(3)))
			}
		})
	}
	steps := rand.New(rand.NewPCG(7, 7))
	for range 50 {
		c.now = c.now.Add(time.Duration(steps.Int64N(int64(10*time.Hour))) - 5*time.Hour)
		require.NoError(t, l.Flush())
	}
	wg.Wait()
	require.NoError(t, l.Close())
	again := open(t, path, c, 0)
	var all Sums
	for _, row := range read(t, again, everything) {
		all.Add(&row.Sums)
	}
	require.EqualValues(t, goroutines*each, all.Requests)
	require.EqualValues(t, goroutines*each*11, all.Work)
}

// A version leaves memory some time after it has left the catalogue, with its last counts written.
func TestVersionsLeaveMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := openNew(t)
		l.Listen(record("/a", 1))
		require.NoError(t, l.Flush())
		require.Equal(t, 1, l.Ledger.Stats().Versions)
		_, versions := l.Service("/a")
		l.Remove("/a")
		require.NoError(t, l.Flush())
		versions[0].Count(record("/a", 1)) // a request that was in flight
		l.Listen(record("/a", 1))          // of another service with the name
		require.NoError(t, l.Flush())
		require.Equal(t, 2, l.Ledger.Stats().Versions)
		l.Remove("/a")
		time.Sleep(2 * tally.Linger)
		require.NoError(t, l.Flush())
		require.Zero(t, l.Ledger.Stats().Versions)
		rows := read(t, l, Query{Until: everything.Until, By: Month})
		require.Len(t, rows, 1)
		require.EqualValues(t, 3, rows[0].Sums.Requests)
	})
}

func TestOldHoursAreRemovedSlowly(t *testing.T) {
	l, c := openNew(t)
	const hours = 3 * removals
	for range hours {
		l.Listen(record("/a", 1))
		require.NoError(t, l.Flush())
		c.now = c.now.Add(time.Hour)
	}
	require.Len(t, read(t, l, everything), hours)
	right := c.now
	c.now = c.now.AddDate(20, 0, 0) // a clock that is wrong for a moment
	require.NoError(t, l.Flush())
	c.now = right
	require.Len(t, read(t, l, everything), hours-removals)
	c.now = right.Add(Keep + time.Hour)
	for range 5 {
		require.NoError(t, l.Flush())
		c.now = c.now.Add(time.Hour)
	}
	require.Empty(t, read(t, l, everything))
	require.EqualValues(t, hours, l.Ledger.Stats().Removed)
}

func TestTheOldestHoursGoIfTheFileIsTooLarge(t *testing.T) {
	c := newClock()
	l := open(t, filepath.Join(t.TempDir(), "hours.db"), c, 256<<10)
	for range 200 {
		for i := range 100 {
			l.Listen(record(fmt.Sprintf("/%d", i), 1))
		}
		c.now = c.now.Add(time.Hour)
		require.NoError(t, l.Flush())
	}
	require.Positive(t, l.Ledger.Stats().Removed)
	require.Less(t, l.Ledger.Stats().FileBytes, int64(2<<20))
	rows := read(t, l, Query{Service: "/5", Until: everything.Until, By: Hour})
	require.Equal(t, hourOf(c.now.Add(-Interval/2)), hourOf(rows[len(rows)-1].Begin), "the latest hour stays")
}

func TestADamagedFileIsSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hours.db")
	c := newClock()
	l := open(t, path, c, 0)
	for i := range 500 {
		l.Listen(record(fmt.Sprintf("/%d", i), 1))
	}
	require.NoError(t, l.Close())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := 4096; i < len(b); i += 512 {
		b[i] ^= 0xff
	}
	require.NoError(t, os.WriteFile(path, b, 0o600))
	again := open(t, path, c, 0)
	require.Empty(t, read(t, again, everything))
	aside, err := filepath.Glob(path + ".damaged-*")
	require.NoError(t, err)
	require.Len(t, aside, 1)
}

func TestTooManyRows(t *testing.T) {
	l, c := openNew(t)
	all := make([]*accesslog.Record, 10_000)
	for i := range all {
		all[i] = record(fmt.Sprintf("/%d", i), 1)
	}
	l.Add(all...)
	for range 11 {
		for _, rec := range all {
			l.Listen(rec)
		}
		require.NoError(t, l.Flush())
		c.now = c.now.Add(time.Hour)
	}
	_, err := l.Read(t.Context(), everything)
	require.ErrorIs(t, err, ErrTooMany)
	q := everything
	q.By = Day
	require.Len(t, read(t, l, q), 10_000)
}

// BenchmarkFlush writes the sums of 10,000 services.
func BenchmarkFlush(b *testing.B) {
	l, _ := openNew(b)
	all := make([]*accesslog.Record, 10_000)
	for i := range all {
		all[i] = record(fmt.Sprintf("/%d", i), 1)
	}
	l.Add(all...)
	for b.Loop() {
		for _, rec := range all {
			l.Listen(rec)
		}
		require.NoError(b, l.Flush())
	}
}
