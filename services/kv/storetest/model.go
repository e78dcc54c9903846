package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kv"
)

// Model is what a store has to do, as a map.
type Model struct {
	entries map[string]kv.Entry
	now     func() time.Time
}

// present returns the entry of a key, or one with version 0.
func (m Model) present(key string) (kv.Entry, bool) {
	e, ok := m.entries[key]
	if !ok || !e.Expires.IsZero() && !m.now().Before(e.Expires) {
		return kv.Entry{}, false
	}
	return e, true
}

// write returns the error of a write, or makes it with the versions of the results.
func (m Model) write(changes []kv.Change, results []kv.Result) error {
	next := make(map[string]*kv.Entry)
	for i, c := range changes {
		before, existed := m.present(c.Key)
		if c.If != nil && *c.If != before.Version {
			return kv.ErrConflict
		}
		e := &kv.Entry{Value: c.Value, Metadata: c.Metadata, Expires: c.Expires}
		switch c.Op {
		case kv.OpDelete:
			e = nil
		case kv.OpAdd:
			n, err := strconv.ParseInt(string(before.Value), 10, 64)
			if existed && err != nil {
				return kv.ErrNotNumber
			}
			*e = kv.Entry{Value: []byte(strconv.FormatInt(n+c.Delta, 10)), Metadata: before.Metadata, Expires: before.Expires}
		}
		if e != nil && i < len(results) {
			e.Version = results[i].Version
		}
		next[c.Key] = e
	}
	for key, e := range next {
		if e == nil {
			delete(m.entries, key)
			continue
		}
		m.entries[key] = *e
	}
	return nil
}

// model compares random operations with a Model. The time passes, and the stores are opened anew.
func (u suite) model(t *testing.T, newStores func(t *testing.T) Open) {
	for seed := range uint64(3) {
		open := newStores(t)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			u.test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				s, closeAll := open(t)
				m := Model{make(map[string]kv.Entry), u.Now}
				for range 120 {
					switch random.IntN(20) {
					case 0:
						require.NoError(t, closeAll())
						s, closeAll = open(t)
					case 1, 2:
						u.pass(time.Duration(random.IntN(100)) * time.Second)
					default:
						m.step(t, random, s)
					}
					m.compare(t, random, s)
				}
				require.NoError(t, closeAll())
			})
		})
	}
}

// step makes a random write.
func (m Model) step(t *testing.T, random *rand.Rand, s kv.Stores) {
	var changes []kv.Change
	for _, n := range random.Perm(12)[:1+random.IntN(3)] {
		key := "k" + fmt.Sprint(n)
		c := kv.Change{Op: kv.Op(random.IntN(3)), Key: key}
		switch c.Op {
		case kv.OpPut:
			c.Value = [][]byte{[]byte("7"), []byte("text"), make([]byte, random.IntN(20_000))}[random.IntN(3)]
			c.Metadata = []string{"", `{"a":"b"}`}[random.IntN(2)]
			if random.IntN(2) == 0 {
				c.Expires = m.now().Add(time.Duration(random.IntN(200)) * time.Second)
			}
		case kv.OpAdd:
			c.Delta = int64(random.IntN(100)) - 50
		}
		if random.IntN(3) == 0 {
			e, _ := m.present(key)
			c = If(c, e.Version+kv.Version(random.IntN(10)/9))
		}
		changes = append(changes, c)
	}
	results, err := s.Write(t.Context(), "a", changes)
	want := m.write(changes, results)
	require.True(t, errors.Is(err, want), "%v, and not %v", err, want)
}

// compare compares all entries, and a page that begins at a random key.
func (m Model) compare(t *testing.T, random *rand.Rand, s kv.Stores) {
	t.Helper()
	var want []kv.Entry
	for key := range m.entries {
		if e, ok := m.present(key); ok {
			e.Key = key
			want = append(want, e)
		}
	}
	slices.SortFunc(want, func(a, b kv.Entry) int { return slices.Compare([]byte(a.Key), []byte(b.Key)) })
	q := kv.Query{Limit: 100, Values: true, After: []string{"", "k1", "k5"}[random.IntN(3)]}
	want = slices.DeleteFunc(want, func(e kv.Entry) bool { return e.Key <= q.After })
	page, err := s.List(t.Context(), "a", q)
	require.NoError(t, err)
	require.Empty(t, page.Next)
	require.Len(t, page.Entries, len(want))
	for i, e := range page.Entries {
		require.Equal(t, want[i].Key, e.Key)
		require.Equal(t, string(want[i].Value), string(e.Value))
		require.Equal(t, want[i].Metadata, e.Metadata)
		require.Equal(t, want[i].Version, e.Version)
		require.True(t, want[i].Expires.Equal(e.Expires))
	}
}

// concurrency checks that counters lose nothing, that writes with conditions exclude each other, and that a write of two
// keys is never seen in part.
func concurrency(t *testing.T, open Open) {
	s, closeAll := open(t)
	const workers, rounds = 6, 15
	ctx := t.Context()
	var group sync.WaitGroup
	fails := make(chan error, workers)
	for w := range workers {
		group.Go(func() {
			for n := range rounds {
				if err := errors.Join(hammer(ctx, s, w, n), seen(ctx, s)); err != nil {
					fails <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(fails)
	for err := range fails {
		require.NoError(t, err)
	}
	require.Equal(t, fmt.Sprint(workers*rounds), value(t, s, "counter"))
	require.Equal(t, fmt.Sprint(workers*rounds), value(t, s, "swapped"))
	require.NoError(t, closeAll())
	s, closeAll = open(t)
	require.Equal(t, fmt.Sprint(workers*rounds), value(t, s, "counter"))
	require.NoError(t, closeAll())
}

func hammer(ctx context.Context, s kv.Stores, worker, n int) error {
	text := fmt.Sprint(worker, n)
	_, err := s.Write(ctx, "a", []kv.Change{{Op: kv.OpAdd, Key: "counter", Delta: 1}, Put("left", text), Put("right", text)})
	if err != nil {
		return err
	}
	for {
		e, err := s.Get(ctx, "a", "swapped")
		if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return err
		}
		number, _ := strconv.Atoi(string(e.Value)) // 0 if it is absent
		_, err = s.Write(ctx, "a", []kv.Change{If(Put("swapped", fmt.Sprint(number+1)), e.Version)})
		if !errors.Is(err, kv.ErrConflict) {
			return err
		}
	}
}

// seen checks that one page has both keys with the same value.
func seen(ctx context.Context, s kv.Stores) error {
	page, err := s.List(ctx, "a", kv.Query{Limit: 10, Values: true, After: "l"})
	if err != nil {
		return err
	}
	found := make(map[string]string)
	for _, e := range page.Entries {
		found[e.Key] = string(e.Value)
	}
	if found["left"] == "" || found["left"] != found["right"] {
		return fmt.Errorf("a write is seen in part: %q", found)
	}
	return nil
}
