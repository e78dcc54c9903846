// Package storetest is the suite that every implementation of kv.Stores passes. Only tests import it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kv"
)

// Open opens the stores of a test, empty the first time and with the same content afterwards. The caller closes them.
type Open func(t *testing.T) (kv.Stores, func() error)

// suite is the suite with the time of its tests.
type suite struct{ clock }

// Run runs the suite. newStores returns an Open for one test. Its stores take their time from the bubble of the test.
func Run(t *testing.T, newStores func(t *testing.T) Open) { suite{bubble{}}.run(t, newStores) }

// RunWith runs the suite with stores that take their time from clock: those of an engine, which is in no bubble.
func RunWith(t *testing.T, clock *Clock, newStores func(t *testing.T) Open) {
	suite{clock}.run(t, newStores)
}

func (u suite) run(t *testing.T, newStores func(t *testing.T) Open) {
	for name, test := range map[string]func(*testing.T, kv.Stores){
		"Entries":    u.entries,
		"Versions":   u.versions,
		"Conditions": u.conditions,
		"Atomicity":  atomicity,
		"Numbers":    u.numbers,
		"Expiry":     u.expiry,
		"Lists":      lists,
		"Sharing":    sharing,
		"Drop":       drop,
		"Limits":     u.limits,
		"Context":    contexts,
	} {
		t.Run(name, func(t *testing.T) {
			open := newStores(t)
			u.test(t, func(t *testing.T) {
				s, closeAll := open(t)
				test(t, s)
				require.NoError(t, closeAll())
			})
		})
	}
	t.Run("Model", func(t *testing.T) { u.model(t, newStores) })
	t.Run("Concurrency", func(t *testing.T) { concurrency(t, newStores(t)) })
}

// Put returns a change that sets a value.
func Put(key, value string) kv.Change { return kv.Change{Key: key, Value: []byte(value)} }

// If returns the change with a condition.
func If(c kv.Change, v kv.Version) kv.Change {
	c.If = &v
	return c
}

// one makes one change, which must succeed.
func one(t *testing.T, s kv.Stores, c kv.Change) kv.Result {
	t.Helper()
	results, err := s.Write(t.Context(), "a", []kv.Change{c})
	require.NoError(t, err)
	require.Len(t, results, 1)
	return results[0]
}

// value returns the value of a key in the store "a", or "absent".
func value(t *testing.T, s kv.Stores, key string) string {
	t.Helper()
	e, err := s.Get(t.Context(), "a", key)
	if errors.Is(err, kv.ErrNotFound) {
		return "absent"
	}
	require.NoError(t, err)
	return string(e.Value)
}

func (u suite) entries(t *testing.T, s kv.Stores) {
	require.Equal(t, "absent", value(t, s, "k"), "in a store that does not exist")
	key := "grüße/\x01 \U0001f41d"
	expires := u.Now().Add(time.Hour).Truncate(time.Millisecond)
	put := kv.Change{Key: key, Value: []byte{0, 1, 0xff}, Metadata: `{"a":1}`, Expires: expires}
	r := one(t, s, put)
	require.False(t, r.Existed)
	e, err := s.Get(t.Context(), "a", key)
	require.NoError(t, err)
	require.Equal(t, kv.Entry{
		Key:       key,
		Value:     put.Value,
		Metadata:  put.Metadata,
		Version:   r.Version,
		Expires:   e.Expires,
		SizeBytes: int64(len(key)) + 3 + 7 + kv.EntryOverheadBytes,
	}, e)
	require.True(t, e.Expires.Equal(expires))
	require.True(t, one(t, s, Put(key, "")).Existed)
	e, err = s.Get(t.Context(), "a", key)
	require.NoError(t, err)
	require.Empty(t, e.Value)
	require.Empty(t, e.Metadata, "put replaces the metadata")
	require.True(t, e.Expires.IsZero(), "and the expiry")
	require.True(t, one(t, s, kv.Change{Op: kv.OpDelete, Key: key}).Existed)
	require.False(t, one(t, s, kv.Change{Op: kv.OpDelete, Key: key}).Existed, "deleting nothing is no error")
	require.Equal(t, "absent", value(t, s, key))
}

