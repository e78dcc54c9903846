package wasicloud

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// functions are the flat types of all functions, as wit-component makes them, and those of the first draft.
//
//go:embed testdata/functions.txt
var functions string

func TestFunctionsAreThoseOfTheInterfaces(t *testing.T) {
	require.Equal(t, strings.Split(strings.TrimSpace(functions), "\n"), abitest.Signatures(HostModules()))
}

// shelf implements abi.KeyValue with one store, "a".
type shelf struct {
	entries map[string]abi.KeyValueEntry
	version uint64
	writes  int
	fails   abi.KeyValueCode
	changes []abi.KeyValueChange // of the last write
}

func (s *shelf) Has(store string) bool { return store == "a" }

func (s *shelf) check(store string) error {
	switch {
	case s.fails != 0:
		return &abi.KeyValueError{Code: s.fails, Reason: "secret"}
	case store != "a":
		return &abi.KeyValueError{Code: abi.KeyValueNoStore}
	}
	return nil
}

func (s *shelf) Get(_ context.Context, store, key string) (abi.KeyValueEntry, error) {
	e, ok := s.entries[key]
	if err := s.check(store); err != nil || ok {
		return e, err
	}
	return e, &abi.KeyValueError{Code: abi.KeyValueNotFound}
}

func (s *shelf) Write(_ context.Context, store string, changes []abi.KeyValueChange) (results []abi.KeyValueResult, err error) {
	if err := s.check(store); err != nil {
		return nil, err
	}
	s.changes = changes
	s.writes++
	for _, c := range changes {
		e, ok := s.entries[c.Key]
		if c.If != nil && *c.If != e.Version {
			return nil, &abi.KeyValueError{Code: abi.KeyValueConflict}
		}
		s.version++
		n, _ := strconv.ParseInt(string(e.Value), 10, 64)
		r := abi.KeyValueResult{Existed: ok, Version: s.version, Number: n + c.Delta}
		switch c.Op {
		case abi.KeyValueDelete:
			delete(s.entries, c.Key)
		case abi.KeyValueAdd:
			s.entries[c.Key] = abi.KeyValueEntry{Key: c.Key, Version: s.version, Value: []byte(strconv.FormatInt(r.Number, 10))}
		default:
			e = abi.KeyValueEntry{Key: c.Key, Version: s.version, Value: slices.Clone(c.Value), Metadata: c.Metadata}
			if c.TTL > 0 {
				e.Expires = time.UnixMilli(c.TTL.Milliseconds())
			}
			s.entries[c.Key] = e
		}
		results = append(results, r)
	}
	return results, nil
}

func (s *shelf) List(_ context.Context, store, prefix, cursor string, limit int) (page abi.KeyValuePage, err error) {
	if err := s.check(store); err != nil {
		return page, err
	}
	for _, key := range slices.Sorted(maps.Keys(s.entries)) {
		if key <= cursor || !strings.HasPrefix(key, prefix) {
			continue
		}
		if len(page.Entries) == min(limit, 2) { // pages are short
			page.Next = page.Entries[1].Key
			break
		}
		page.Entries = append(page.Entries, s.entries[key])
	}
	return page, nil
}

// guest is a puppet whose code is the test.
type guest struct {
	t     *testing.T
	bench *abitest.Bench
	in    *engine.Instance
	kv    *shelf
	log   []string
	next  uint32 // free memory
}

// component is an ABI of these interfaces alone.
type component struct{ abi.ABI }

func (component) Functions(*engine.Info) (init, entries []string) {
	return nil, []string{"handle_request", canonical.Allocator}
}

func (component) Bind(in *engine.Instance, env *abi.Environment) { Bind(canonical.Bind(in, 1), env) }

