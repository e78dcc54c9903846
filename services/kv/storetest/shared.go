package storetest

import (
	"fmt"
	"math"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kv"
)

// RunShared runs tests of stores that several hosts share. newStores returns an Open for one test, which may be called
// again before the first stores are closed. sweep deletes expired keys.
func RunShared(t *testing.T, clock *Clock, newStores func(*testing.T, kv.Quotas) Open, sweep func(kv.Stores) error) {
	t.Run("Hosts", func(t *testing.T) { hosts(t, newStores(t, kv.Quotas{})) })
	t.Run("Increments", func(t *testing.T) { increments(t, newStores(t, kv.Quotas{})) })
	t.Run("Quotas", func(t *testing.T) { quotas(t, newStores) })
	t.Run("Sweep", func(t *testing.T) { sweeps(t, clock, newStores(t, kv.Quotas{StoreKeys: 250}), sweep) })
	t.Run("Usage", func(t *testing.T) { usage(t, clock, newStores(t, kv.Quotas{}), sweep) })
	t.Run("Sums", func(t *testing.T) { sums(t, newStores(t, kv.Quotas{})) })
	t.Run("LargePages", func(t *testing.T) { largePages(t, newStores(t, kv.Quotas{})) })
}

// with opens stores until the test ends.
func (o Open) with(t *testing.T) kv.Stores {
	t.Helper()
	s, closeAll := o(t)
	t.Cleanup(func() { require.NoError(t, closeAll()) })
	return s
}

// hosts checks that each of two hosts sees what the other one has written.
func hosts(t *testing.T, open Open) {
	a, b := open.with(t), open.with(t)
	last := kv.Version(0)
	for n := range 20 {
		from, to := a, b
		if n%2 == 1 {
			from, to = b, a
		}
		text := fmt.Sprint(n)
		r := one(t, from, If(Put("k", text), last))
		require.Greater(t, r.Version, last)
		require.Equal(t, text, value(t, to, "k"))
		_, err := to.Write(t.Context(), "a", []kv.Change{If(Put("k", "old"), last)})
		require.ErrorIs(t, err, kv.ErrConflict)
		last = r.Version
	}
	require.NoError(t, b.Drop(t.Context(), "a"))
	require.Equal(t, "absent", value(t, a, "k"))
	require.Greater(t, one(t, a, Put("k", "again")).Version, last)
}