func (u suite) versions(t *testing.T, s kv.Stores) {
	last := kv.Version(0)
	grows := func(r kv.Result) {
		t.Helper()
		require.Greater(t, r.Version, last)
		require.Less(t, r.Version, kv.Version(1<<53), "a number in JavaScript")
		last = r.Version
	}
	for range 3 {
		grows(one(t, s, Put("k", "v")))
		grows(one(t, s, kv.Change{Op: kv.OpAdd, Key: "n", Delta: 1}))
		require.Zero(t, one(t, s, kv.Change{Op: kv.OpDelete, Key: "k"}).Version)
	}
	require.NoError(t, s.Drop(t.Context(), "a"))
	u.pass(time.Second)
	grows(one(t, s, Put("k", "v")))
}

func (u suite) conditions(t *testing.T, s kv.Stores) {
	refused := func(c kv.Change) {
		t.Helper()
		_, err := s.Write(t.Context(), "a", []kv.Change{c})
		require.ErrorIs(t, err, kv.ErrConflict)
	}
	refused(If(Put("k", "v"), 1))
	refused(If(kv.Change{Op: kv.OpDelete, Key: "k"}, 1))
	first := one(t, s, If(Put("k", "first"), 0)).Version
	refused(If(Put("k", "again"), 0))
	refused(If(Put("k", "again"), first+1))
	second := one(t, s, If(Put("k", "second"), first)).Version
	refused(If(Put("k", "again"), first))
	refused(If(kv.Change{Op: kv.OpAdd, Key: "k"}, first))
	require.Equal(t, "second", value(t, s, "k"))
	require.True(t, one(t, s, If(kv.Change{Op: kv.OpDelete, Key: "k"}, second)).Existed)
	refused(If(Put("k", "again"), second))
	require.Zero(t, one(t, s, If(kv.Change{Op: kv.OpDelete, Key: "k"}, 0)).Version)
	one(t, s, kv.Change{Key: "e", Expires: u.Now().Add(time.Second)})
	u.pass(time.Second)
	one(t, s, If(Put("e", "an expired key is absent"), 0))
}

func atomicity(t *testing.T, s kv.Stores) {
	one(t, s, Put("b", "before"))
	for _, bad := range []kv.Change{
		If(Put("z", "v"), 7),
		{Op: kv.OpAdd, Key: "b"},
		{Key: ""},
		Put("a", "twice"),
	} {
		_, err := s.Write(t.Context(), "a", []kv.Change{Put("a", "v"), {Op: kv.OpDelete, Key: "c"}, bad})
		require.Error(t, err)
		require.Equal(t, "absent", value(t, s, "a"))
		require.Equal(t, "before", value(t, s, "b"))
	}
	results, err := s.Write(t.Context(), "a", []kv.Change{Put("a", "v"), {Op: kv.OpDelete, Key: "b"}, {Op: kv.OpAdd, Key: "n", Delta: 2}})
	require.NoError(t, err)
	require.Len(t, results, 3)
	require.Equal(t, []string{"v", "absent", "2"}, []string{value(t, s, "a"), value(t, s, "b"), value(t, s, "n")})
	_, err = s.Write(t.Context(), "a", nil)
	require.NoError(t, err)
}

func (u suite) numbers(t *testing.T, s kv.Stores) {
	add := func(delta int64) (int64, error) {
		results, err := s.Write(t.Context(), "a", []kv.Change{{Op: kv.OpAdd, Key: "n", Delta: delta}})
		if err != nil {
			return 0, err
		}
		return results[0].Number, nil
	}
	for _, c := range []struct{ delta, sum int64 }{{5, 5}, {-7, -2}, {0, -2}, {math.MinInt64 + 2, math.MinInt64}, {math.MaxInt64, -1}, {1, 0}, {math.MaxInt64, math.MaxInt64}} {
		sum, err := add(c.delta)
		require.NoError(t, err)
		require.Equal(t, c.sum, sum)
		require.Equal(t, fmt.Sprint(c.sum), value(t, s, "n"))
	}
	_, err := add(1)
	require.ErrorIs(t, err, kv.ErrNotNumber)
	for _, text := range []string{"", "x", "1.5", " 1", "9223372036854775808"} {
		one(t, s, Put("n", text))
		_, err := add(1)
		require.ErrorIs(t, err, kv.ErrNotNumber)
		require.Equal(t, text, value(t, s, "n"))
	}
	one(t, s, kv.Change{Key: "n", Value: []byte("1"), Metadata: "m", Expires: u.Now().Add(time.Minute)})
	_, err = add(1)
	require.NoError(t, err)
	e, err := s.Get(t.Context(), "a", "n")
	require.NoError(t, err)
	require.Equal(t, "m", e.Metadata, "adding keeps the metadata")
	require.WithinDuration(t, u.Now().Add(time.Minute), e.Expires, time.Millisecond, "and the expiry")
}