func newGuest(t *testing.T) *guest {
	b, err := abitest.Open(HostModules()...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	g := &guest{t: t, bench: b, kv: &shelf{entries: map[string]abi.KeyValueEntry{}}}
	g.in, err = b.Puppet(component{}, &abi.Environment{
		Settings: abi.NewSettings(map[string]string{"name": "value", "b": ""}),
		Log:      func(abi.Level, []byte) {},
	})
	require.NoError(t, err)
	return g
}

const (
	resultAt = 0x8000
	freeAt   = 0x9000
)

// run runs code as the guest in an invocation.
func (g *guest) run(code func()) engine.Outcome {
	g.t.Helper()
	state := canonical.Of(g.in)
	s := state.Cloud.(*State)
	s.Begin(&abi.Invocation{KeyValue: g.kv, Log: func(l abi.Level, line []byte) { g.log = append(g.log, fmt.Sprint(l, " ", string(line))) }})
	defer s.End()
	defer state.Handles.Close()
	g.next = freeAt
	g.bench.Act = func(_ *engine.Instance, at abitest.Entry, align, size uint32) int64 {
		if at == abitest.Allocate {
			return int64(g.alloc(align, size))
		}
		code()
		return 0
	}
	return g.in.Call(context.Background(), abitest.Soon(), 0, make([]uint64, 1))
}

func (g *guest) ok(code func()) {
	g.t.Helper()
	out := g.run(code)
	require.Equal(g.t, engine.OK, out.Kind, "%v", out.Err)
}

func (g *guest) traps(code func()) {
	g.t.Helper()
	require.Equal(g.t, engine.Trap, g.run(code).Kind)
}

func (g *guest) alloc(align, size uint32) uint32 {
	g.next = (g.next + align - 1) &^ (align - 1)
	g.next += size
	return g.next - size
}

// put writes text to the memory and returns its address and length.
func (g *guest) put(text string) []uint64 {
	at := g.alloc(1, uint32(len(text)))
	copy(g.in.Memory()[at:], text)
	return []uint64{uint64(at), uint64(len(text))}
}

// call calls a function with numbers, and texts as pairs.
func (g *guest) call(name string, params ...any) uint64 {
	var flat []uint64
	for _, p := range params {
		switch p := p.(type) {
		case string:
			flat = append(flat, g.put(p)...)
		case int:
			flat = append(flat, uint64(p))
		case uint64:
			flat = append(flat, p)
		}
	}
	clear(g.in.Memory()[resultAt:freeAt])
	return g.bench.Call(g.in, name, flat...)
}

func (g *guest) byte(at int) int { return int(g.in.Memory()[resultAt+at]) }

func (g *guest) uint32(at int) int {
	return int(canonical.Uint32(g.in.Memory()[resultAt:], at))
}

func (g *guest) uint64(at int) uint64 {
	return uint64(g.uint32(at)) | uint64(g.uint32(at+4))<<32
}

// text returns the text whose address and length are at an offset.
func (g *guest) text(at int) string {
	return string(g.in.Memory()[g.uint32(at):][:g.uint32(at+4)])
}

// texts returns the first text of each element of a list.
func (g *guest) texts(at, size int) (all []string) {
	for i := range g.uint32(at + 4) {
		base := g.uint32(at) + i*size - resultAt
		all = append(all, g.text(base))
	}
	return all
}

// TestVespoKV uses vespo:kv/store.
func TestVespoKV(t *testing.T) {
	const m = "vespo:kv/store@0.1.0#"
	g := newGuest(t)
	g.ok(func() {
		require.EqualValues(t, 1, g.call(m+"has", "a"))
		require.EqualValues(t, 0, g.call(m+"has", "b"))
		g.call(m+"get", "a", "k", resultAt)
		require.Equal(t, []int{0, 0}, []int{g.byte(0), g.byte(8)}, "ok(none)")

		g.call(m+"put", "a", "k", "value", 1, 1500, "meta", 1, 0, resultAt)
		require.Zero(t, g.byte(0))
		require.EqualValues(t, 1, g.uint64(8))
		require.Equal(t, 1500*time.Millisecond, g.kv.changes[0].TTL)
		g.call(m+"get", "a", "k", resultAt)
		require.Equal(t, []int{0, 1, 1}, []int{g.byte(0), g.byte(8), g.byte(40)}, "ok(some), expires some")
		require.Equal(t, []string{"value", "meta"}, []string{g.text(16), g.text(24)})
		require.EqualValues(t, 1, g.uint64(32))
		require.EqualValues(t, 1500, g.uint64(48))

		g.call(m+"put", "a", "k", "", 0, 0, "", 1, 7, resultAt)
		require.Equal(t, []int{1, codeConflict}, []int{g.byte(0), g.byte(8)})
		require.Equal(t, "the key has another version", g.text(12))
		g.call(m+"put", "a", "k", "", 1, 0, "", 0, 0, resultAt)
		require.Equal(t, []int{1, codeInvalid}, []int{g.byte(0), g.byte(8)}, "a lifetime of 0")
		g.call(m+"put", "b", "k", "", 0, 0, "", 0, 0, resultAt)
		require.Equal(t, []int{1, codeNoSuchStore}, []int{g.byte(0), g.byte(8)})

		g.call(m+"add", "a", "n", uint64(1<<64-5), resultAt)
		require.Zero(t, g.byte(0))
		require.EqualValues(t, -5, int64(g.uint64(8)))
		g.call(m+"add", "a", "m", 1, resultAt)

		g.call(m+"list", "a", "", 0, 0, 0, 1000, resultAt)
		require.Equal(t, []int{0, 1}, []int{g.byte(0), g.byte(12)})
		require.Equal(t, []string{"k", "m"}, g.texts(4, 40))
		require.Equal(t, "m", g.text(16), "the cursor")
		g.call(m+"list", "a", "", 1, "m", 1000, resultAt)
		require.Equal(t, []int{0, 0}, []int{g.byte(0), g.byte(12)}, "no cursor")
		require.Equal(t, []string{"n"}, g.texts(4, 40))
		g.call(m+"list", "a", "x", 0, 0, 0, 1000, resultAt)
		require.Empty(t, g.texts(4, 40))

		g.call(m+"delete", "a", "k", 1, 9, resultAt)
		require.Equal(t, []int{1, codeConflict}, []int{g.byte(0), g.byte(4)})
		g.call(m+"delete", "a", "k", 0, 0, resultAt)
		require.Equal(t, []int{0, 1}, []int{g.byte(0), g.byte(4)})
		g.call(m+"delete", "a", "k", 0, 0, resultAt)
		require.Equal(t, []int{0, 0}, []int{g.byte(0), g.byte(4)})
	})
	for code, want := range map[abi.KeyValueCode]int{
		abi.KeyValueInvalid:     codeInvalid,
		abi.KeyValueTooMany:     codeTooMany,
		abi.KeyValueTooLarge:    codeTooLarge,
		abi.KeyValueDeadline:    codeDeadline,
		abi.KeyValueFull:        codeFull,
		abi.KeyValueUnavailable: codeUnavailable,
		abi.KeyValueNotNumber:   codeNotNumber,
	} {
		g.kv.fails, g.log = code, nil
		g.ok(func() {
			g.call(m+"add", "a", "n", 1, resultAt)
			require.Equal(t, []int{1, want}, []int{g.byte(0), g.byte(8)})
			require.NotContains(t, g.text(12), "secret")
		})
		require.Contains(t, strings.Join(g.log, ""), "secret", "the reason is in the log")
	}
}

func TestKeyValueStore(t *testing.T) {
	for _, draft := range []string{draft1, draft2} {
		m := "wasi:keyvalue/store" + draft + "#"
		g := newGuest(t)
		g.ok(func() {
			g.call(m+"open", "b", resultAt)
			require.Equal(t, []int{1, noSuchStore}, []int{g.byte(0), g.byte(4)})
			g.call(m+"open", "a", resultAt)
			require.Zero(t, g.byte(0))
			b := g.uint32(4)
			g.call(m+"[method]bucket.get", b, "k", resultAt)
			require.Equal(t, []int{0, 0}, []int{g.byte(0), g.byte(4)})
			for _, key := range []string{"k", "l", "m", "n", "o"} {
				g.call(m+"[method]bucket.set", b, key, "of "+key, resultAt)
				require.Zero(t, g.byte(0))
			}
			g.call(m+"[method]bucket.get", b, "k", resultAt)
			require.Equal(t, []int{0, 1}, []int{g.byte(0), g.byte(4)})
			require.Equal(t, "of k", g.text(8))
			g.call(m+"[method]bucket.exists", b, "k", resultAt)
			require.Equal(t, []int{0, 1}, []int{g.byte(0), g.byte(4)})
			g.call(m+"[method]bucket.delete", b, "k", resultAt)
			require.Zero(t, g.byte(0))
			g.call(m+"[method]bucket.exists", b, "k", resultAt)
			require.Equal(t, []int{0, 0}, []int{g.byte(0), g.byte(4)})

			g.kv.fails = abi.KeyValueFull
			g.call(m+"[method]bucket.set", b, "k", "", resultAt)
			require.Equal(t, []int{1, otherError}, []int{g.byte(0), g.byte(4)})
			require.Equal(t, "the store is full", g.text(8))
			g.kv.fails = 0
			g.call(m+"[resource-drop]bucket", b)
		})
		g.traps(func() { g.call(m+"[method]bucket.get", 1, "k", resultAt) })
		g.traps(func() { g.call(m+"[method]bucket.get", 0, "k", resultAt) })
	}
}

// TestListKeys lists pages with both forms of cursors.
func TestListKeys(t *testing.T) {
	g := newGuest(t)
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		g.kv.entries[key] = abi.KeyValueEntry{Key: key, Version: 1}
	}
	g.ok(func() {
		m := "wasi:keyvalue/store" + draft2 + "#"
		g.call(m+"open", "a", resultAt)
		b := g.uint32(4)
		g.call(m+"[method]bucket.list-keys", b, 0, 0, 0, resultAt)
		require.Equal(t, []string{"a", "b"}, g.texts(4, 8))
		g.call(m+"[method]bucket.list-keys", b, 1, g.text(16), resultAt)
		require.Equal(t, []string{"c", "d"}, g.texts(4, 8))
		g.call(m+"[method]bucket.list-keys", b, 1, g.text(16), resultAt)
		require.Equal(t, []string{"e"}, g.texts(4, 8))
		require.Zero(t, g.byte(12))

		m = "wasi:keyvalue/store" + draft1 + "#"
		for range 2 { // the same pages have the same cursors
			g.call(m+"[method]bucket.list-keys", b, 0, 0, resultAt)
			require.Equal(t, []string{"a", "b"}, g.texts(8, 8))
			require.Equal(t, []int{1, 1}, []int{g.byte(16), int(g.uint64(24))})
			g.call(m+"[method]bucket.list-keys", b, 1, 1, resultAt)
			require.Equal(t, []string{"c", "d"}, g.texts(8, 8))
			g.call(m+"[method]bucket.list-keys", b, 1, g.uint64(24), resultAt)
			require.Equal(t, []string{"e"}, g.texts(8, 8))
			require.Zero(t, g.byte(16))
		}
		g.call(m+"[method]bucket.list-keys", b, 1, 3, resultAt)
		require.Equal(t, []int{1, otherError}, []int{g.byte(0), g.byte(8)}, "an unknown cursor")
		g.call(m+"[method]bucket.list-keys", b, 1, 0, resultAt)
		require.Equal(t, 1, g.byte(0))
	})
}

