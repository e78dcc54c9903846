package rewrite

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

func TestInspect(t *testing.T) {
	info, err := Inspect(readModule(t, "state.wasm"))
	require.NoError(t, err)
	i32 := []ValueType{I32}
	require.Equal(t, []Import{
		{Module: "lib", Name: "one", Kind: KindFunction, Signature: Signature{Results: i32}},
		{Module: "lib", Name: "limit", Kind: KindGlobal},
		{Module: "lib", Name: "two", Kind: KindFunction, Signature: Signature{Results: i32}},
	}, info.Imports)
	require.Equal(t, []Export{
		{Name: "mem", Kind: KindMemory}, {Name: "table", Kind: KindTable}, {Name: "counter", Kind: KindGlobal},
		{Name: "count", Kind: KindFunction, Signature: Signature{Results: i32}},
		{Name: "at", Kind: KindFunction, Signature: Signature{Params: i32, Results: i32}},
		{Name: "sum", Kind: KindFunction, Signature: Signature{Results: i32}},
		{Name: "vespo:fuel", Kind: KindFunction, Signature: Signature{Results: i32}},
	}, info.Exports)
	require.Equal(t, &Memory{MinPages: 1, MaxPages: 3, HasMax: true, ExportName: "mem"}, info.Memory)
	require.True(t, info.Start)
	require.True(t, info.Resettable, info.FreshReason)
	require.Equal(t, []Global{{Type: I32}, {Type: F64}, {Type: I64}}, info.MutableGlobals)
	require.Equal(t, 6, info.Functions)
	require.Equal(t, len("hello"), info.DataBytes)
	require.Equal(t, "(i32, i32) -> (v128)", Signature{[]ValueType{I32, I32}, []ValueType{V128}}.String())
}

// TestEverythingMoves runs a module that uses every index that the rewriting shifts.
func TestEverythingMoves(t *testing.T) {
	h, o := newTestHost(t), options()
	b := newModule() // a host module cannot export a global
	b.global(I32, false, code{opI32Const, 5})
	b.function(signature("", "i"), nil, code{opI32Const, 1})
	b.function(signature("", "i"), nil, code{opI32Const, 2})
	b.exports = []export{{"limit", KindGlobal, 0}, {"one", KindFunction, 0}, {"two", KindFunction, 1}}
	_, err := h.runtime.InstantiateWithConfig(t.Context(), b.bytes(), wazero.NewModuleConfig().WithName("lib"))
	require.NoError(t, err)
	m, info := h.load(t, readModule(t, "state.wasm"), o)

	require.Equal(t, "vespo:start", info.StartExport)
	require.Equal(t, uint64(0), m.ExportedGlobal("counter").Get(), "the start function waits for the host")
	_, err = top(m, info, o, info.StartExport)
	require.NoError(t, err)
	require.Equal(t, uint64(100), m.ExportedGlobal("counter").Get())

	for index, want := range map[uint64]uint64{0: 1, 1: 42, 2: 2, 4: 2, 6: 42} {
		res, err := top(m, info, o, "at", index)
		require.NoError(t, err)
		require.Equal(t, want, res[0], "table element %d", index)
	}
	_, err = top(m, info, o, "at", 5)
	require.Error(t, err)
	res, err := top(m, info, o, "sum")
	require.NoError(t, err)
	require.Equal(t, uint64(1+2+42+5), res[0])

	require.Equal(t, "vespo:fuel'", info.FuelExport, "the guest's own name stays")
	res, err = top(m, info, o, "vespo:fuel")
	require.NoError(t, err)
	require.Equal(t, uint64(1), res[0])
}

// TestGlobalsAreExported resets an instance through the names in Info.
func TestGlobalsAreExported(t *testing.T) {
	h, o := newTestHost(t), options()
	b := newModule()
	var add code
	types := []ValueType{I32, I64, F32, F64}
	for i, g := range []code{{opI32Const, 1}, {opI64Const, 2}, {opF32Const, 0, 0, 0x80, 0x3f}, {opF64Const, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f}} {
		b.global(types[i], true, g)
		add.globalGet(uint32(i))
		add.globalGet(uint32(i))
		add.op([]byte{opI32Add, opI64Add, 0x92, 0xa0}[i])
		add.globalSet(uint32(i))
	}
	b.global(I32, false, code{opI32Const, 3})
	b.export("double", b.function(signature("", ""), nil, add))
	m, info := h.load(t, b.bytes(), o)
	require.Len(t, info.MutableGlobals, 4)
	var before []uint64
	for _, g := range info.MutableGlobals {
		before = append(before, m.ExportedGlobal(g.ExportName).Get())
	}
	_, err := top(m, info, o, "double")
	require.NoError(t, err)
	for i, g := range info.MutableGlobals {
		global := m.ExportedGlobal(g.ExportName).(api.MutableGlobal)
		require.Equal(t, types[i], ValueType(global.Type()))
		require.NotEqual(t, before[i], global.Get())
		global.Set(before[i])
	}
	require.Nil(t, m.ExportedGlobal("vespo:global-4"))
}