func (u suite) expiry(t *testing.T, s kv.Stores) {
	start := u.Now()
	for n := range 5 {
		one(t, s, kv.Change{Key: fmt.Sprint(n), Value: []byte("5"), Expires: start.Add(time.Duration(n) * time.Minute)})
	}
	one(t, s, Put("never", "v"))
	for n := range 5 {
		require.Len(t, keys(t, s, kv.Query{Limit: 10}), 5-n)
		require.Equal(t, "absent", value(t, s, fmt.Sprint(n)))
		require.Equal(t, int64(2), one(t, s, kv.Change{Op: kv.OpAdd, Key: fmt.Sprint(n), Delta: 2}).Number, "an expired number begins anew")
		one(t, s, kv.Change{Op: kv.OpDelete, Key: fmt.Sprint(n)})
		u.pass(time.Minute)
	}
	require.Equal(t, []string{"never"}, keys(t, s, kv.Query{Limit: 10}))
	require.Equal(t, "v", value(t, s, "never"))
	one(t, s, kv.Change{Key: "old", Expires: u.Now().Add(-time.Hour)})
	require.Equal(t, "absent", value(t, s, "old"))
}

// keys returns the keys of one page.
func keys(t *testing.T, s kv.Stores, q kv.Query) (found []string) {
	t.Helper()
	page, err := s.List(t.Context(), "a", q)
	require.NoError(t, err)
	for _, e := range page.Entries {
		found = append(found, e.Key)
	}
	return found
}

func lists(t *testing.T, s kv.Stores) {
	require.Empty(t, keys(t, s, kv.Query{Limit: 1}), "of a store that does not exist")
	all := []string{"a", "a/", "a/1", "a/2", "a/\x7f", "a0", "b", "grün", "\U0010ffff"}
	for _, k := range all {
		one(t, s, kv.Change{Key: k, Value: []byte("of " + k), Metadata: "m"})
	}
	require.Equal(t, all, keys(t, s, kv.Query{Limit: 100}))
	require.Equal(t, all[1:5], keys(t, s, kv.Query{Prefix: "a/", Limit: 100}))
	require.Equal(t, all[3:5], keys(t, s, kv.Query{Prefix: "a/", After: "a/1", Limit: 100}))
	require.Equal(t, all[1:2], keys(t, s, kv.Query{Prefix: "a/", After: "A", Limit: 1}))
	require.Equal(t, all[3:], keys(t, s, kv.Query{After: "a/11", Limit: 100}), "a cursor need not be present")
	require.Empty(t, keys(t, s, kv.Query{Prefix: "a/", After: "b", Limit: 100}))
	require.Empty(t, keys(t, s, kv.Query{Prefix: "x", Limit: 100}))
	for limit := 1; limit <= len(all)+1; limit++ {
		var found []string
		q := kv.Query{Limit: limit, Values: true}
		for pages := 1; ; pages++ {
			page, err := s.List(t.Context(), "a", q)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page.Entries), limit)
			for _, e := range page.Entries {
				found = append(found, e.Key)
				require.Equal(t, "of "+e.Key, string(e.Value))
				require.Equal(t, "m", e.Metadata)
				require.NotZero(t, e.Version)
			}
			if q.After = page.Next; q.After == "" {
				break
			}
			require.Less(t, pages, 3*len(all))
		}
		require.Equal(t, all, found)
	}
	page, err := s.List(t.Context(), "a", kv.Query{Limit: 1})
	require.NoError(t, err)
	require.Empty(t, page.Entries[0].Value, "values only if asked")
}