func TestAtomics(t *testing.T) {
	g := newGuest(t)
	g.ok(func() {
		g.call("wasi:keyvalue/store"+draft2+"#open", "a", resultAt)
		b := g.uint32(4)
		for i, draft := range []string{draft1, draft2} {
			g.call("wasi:keyvalue/atomics"+draft+"#increment", b, "n", 5, resultAt)
			require.Zero(t, g.byte(0))
			require.EqualValues(t, 5+5*i, g.uint64(8))
		}
		g.call("wasi:keyvalue/atomics"+draft1+"#increment", b, "n", uint64(1<<63), resultAt)
		require.Equal(t, []int{1, otherError}, []int{g.byte(0), g.byte(8)})
		require.Contains(t, g.text(12), "not a number")

		m := "wasi:keyvalue/atomics" + draft2 + "#"
		g.call(m+"[static]cas.new", b, "k", resultAt)
		first := g.uint32(4)
		g.call(m+"[method]cas.current", first, resultAt)
		require.Equal(t, []int{0, 0}, []int{g.byte(0), g.byte(4)}, "the key is absent")
		g.call(m+"[static]cas.new", b, "k", resultAt)
		second := g.uint32(4)
		g.call(m+"swap", first, "one", resultAt)
		require.Zero(t, g.byte(0))
		g.call(m+"swap", second, "two", resultAt)
		require.Equal(t, []int{1, casFailed}, []int{g.byte(0), g.byte(4)})
		third := g.uint32(8)
		g.call(m+"[method]cas.current", third, resultAt)
		require.Equal(t, "one", g.text(8))
		g.call(m+"swap", third, "three", resultAt)
		require.Zero(t, g.byte(0))
		require.Equal(t, "three", string(g.kv.entries["k"].Value))

		g.call(m+"[static]cas.new", b, "k", resultAt)
		fourth := g.uint32(4)
		g.kv.fails = abi.KeyValueFull
		g.call(m+"swap", fourth, "four", resultAt)
		require.Equal(t, []int{1, storeError, otherError}, []int{g.byte(0), g.byte(4), g.byte(8)})
		require.Equal(t, "the store is full", g.text(12))
		g.kv.fails = 0
		g.call(m+"[static]cas.new", b, "k", resultAt)
		g.call(m+"[resource-drop]cas", g.uint32(4))
	})
	g.traps(func() { g.call("wasi:keyvalue/atomics"+draft2+"#swap", 1, "x", resultAt) })
}