func TestResettable(t *testing.T) {
	null := code{opRefNull, byte(FuncRef)}
	tests := []struct {
		name   string
		body   code
		global ValueType
		want   string
	}{
		{name: "nothing"},
		{name: "global.set", body: code{opI32Const, 1, opGlobalSet, 0}},
		{name: "memory.init", body: code{opI32Const, 0, opI32Const, 0, opI32Const, 0, prefixMisc, 8, 0, 0}},
		{name: "table.get", body: code{opI32Const, 0, opTableGet, 0, opDrop}},
		{name: "table.set", body: append(code{opI32Const, 0}, append(null, opTableSet, 0)...), want: "table.set"},
		{name: "table.grow", body: append(null[:2:2], opI32Const, 0, prefixMisc, 15, 0, opDrop), want: "table.grow"},
		{name: "table.fill", body: append(append(code{opI32Const, 0}, null...), opI32Const, 0, prefixMisc, 17, 0), want: "table.fill"},
		{name: "table.init", body: code{opI32Const, 0, opI32Const, 0, opI32Const, 0, prefixMisc, 12, 0, 0}, want: "table.init"},
		{name: "table.copy", body: code{opI32Const, 0, opI32Const, 0, opI32Const, 0, prefixMisc, 14, 0, 0}, want: "table.copy"},
		{name: "elem.drop", body: code{prefixMisc, 13, 0}, want: "elem.drop"},
		{name: "data.drop", body: code{prefixMisc, 9, 0}, want: "data.drop"},
		{name: "reference", body: append(null[:2:2], opGlobalSet, 1), want: "global.set of a funcref global"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newModule()
			b.memory = []byte{0, 1}
			b.tables = [][]byte{{byte(FuncRef), 0, 1}}
			b.elements = [][]byte{{1, 0, 0}} // passive, empty
			b.data = [][]byte{{1, 0}}
			b.global(I32, true, code{opI32Const, 0})
			b.global(FuncRef, true, null)
			b.function(signature("", ""), nil, test.body)
			b.custom = nameSection(map[uint32]string{0: "poke"})
			out, info, err := Rewrite(b.bytes(), options())
			require.NoError(t, err)
			newTestHost(t).instantiate(t, out)
			require.Equal(t, test.want == "", info.Resettable)
			if test.want != "" {
				require.Equal(t, "uses "+test.want+` in function 0 ("poke")`, info.FreshReason)
			}
		})
	}
}

// TestWritesMemory checks all opcodes. writes has those that change linear memory.
func TestWritesMemory(t *testing.T) {
	writes := map[uint16]bool{opMemoryGrow: true, opMemoryInit: true, opMemoryCopy: true, opMemoryFill: true, opV128Store: true}
	for op := uint16(0x36); op <= 0x3e; op++ { // i32.store to i64.store32
		writes[op] = true
	}
	for op := uint16(prefixSIMD<<8 | 88); op <= prefixSIMD<<8|91; op++ { // v128.store8_lane to v128.store64_lane
		writes[op] = true
	}
	for op := range 0xffff {
		require.Equal(t, writes[uint16(op)], changesMemory(uint16(op)), "%#x", op)
	}
	for body, want := range map[string]bool{
		"":                                 false,
		"\x41\x00\x2d\x00\x00\x1a":         false, // i32.load8_u
		"\x41\x00\x41\x01\x3a\x00\x00":     true,  // i32.store8
		"\x00\x41\x00\x41\x01\x3a\x00\x00": true,  // the same after unreachable
		"\x41\x00\x40\x00\x1a":             true,  // memory.grow
		"\x41\x00\x41\x00\x41\x00\xfc\x0a\x00\x00":         true, // memory.copy
		"\x02\x40\x0c\x00\x41\x00\x41\x01\x3a\x00\x00\x0b": true, // in a block, after a branch
	} {
		b := newModule()
		b.memory = []byte{0, 1}
		b.function(signature("", ""), nil, nil)
		b.function(signature("", ""), nil, code(body))
		_, info, err := Rewrite(b.bytes(), options())
		require.NoError(t, err, "%x", body)
		require.Equal(t, want, info.WritesMemory, "%x", body)
	}
}