// increments lets 16 writers of two hosts count. Nothing is lost, and no sum is returned twice.
func increments(t *testing.T, open Open) {
	stores := []kv.Stores{open.with(t), open.with(t)}
	const writers, rounds = 16, 20
	var group sync.WaitGroup
	fails := make(chan error, writers)
	var mu sync.Mutex
	seen := make(map[int64]bool)
	for w := range writers {
		group.Go(func() {
			for n := range rounds {
				changes := []kv.Change{{Op: kv.OpAdd, Key: "n", Delta: 1}, Put(fmt.Sprint("of", w), fmt.Sprint(n))}
				if w%2 == 1 { // another order of the keys
					changes[0], changes[1] = changes[1], changes[0]
				}
				results, err := stores[w%2].Write(t.Context(), "a", changes)
				if err != nil {
					fails <- err
					return
				}
				mu.Lock()
				seen[results[w%2].Number] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
	close(fails)
	for err := range fails {
		require.NoError(t, err)
	}
	require.Equal(t, fmt.Sprint(writers*rounds), value(t, stores[0], "n"))
	require.Len(t, seen, writers*rounds)
	requireUsage(t, stores[1])
}

// fill writes a value of a size.
func fill(t *testing.T, s kv.Stores, store, key string, size int) error {
	_, err := s.Write(t.Context(), store, []kv.Change{{Key: key, Value: make([]byte, size)}})
	return err
}

func quotas(t *testing.T, newStores func(*testing.T, kv.Quotas) Open) {
	entry := int64(1 + kv.EntryOverheadBytes) // of a key of one byte
	for name, c := range map[string]struct {
		quotas kv.Quotas
		over   func(*testing.T, kv.Stores) error
	}{
		"bytes of a store": {kv.Quotas{StoreBytes: entry + 100}, func(t *testing.T, s kv.Stores) error { return fill(t, s, "a", "k", 101) }},
		"keys of a store":  {kv.Quotas{StoreKeys: 1}, func(t *testing.T, s kv.Stores) error { return fill(t, s, "a", "l", 0) }},
		"bytes of all":     {kv.Quotas{Bytes: 2*entry + 100}, func(t *testing.T, s kv.Stores) error { return fill(t, s, "b", "k", 1) }},
		"keys of all":      {kv.Quotas{Keys: 2}, func(t *testing.T, s kv.Stores) error { return fill(t, s, "b", "l", 0) }},
		"stores":           {kv.Quotas{Stores: 2}, func(t *testing.T, s kv.Stores) error { return fill(t, s, "c", "k", 0) }},
	} {
		t.Run(name, func(t *testing.T) {
			open := newStores(t, c.quotas)
			s, other := open.with(t), open.with(t)
			require.NoError(t, fill(t, s, "a", "k", 100))
			require.NoError(t, fill(t, s, "b", "k", 0))
			for _, host := range []kv.Stores{s, other} {
				require.ErrorIs(t, c.over(t, host), kv.ErrFull)
			}
			require.NoError(t, fill(t, s, "a", "k", 0), "smaller writes go on")
			one(t, s, kv.Change{Op: kv.OpDelete, Key: "k"})
			require.NoError(t, s.Drop(t.Context(), "a"))
			require.NoError(t, fill(t, s, "a", "k", 100), "there is room again")
			requireUsage(t, s)
		})
	}
}

// requireUsage compares the accounts with the keys, none of which has expired.
func requireUsage(t *testing.T, s kv.Stores) {
	t.Helper()
	all, err := s.All(t.Context())
	require.NoError(t, err)
	for _, info := range all {
		page, err := s.List(t.Context(), info.Name, kv.Query{Limit: kv.MaxPage})
		require.NoError(t, err)
		require.Empty(t, page.Next)
		var found kv.Usage
		for _, e := range page.Entries {
			found.Keys++
			found.Bytes += e.SizeBytes
		}
		require.Equal(t, found, info.Usage, info.Name)
	}
}

// sweeps fills a store with keys that expire. They make room for a write at once, and for all after a sweep.
func sweeps(t *testing.T, clock *Clock, open Open, sweep func(kv.Stores) error) {
	s := open.with(t)
	for n := range 250 {
		one(t, s, kv.Change{Key: fmt.Sprintf("%03d", n), Expires: clock.Now().Add(time.Minute)})
	}
	require.ErrorIs(t, fill(t, s, "a", "k", 0), kv.ErrFull)
	clock.Pass(time.Minute)
	require.Empty(t, keys(t, s, kv.Query{Limit: 10}))
	require.NoError(t, fill(t, s, "a", "k", 0), "expired keys refuse nothing")
	requireUsage(t, s)
	one(t, s, kv.Change{Key: "l", Expires: clock.Now().Add(time.Minute)})
	clock.Pass(time.Minute)
	require.NoError(t, sweep(s))
	requireUsage(t, s)
	require.Equal(t, []string{"k"}, keys(t, s, kv.Query{Limit: 10}))
}

// usage compares the accounts after changes of all kinds to keys that are present, expired and absent.
func usage(t *testing.T, clock *Clock, open Open, sweep func(kv.Stores) error) {
	s := open.with(t)
	for n := range 60 {
		key := fmt.Sprint(n % 7)
		c := kv.Change{Op: kv.Op(n % 3), Key: key, Value: []byte("12345678"[:1+n%5]), Delta: int64(n)}
		if n%2 == 0 && c.Op == kv.OpPut {
			c.Expires, c.Metadata = clock.Now().Add(time.Duration(n%4)*time.Second), "grün"
		}
		one(t, s, c)
		clock.Pass(time.Second)
	}
	require.NoError(t, sweep(s))
	clock.Pass(time.Hour)
	require.NoError(t, sweep(s))
	requireUsage(t, s)
}

// sums adds numbers at the ends of 64 bits and of their halves.
func sums(t *testing.T, open Open) {
	s := open.with(t)
	numbers := []int64{0, 1, -1, 9_999_999_999, -9_999_999_999, 10_000_000_000, -10_000_000_000, 10_000_000_001, 1 << 53, 1<<53 + 1,
		math.MaxInt64, math.MaxInt64 - 1, math.MinInt64, math.MinInt64 + 1, 9_223_372_030_000_000_000, -9_223_372_030_000_000_000}
	for _, x := range numbers {
		for _, y := range numbers {
			one(t, s, Put("n", strconv.FormatInt(x, 10)))
			results, err := s.Write(t.Context(), "a", []kv.Change{{Op: kv.OpAdd, Key: "n", Delta: y}})
			if y > 0 && x > math.MaxInt64-y || y < 0 && x < math.MinInt64-y {
				require.ErrorIs(t, err, kv.ErrNotNumber, "%d + %d", x, y)
				continue
			}
			require.NoError(t, err, "%d + %d", x, y)
			require.Equal(t, x+y, results[0].Number)
			require.Equal(t, strconv.FormatInt(x+y, 10), value(t, s, "n"))
		}
	}
	for text, sum := range map[string]int64{"+5": 6, "007": 8, "-0": 1, "000000000000000000000000000000": 1} {
		one(t, s, Put("n", text))
		require.Equal(t, sum, one(t, s, kv.Change{Op: kv.OpAdd, Key: "n", Delta: 1}).Number, text)
	}
	for _, text := range []string{"", "-", "+", "5 ", "5\n", "0x1", "1_0", "1e3", "--1", "9223372036854775808", "-9223372036854775809", "99999999999999999999"} {
		one(t, s, Put("n", text))
		_, err := s.Write(t.Context(), "a", []kv.Change{{Op: kv.OpAdd, Key: "n", Delta: 1}})
		require.ErrorIs(t, err, kv.ErrNotNumber, "%q", text)
	}
}

// largePages lists values that exceed a page.
func largePages(t *testing.T, open Open) {
	s := open.with(t)
	var all []string
	for n := range 7 {
		key := fmt.Sprint(n)
		require.NoError(t, fill(t, s, "a", key, kv.MaxValueBytes))
		all = append(all, key)
	}
	var found []string
	pages := 0
	for q := (kv.Query{Limit: 100, Values: true}); ; pages++ {
		page, err := s.List(t.Context(), "a", q)
		require.NoError(t, err)
		bytes := 0
		for _, e := range page.Entries {
			found = append(found, e.Key)
			bytes += len(e.Value)
		}
		require.LessOrEqual(t, bytes, kv.MaxPageBytes+kv.MaxValueBytes)
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	require.Equal(t, all, found)
	require.Positive(t, pages)
	require.Equal(t, all, keys(t, s, kv.Query{Limit: 100}))
}