// listOf puts a list whose elements are texts, and returns its address and length.
func (g *guest) listOf(texts ...string) []any {
	at := g.alloc(4, uint32(8*len(texts)))
	for i, text := range texts {
		p := g.put(text)
		canonical.PutUint32(g.in.Memory()[at:], 8*i, uint32(p[0]))
		canonical.PutUint32(g.in.Memory()[at:], 8*i+4, uint32(p[1]))
	}
	return []any{int(at), len(texts)}
}

func TestBatch(t *testing.T) {
	g := newGuest(t)
	g.ok(func() {
		g.call("wasi:keyvalue/store"+draft2+"#open", "a", resultAt)
		b := g.uint32(4)
		m := "wasi:keyvalue/batch" + draft2 + "#"
		l := g.listOf("k", "one", "l", "two", "k", "three") // pairs
		g.call(m+"set-many", b, l[0], l[1].(int)/2, resultAt)
		require.Zero(t, g.byte(0))
		require.Equal(t, "three", string(g.kv.entries["k"].Value), "the last one of a key")
		require.Equal(t, 2, g.kv.writes)

		keys := g.listOf("l", "none", "k")
		g.call(m+"get-many", b, keys[0], keys[1], resultAt)
		require.Zero(t, g.byte(0))
		require.Equal(t, []string{"l", "none", "k"}, g.texts(4, foundBytes))
		base := g.uint32(4) - resultAt
		require.Equal(t, []int{1, 0, 1}, []int{g.byte(base + 8), g.byte(base + 28), g.byte(base + 48)})
		require.Equal(t, "two", g.text(base+12))
		require.Equal(t, "three", g.text(base+52))

		g.call("wasi:keyvalue/batch"+draft1+"#get-many", b, keys[0], keys[1], resultAt)
		base = g.uint32(4) - resultAt
		require.Equal(t, []int{1, 0, 1}, []int{g.byte(base), g.byte(base + 20), g.byte(base + 40)})
		require.Equal(t, []string{"l", "two"}, []string{g.text(base + 4), g.text(base + 12)})

		g.call(m+"delete-many", b, keys[0], keys[1], resultAt)
		require.Zero(t, g.byte(0))
		require.Empty(t, g.kv.entries)
		for _, name := range []string{"get-many", "set-many", "delete-many"} {
			g.call(m+name, b, 8, maxBatchKeys+1, resultAt)
			require.Equal(t, []int{1, otherError}, []int{g.byte(0), g.byte(4)}, name)
		}
		g.kv.writes = 0
		var pairs []string
		for n := range 250 {
			pairs = append(pairs, fmt.Sprint(n), "")
		}
		l = g.listOf(pairs...)
		g.call(m+"set-many", b, l[0], 250, resultAt)
		require.Zero(t, g.byte(0))
		require.Equal(t, 3, g.kv.writes)
		require.Len(t, g.kv.entries, 250)
	})
	g.traps(func() {
		g.call("wasi:keyvalue/store"+draft2+"#open", "a", resultAt)
		g.call("wasi:keyvalue/batch"+draft2+"#get-many", g.uint32(4), 1<<17-8, 1000, resultAt)
	})
}