func TestTablesGetAMaximum(t *testing.T) {
	grow := func(limits ...byte) (api.Module, error) {
		b := newModule()
		b.tables = [][]byte{append([]byte{byte(FuncRef)}, limits...)}
		b.export("grow", b.function(signature("i", "i"), nil,
			code{opRefNull, byte(FuncRef), opLocalGet, 0, prefixMisc, 15, 0}))
		o := options()
		o.MaxTableElements = 100
		out, _, err := Rewrite(b.bytes(), o)
		if err != nil {
			return nil, err
		}
		return newTestHost(t).instantiate(t, out), nil
	}
	for _, test := range []struct {
		limits []byte
		most   uint64
	}{{[]byte{0, 10}, 90}, {[]byte{1, 10, 20}, 10}, {[]byte{1, 10, 0xff, 0x7f}, 90}} {
		m, err := grow(test.limits...)
		require.NoError(t, err)
		res, err := call(m, "grow", test.most+1)
		require.NoError(t, err)
		require.Equal(t, int32(-1), int32(res[0]))
		res, err = call(m, "grow", test.most)
		require.NoError(t, err)
		require.Equal(t, uint64(10), res[0])
	}
	_, err := grow(0, 101)
	require.ErrorIs(t, err, ErrLimit)
	require.ErrorContains(t, err, "table 0 has 101 elements, at most 100 are accepted in all tables together")
}

// TestTablesShareTheirMaximum limits an instance's memory for tables, however many there are.
func TestTablesShareTheirMaximum(t *testing.T) {
	for _, test := range []struct {
		tables [][]byte // limits
		want   []uint32 // nil: refused
	}{
		{[][]byte{{0, 0}}, []uint32{100}},
		{[][]byte{{0, 10}, {0, 30}}, []uint32{40, 60}},
		{[][]byte{{1, 40, 40}, {0, 10}}, []uint32{40, 60}},
		{[][]byte{{1, 40, 41}, {0, 10}}, []uint32{41, 35}},
		{[][]byte{{0, 60}, {0, 40}}, []uint32{60, 40}},
		{[][]byte{{0, 60}, {0, 41}}, nil},
	} {
		b := newModule()
		for _, limits := range test.tables {
			b.tables = append(b.tables, append([]byte{byte(FuncRef)}, limits...))
		}
		m, err := decode(b.bytes())
		require.NoError(t, err)
		maxima, err := m.tableMaxima(100)
		require.Equal(t, test.want, maxima)
		if test.want == nil {
			require.ErrorIs(t, err, ErrLimit)
		}
	}
}

// TestFootprint refuses small modules whose instances are large.
func TestFootprint(t *testing.T) {
	for name, fill := range map[string]func(b *moduleBuilder){
		"globals": func(b *moduleBuilder) {
			for range maxFootprintBytes/globalFootprintBytes + 1 {
				b.global(I32, true, code{opI32Const, 0})
			}
		},
		"elements": func(b *moduleBuilder) {
			const n = maxFootprintBytes/elementFootprintBytes + 1
			b.elements = [][]byte{append(appendU32([]byte{1, 0}, n), make([]byte, n)...)}
		},
		"segments": func(b *moduleBuilder) {
			for range maxFootprintBytes/segmentFootprintBytes + 1 {
				b.data = append(b.data, []byte{1, 0})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newModule()
			b.memory = []byte{0, 1}
			b.export("f", b.function(signature("", ""), nil, nil))
			fill(b)
			_, _, err := Rewrite(b.bytes(), options())
			require.ErrorIs(t, err, ErrLimit)
			require.ErrorContains(t, err, "each instance would take")
		})
	}
}

