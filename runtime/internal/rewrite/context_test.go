package rewrite

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/api"
)

// contextModule returns a module whose functions set and get the values of the task, by calls and tail calls.
func contextModule(exportGet bool) []byte {
	b := newModule()
	get0 := b.imports("canon", "context.get-0", signature("", "i"))
	get1 := b.imports("canon", "context.get-1", signature("", "i"))
	set0 := b.imports("canon", "context.set-0", signature("i", ""))
	set1 := b.imports("canon", "context.set-1", signature("i", ""))
	var set, add, tailSet, tailGet code
	set.localGet(0)
	set.call(set0)
	set.localGet(1)
	set.call(set1)
	b.export("set", b.function(signature("ii", ""), nil, set))
	add.call(get0)
	add.call(get1)
	add.op(opI32Add)
	b.export("add", b.function(signature("", "i"), nil, add))
	tailSet.localGet(0)
	tailSet.index(byte(opReturnCall), set0)
	b.export("tail-set", b.function(signature("i", ""), nil, tailSet))
	tailGet.index(byte(opReturnCall), get0)
	b.export("tail-get", b.function(signature("", "i"), nil, tailGet))
	if exportGet {
		b.export("get", get1)
	}
	return b.bytes()
}

func contextHost(t *testing.T) (h *testHost, calls *int) {
	h, calls = newTestHost(t), new(int)
	b := h.runtime.NewHostModuleBuilder("canon")
	var values [contextSlots]uint64
	i32 := []api.ValueType{api.ValueTypeI32}
	for slot, suffix := range []string{"-0", "-1"} {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, _ api.Module, p []uint64) {
			*calls++
			p[0] = values[slot]
		}), nil, i32).Export("context.get" + suffix)
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, _ api.Module, p []uint64) {
			*calls++
			values[slot] = p[0]
		}), i32, nil).Export("context.set" + suffix)
	}
	_, err := b.Instantiate(t.Context())
	require.NoError(t, err)
	return h, calls
}

// TestContext checks that both forms of a module do the same, and which of them calls the host.
func TestContext(t *testing.T) {
	for _, c := range []struct {
		module    string
		exportGet bool
		ofHost    bool
	}{{"canon", false, false}, {"canon", true, true}, {"other", false, true}, {"", false, true}} {
		h, calls := contextHost(t)
		o := options()
		o.ContextModule = c.module
		m, info := h.load(t, contextModule(c.exportGet), o)
		do := func(name string, args ...uint64) []uint64 {
			results, err := top(m, info, o, name, args...)
			require.NoError(t, err)
			return results
		}
		require.Equal(t, []uint64{0}, do("add"))
		do("set", 40, 2)
		require.Equal(t, []uint64{42}, do("add"))
		do("tail-set", 7)
		require.Equal(t, []uint64{7}, do("tail-get"))
		require.Equal(t, []uint64{9}, do("add"))
		require.Equal(t, c.ofHost, *calls > 0, "%+v", c)
		var ofTask int
		for _, g := range info.MutableGlobals {
			if g.OfTask {
				ofTask++
				require.NotNil(t, m.ExportedGlobal(g.ExportName))
			}
		}
		require.Equal(t, !c.ofHost, ofTask == contextSlots)
		require.Empty(t, info.FreshReason)
	}
}

// TestContextOfOtherTypes leaves imports alone that have the names alone.
func TestContextOfOtherTypes(t *testing.T) {
	b := newModule()
	b.imports("canon", "context.get-0", signature("i", "i"))
	b.imports("canon", "context.set-0", signature("I", ""))
	b.imports("canon", "context.get-2", signature("", "i"))
	o := options()
	o.ContextModule = "canon"
	_, info, err := Rewrite(b.bytes(), o)
	require.NoError(t, err)
	require.Empty(t, info.MutableGlobals)
}