func TestConfig(t *testing.T) {
	for _, name := range []string{"wasi:config/store@0.2.0-draft", "wasi:config/store@0.2.0-rc.1", "wasi:config/runtime@0.2.0-draft"} {
		g := newGuest(t)
		g.ok(func() {
			g.call(name+"#get", "name", resultAt)
			require.Equal(t, []int{0, 1}, []int{g.byte(0), g.byte(4)})
			require.Equal(t, "value", g.text(8))
			g.call(name+"#get", "none", resultAt)
			require.Equal(t, []int{0, 0}, []int{g.byte(0), g.byte(4)})
			g.call(name+"#get-all", resultAt)
			require.Zero(t, g.byte(0))
			require.Equal(t, []string{"b", "name"}, g.texts(4, 16))
		})
	}
}

func TestLogging(t *testing.T) {
	g := newGuest(t)
	const m = "wasi:logging/logging#"
	g.ok(func() {
		for level := range 6 {
			g.call(m+"log", level, "here", "some text")
		}
		g.call(m+"log", 2, "", "alone")
		for range 10_000 {
			g.call(m+"log", 2, 0, 0, 0, 4096)
		}
	})
	var want []string
	for _, l := range []abi.Level{abi.LevelDebug, abi.LevelDebug, abi.LevelInfo, abi.LevelWarn, abi.LevelError, abi.LevelError} {
		want = append(want, fmt.Sprint(l, " here: some text"))
	}
	require.Equal(t, append(want, "0 alone"), g.log[:7])
	require.Less(t, len(g.log), 100, "what one request logs is bounded")
	g.traps(func() { g.call(m+"log", 6, "", "") })
	g.traps(func() { g.call(m+"log", 2, 0, 0, 0, 1<<30) })
}

