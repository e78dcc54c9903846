package extension

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// shelf implements abi.KeyValue with one entry, or fails.
type shelf struct {
	fails   error
	entry   abi.KeyValueEntry
	page    abi.KeyValuePage
	changes []abi.KeyValueChange
	asked   []string
}

func (s *shelf) Has(store string) bool { return store == "a" }

func (s *shelf) Get(_ context.Context, store, key string) (abi.KeyValueEntry, error) {
	s.asked = []string{store, key}
	return s.entry, s.fails
}

func (s *shelf) Write(_ context.Context, store string, changes []abi.KeyValueChange) ([]abi.KeyValueResult, error) {
	s.asked, s.changes = []string{store}, changes
	return []abi.KeyValueResult{{Version: 7, Existed: true, Number: -5}}, s.fails
}

func (s *shelf) List(_ context.Context, store, prefix, cursor string, limit int) (abi.KeyValuePage, error) {
	s.asked = []string{store, prefix, cursor, strings.Repeat("x", max(0, limit))}
	return s.page, s.fails
}

// withStores runs code in an exchange with stores.
func (g *guest) withStores(kv abi.KeyValue, code func()) engine.Outcome {
	s := g.in.Extension.(*State)
	x := &abi.Invocation{KeyValue: kv, Log: func(_ abi.Level, line []byte) { g.log = append(g.log, string(line)) }}
	s.Begin(x)
	defer s.End()
	return g.call(code)
}

// store calls a function with the name of a store and a key in front of its other parameters.
func (g *guest) store(name string, params ...uint64) int64 {
	s, sLen := g.put(firstAt, "a")
	k, kLen := g.put(secondAt, "key")
	return int64(g.bench.Call(g.in, name, append([]uint64{s, sLen, k, kLen}, params...)...))
}

func (g *guest) call64(name string, params ...uint64) int64 {
	return int64(g.bench.Call(g.in, name, params...))
}

const anyone = 1<<64 - 1 // -1: any version

func TestKeyValueReads(t *testing.T) {
	g := newGuest(t, nil)
	kv := &shelf{entry: abi.KeyValueEntry{Value: []byte("value"), Metadata: "{}", Version: 9, Expires: time.UnixMilli(1234)}}
	out := g.withStores(kv, func() {
		require.EqualValues(t, abi.KeyValueNotFound, g.call64("kv_entry", partVersion, 0, 0), "nothing was read")
		require.EqualValues(t, 5, g.store("kv_get", bufferAt, 4))
		require.Equal(t, "\x00\x00\x00\x00\x00", g.text(bufferAt, 5), "it does not fit")
		require.Equal(t, []string{"a", "key"}, kv.asked)
		require.EqualValues(t, 5, g.call64("kv_entry", partValue, bufferAt, 5))
		require.Equal(t, "value", g.text(bufferAt, 5))
		require.EqualValues(t, 2, g.call64("kv_entry", partMetadata, bufferAt, 5))
		require.EqualValues(t, 9, g.call64("kv_entry", partVersion, 0, 0))
		require.EqualValues(t, 1234, g.call64("kv_entry", partExpires, 0, 0))
		require.EqualValues(t, abi.KeyValueInvalid, g.call64("kv_entry", 4, 0, 0))
		kv.fails = &abi.KeyValueError{Code: abi.KeyValueNotFound}
		require.EqualValues(t, abi.KeyValueNotFound, g.store("kv_get", bufferAt, 4))
		require.EqualValues(t, abi.KeyValueNotFound, g.call64("kv_entry", partValue, bufferAt, 5), "the entry before is gone")
	})
	require.Equal(t, engine.OK, out.Kind, "%v", out.Err)
	require.Empty(t, g.log, "an absent key is no news")
	g.withStores(kv, func() {
		require.EqualValues(t, abi.KeyValueNotFound, g.call64("kv_entry", partVersion, 0, 0), "an entry belongs to its request")
	})
}