func TestNamesAreKept(t *testing.T) {
	out, _, err := Rewrite(readModule(t, "depth.wasm"), options())
	require.NoError(t, err)
	m, err := decode(out)
	require.NoError(t, err)
	names := map[string]uint32{}
	for _, e := range m.funcNames {
		names[e.name] = e.function
	}
	require.Equal(t, uint32(0), names["call_back"])
	require.Equal(t, uint32(1), names["vespo.yield"])
	require.Equal(t, uint32(2), names["direct"])
	require.Contains(t, names, "vespo.overflow")

	h := newTestHost(t)
	h.back = func(_ context.Context, _ api.Module, _ uint32) uint32 { panic(errStopped) }
	_, err = call(h.instantiate(t, out), "host", 1)
	require.ErrorContains(t, err, "host")
}

// TestLongNamesAreCut keeps the text of a trap short: it has the names of many frames.
func TestLongNamesAreCut(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"short", "short"},
		{strings.Repeat("a", keptNameBytes+1), strings.Repeat("a", keptNameBytes)},
		{"a" + strings.Repeat("\u00e9", keptNameBytes), "a" + strings.Repeat("\u00e9", keptNameBytes/2-1)},
	} {
		b := newModule()
		b.function(signature("", ""), nil, nil)
		b.custom = nameSection(map[uint32]string{0: c.name})
		out, _, err := Rewrite(b.bytes(), options())
		require.NoError(t, err)
		m, err := decode(out)
		require.NoError(t, err)
		require.Equal(t, c.want, m.functionName(1), "behind the injected import")
	}
}

func TestMalformedNamesAreLeftOut(t *testing.T) {
	for _, payload := range []string{"\x01\x05\x01\x00\x02\xff\xfe", "\x01\x7f", "\x01\x03\x7f\x00\x00", "\x01\x06\x02\x01\x01a\x00\x01"} {
		b := newModule()
		b.function(signature("", ""), nil, nil)
		b.custom = appendSection(nil, sectionCustom, append(appendName(nil, "name"), payload...))
		out, _, err := Rewrite(b.bytes(), options())
		require.NoError(t, err)
		newTestHost(t).instantiate(t, out)
	}
}

func TestProducers(t *testing.T) {
	b := newModule()
	payload := appendName(nil, "producers")
	payload = appendName(append(payload, 2), "language")
	payload = appendName(appendName(append(payload, 1), "Go"), "go1.26.1")
	payload = appendName(payload, "processed-by")
	payload = appendName(appendName(append(payload, 1), "clang"), "")
	b.custom = appendSection(nil, sectionCustom, payload)
	info, err := Inspect(b.bytes())
	require.NoError(t, err)
	require.Equal(t, []string{"Go go1.26.1", "clang"}, info.Producers)
}

func TestRewriteIsDeterministic(t *testing.T) {
	for _, name := range []string{"spin.wasm", "depth.wasm", "bulk.wasm", "state.wasm"} {
		bin := readModule(t, name)
		keep := strings.Clone(string(bin))
		first, _, err := Rewrite(bin, options())
		require.NoError(t, err)
		second, _, err := Rewrite(bin, options())
		require.NoError(t, err)
		require.Equal(t, first, second)
		require.Equal(t, keep, string(bin), "the input is left alone")
	}
}

func TestYieldIsReserved(t *testing.T) {
	b := newModule()
	b.imports("vespo", "yield", yieldSignature)
	_, err := Inspect(b.bytes())
	require.NoError(t, err)
	_, _, err = Rewrite(b.bytes(), options())
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, `import "vespo"."yield" is reserved`)
}

// TestImportedMemoryLosesItsMaximum links a module to a
// memory that may grow beyond the module's declared maximum.
func TestImportedMemoryLosesItsMaximum(t *testing.T) {
	h, o := newTestHost(t), options()
	lib := newModule()
	lib.memory = []byte{0, 1}
	lib.exports = []export{{"memory", KindMemory, 0}}
	_, err := h.runtime.InstantiateWithConfig(t.Context(), lib.bytes(), wazero.NewModuleConfig().WithName("lib"))
	require.NoError(t, err)
	entry := append(appendName(appendName(nil, "lib"), "memory"), byte(KindMemory), 1, 1, 2)
	bin := sections(section(sectionImport, append([]byte{1}, entry...)...))
	m, info := h.load(t, bin, o)
	require.Equal(t, &Memory{MinPages: 1, MaxPages: 2, HasMax: true, Imported: true}, info.Memory)
	_, ok := m.Memory().Grow(5)
	require.True(t, ok)
}