// TestHostileParameters passes bad addresses and long texts to all functions, which trap or fail.
func TestHostileParameters(t *testing.T) {
	g := newGuest(t)
	for _, module := range HostModules() {
		for _, f := range module.Funcs {
			for _, bad := range []uint64{0, 1, 3, 1 << 16, 1<<17 - 1, 1<<31 - 1, 1<<32 - 1, 1<<64 - 1} {
				params := make([]any, len(f.Params))
				for i := range params {
					params[i] = bad
				}
				out := g.run(func() { g.call(abitest.Qualified(module.Name, f.Name), params...) })
				require.Contains(t, []engine.Kind{engine.OK, engine.Trap}, out.Kind, "%s %s %d: %v", module.Name, f.Name, bad, out.Err)
			}
		}
	}
}

func TestWithoutStores(t *testing.T) {
	g := newGuest(t)
	s := canonical.Of(g.in).Cloud.(*State)
	g.ok(func() {
		s.current.KeyValue = nil
		require.Zero(t, g.call("vespo:kv/store@0.1.0#has", "a"))
		g.call("vespo:kv/store@0.1.0#get", "a", "k", resultAt)
		require.Equal(t, []int{1, codeNoSuchStore}, []int{g.byte(0), g.byte(8)})
		g.call("wasi:keyvalue/store@0.2.0-draft2#open", "a", resultAt)
		require.Equal(t, []int{1, noSuchStore}, []int{g.byte(0), g.byte(4)})
		s.current = nil // as while the guest initialises
		g.call("vespo:kv/store@0.1.0#get", "a", "k", resultAt)
		require.Equal(t, []int{1, codeUnavailable}, []int{g.byte(0), g.byte(8)})
	})
	require.Contains(t, cmp.Or(strings.Join(g.log, " "), "nothing"), "deploy it with kv")
}