func sharing(t *testing.T, s kv.Stores) {
	one(t, s, Put("k", "of a"))
	_, err := s.Write(t.Context(), "b", []kv.Change{Put("k", "of b"), Put("l", "of b")})
	require.NoError(t, err)
	require.Equal(t, "of a", value(t, s, "k"))
	require.Equal(t, "absent", value(t, s, "l"))
	all, err := s.All(t.Context())
	require.NoError(t, err)
	require.Equal(t, []kv.Info{
		{Name: "a", Usage: kv.Usage{Keys: 1, Bytes: 5 + kv.EntryOverheadBytes}},
		{Name: "b", Usage: kv.Usage{Keys: 2, Bytes: 2 * (5 + kv.EntryOverheadBytes)}},
	}, all)
}

func drop(t *testing.T, s kv.Stores) {
	require.ErrorIs(t, s.Drop(t.Context(), "a"), kv.ErrNotFound)
	one(t, s, Put("k", "v"))
	require.NoError(t, s.Drop(t.Context(), "a"))
	require.Equal(t, "absent", value(t, s, "k"))
	require.ErrorIs(t, s.Drop(t.Context(), "a"), kv.ErrNotFound)
	all, err := s.All(t.Context())
	require.NoError(t, err)
	require.Empty(t, all)
	one(t, s, Put("l", "v"))
	require.Equal(t, []string{"l"}, keys(t, s, kv.Query{Limit: 10}))
}

func (u suite) limits(t *testing.T, s kv.Stores) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		change kv.Change
		err    error
	}{
		{Put("", "v"), kv.ErrInvalid},
		{Put("a\x00b", "v"), kv.ErrInvalid},
		{Put("\xff", "v"), kv.ErrInvalid},
		{Put(long(kv.MaxKeyBytes+1), "v"), kv.ErrTooLarge},
		{Put("k", long(kv.MaxValueBytes+1)), kv.ErrTooLarge},
		{kv.Change{Key: "k", Metadata: long(kv.MaxMetadataBytes + 1)}, kv.ErrTooLarge},
		{kv.Change{Key: "k", Metadata: "\xff"}, kv.ErrInvalid},
		{kv.Change{Key: "k", Expires: u.Now().Add(kv.MaxLife + time.Hour)}, kv.ErrInvalid},
		{kv.Change{Op: 9, Key: "k"}, kv.ErrInvalid},
	} {
		_, err := s.Write(t.Context(), "a", []kv.Change{c.change})
		require.ErrorIs(t, err, c.err, "%.100q", c.change.Key)
	}
	_, err := s.Write(t.Context(), "A b", []kv.Change{Put("k", "v")})
	require.ErrorIs(t, err, kv.ErrInvalid)
	many := make([]kv.Change, kv.MaxChanges+1)
	for n := range many {
		many[n] = Put(fmt.Sprint(n), "v")
	}
	_, err = s.Write(t.Context(), "a", many)
	require.ErrorIs(t, err, kv.ErrTooLarge)
	_, err = s.Write(t.Context(), "a", []kv.Change{Put("k", long(kv.MaxValueBytes)), Put("l", long(kv.MaxKeyBytes+kv.MaxMetadataBytes))})
	require.ErrorIs(t, err, kv.ErrTooLarge)
	_, err = s.Write(t.Context(), "a", many[:kv.MaxChanges])
	require.NoError(t, err)
	one(t, s, kv.Change{Key: long(kv.MaxKeyBytes), Value: []byte(long(kv.MaxValueBytes)), Metadata: long(kv.MaxMetadataBytes)})
	require.Len(t, value(t, s, long(kv.MaxKeyBytes)), kv.MaxValueBytes)
	for _, q := range []kv.Query{{}, {Limit: -1}, {Limit: kv.MaxPage + 1}, {Limit: 1, Prefix: "\x00"}, {Limit: 1, After: long(kv.MaxKeyBytes + 1)}} {
		_, err := s.List(t.Context(), "a", q)
		require.Error(t, err)
	}
	_, err = s.Get(t.Context(), "a", "")
	require.ErrorIs(t, err, kv.ErrInvalid)
}

func contexts(t *testing.T, s kv.Stores) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Get(ctx, "a", "k")
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Write(ctx, "a", []kv.Change{Put("k", "v")})
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.List(ctx, "a", kv.Query{Limit: 1})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "absent", value(t, s, "k"))
}
