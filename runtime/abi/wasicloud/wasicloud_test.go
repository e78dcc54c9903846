package wasicloud

import (
	"cmp"
	_ "embed"
	"fmt"
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

// TestHeldValues bounds what the host holds for a guest that keeps compare-and-swaps. Dropped ones do not count.
func TestHeldValues(t *testing.T) {
	g := newGuest(t)
	m := "wasi:keyvalue/atomics" + draft2 + "#"
	for range 2 { // requests
		g.ok(func() {
			g.kv.entries["k"] = abi.KeyValueEntry{Key: "k", Version: 1, Value: make([]byte, maxHeldBytes/4)}
			g.call("wasi:keyvalue/store"+draft2+"#open", "a", resultAt)
			b := g.uint32(4)
			var last int
			for range 4 {
				g.call(m+"[static]cas.new", b, "k", resultAt)
				require.Zero(t, g.byte(0))
				last = g.uint32(4)
			}
			g.call(m+"[static]cas.new", b, "k", resultAt)
			require.Equal(t, []int{1, otherError}, []int{g.byte(0), g.byte(4)})
			require.Equal(t, "too many operations or bytes in this request", g.text(8))
			g.call(m+"[resource-drop]cas", last)
			g.call(m+"[static]cas.new", b, "k", resultAt)
			require.Zero(t, g.byte(0))
			g.call(m+"swap", g.uint32(4), "small", resultAt)
			require.Zero(t, g.byte(0))
			g.call(m+"[static]cas.new", b, "k", resultAt)
			require.Zero(t, g.byte(0), "a swap gives up its value")
		})
	}
}

// TestLongKeys refuses a batch whose keys are one long text, which the host would copy for each.
func TestLongKeys(t *testing.T) {
	g := newGuest(t)
	g.ok(func() {
		g.call("wasi:keyvalue/store"+draft2+"#open", "a", resultAt)
		b := g.uint32(4)
		p := g.put(strings.Repeat("k", 30_000))
		at := g.alloc(4, 16*100)
		for i := range 200 {
			canonical.PutUint32(g.in.Memory()[at:], 8*i, uint32(p[0]))
			canonical.PutUint32(g.in.Memory()[at:], 8*i+4, uint32(p[1]))
		}
		for name, count := range map[string]int{"get-many": 200, "set-many": 100, "delete-many": 200} {
			g.call("wasi:keyvalue/batch"+draft2+"#"+name, b, int(at), count, resultAt)
			require.Equal(t, []int{1, otherError}, []int{g.byte(0), g.byte(4)}, name)
			require.Contains(t, g.text(8), "too large", name)
		}
	})
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