func TestKeyValueWrites(t *testing.T) {
	g, kv := newGuest(t, nil), &shelf{}
	zero, three := uint64(0), uint64(3)
	out := g.withStores(kv, func() {
		v, vLen := g.put(bufferAt, "value")
		m, mLen := g.put(bufferAt+10, "meta")
		require.EqualValues(t, 7, g.store("kv_put", v, vLen, m, mLen, 1500, 3))
		require.Equal(t, []abi.KeyValueChange{{
			Key:      "key",
			Value:    []byte("value"),
			Metadata: "meta",
			TTL:      1500 * time.Millisecond,
			If:       &three,
		}}, kv.changes)
		require.EqualValues(t, 7, g.store("kv_put", 0, 0, 0, 0, 0, 0))
		require.Equal(t, []abi.KeyValueChange{{Key: "key", If: &zero}}, kv.changes)
		require.EqualValues(t, 7, g.store("kv_put", 0, 0, 0, 0, 0, anyone))
		require.Equal(t, []abi.KeyValueChange{{Key: "key"}}, kv.changes)
		require.EqualValues(t, 1, g.store("kv_delete", anyone))
		require.Equal(t, []abi.KeyValueChange{{Op: abi.KeyValueDelete, Key: "key"}}, kv.changes)
		require.EqualValues(t, 0, g.store("kv_add", anyone, bufferAt))
		require.Equal(t, []abi.KeyValueChange{{Op: abi.KeyValueAdd, Key: "key", Delta: -1}}, kv.changes)
		require.Equal(t, int64(-5), int64(binary.LittleEndian.Uint64(g.in.Memory()[bufferAt:])))
		kv.changes = nil
		for _, p := range [][]uint64{{0, 0, 0, 0, anyone, 0}, {0, 0, 0, 0, 1 << 62, 0}, {0, 0, 0, 0, 0, anyone - 1}} {
			require.EqualValues(t, abi.KeyValueInvalid, g.store("kv_put", p...))
		}
		require.EqualValues(t, abi.KeyValueInvalid, result(uint64(g.store("kv_delete", anyone-1))))
		require.EqualValues(t, abi.KeyValueTooLarge, g.store("kv_put", 0, 0, 0, 1<<32-1, 0, 0))
		require.EqualValues(t, abi.KeyValueTooLarge, g.call64("kv_get", 0, 1<<32-1, 0, 0, 0, 0))
		require.Empty(t, kv.changes)
		kv.fails = &abi.KeyValueError{Code: abi.KeyValueFull, Reason: "no room"}
		require.EqualValues(t, abi.KeyValueFull, g.store("kv_put", 0, 0, 0, 0, 0, anyone))
		require.EqualValues(t, abi.KeyValueFull, result(uint64(g.store("kv_add", 1, bufferAt))))
	})
	require.Equal(t, engine.OK, out.Kind, "%v", out.Err)
	require.Contains(t, g.log, "key-value (-8): no room")
	out = g.withStores(kv, func() { g.store("kv_put", size, 1, 0, 0, 0, 0) })
	require.Equal(t, engine.Trap, out.Kind, "addresses outside of memory")
}

func TestKeyValueLists(t *testing.T) {
	g, kv := newGuest(t, nil), &shelf{page: abi.KeyValuePage{
		Entries: []abi.KeyValueEntry{{Key: "k1", Version: 1 << 40, Metadata: "m"}, {Key: "k2", Version: 2, Expires: time.UnixMilli(5)}},
		Next:    "k2",
	}}
	want := []string{"k2", "k1", "1099511627776", "0", "m", "k2", "2", "5", ""}
	out := g.withStores(kv, func() {
		require.EqualValues(t, abi.KeyValueNotFound, g.call64("kv_page", 0, 0))
		s, sLen := g.put(firstAt, "a")
		p, pLen := g.put(secondAt, "k")
		c, cLen := g.put(secondAt+10, "j")
		list, failed := g.list("kv_list", s, sLen, p, pLen, c, cLen, 3)
		require.Zero(t, failed)
		require.Equal(t, want, list)
		require.Equal(t, []string{"a", "k", "j", "xxx"}, kv.asked)
		list, _ = g.list("kv_page")
		require.Equal(t, want, list)
	})
	require.Equal(t, engine.OK, out.Kind, "%v", out.Err)
}

func TestWithoutStores(t *testing.T) {
	g := newGuest(t, nil)
	g.withStores(nil, func() {
		require.EqualValues(t, abi.KeyValueNoStore, g.store("kv_get", 0, 0))
		require.EqualValues(t, abi.KeyValueNoStore, result(uint64(g.store("kv_delete", anyone))))
	})
	require.Contains(t, g.log[0], "deploy it with kv")
	g.call(func() { // while the guest initialises
		require.EqualValues(t, abi.KeyValueUnavailable, g.store("kv_get", 0, 0))
		require.EqualValues(t, abi.KeyValueUnavailable, g.call64("kv_list", 0, 0, 0, 0, 0, 0, 1, 0, 0))
	})
}
