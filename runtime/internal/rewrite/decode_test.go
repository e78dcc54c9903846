package rewrite

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPreamble(t *testing.T) {
	for in, want := range map[string]error{
		"":                                 ErrNotWasm,
		"\x00":                             ErrTruncated,
		"\x00as":                           ErrTruncated,
		"\x00asm":                          ErrTruncated,
		"\x00asm\x01\x00\x00":              ErrTruncated,
		"\x7fELF\x02\x01\x01\x00":          ErrNotWasm,
		"(module)":                         ErrNotWasm,
		"\x00asm\x02\x00\x00\x00":          ErrNotWasm,
		"\x00asm\x0d\x00\x01\x00":          ErrComponent,
		"\x00asm\x0d\x00\x01\x00 whatever": ErrComponent,
	} {
		_, err := Inspect([]byte(in))
		require.ErrorIs(t, err, want, "%q", in)
		_, _, err = Rewrite([]byte(in), options())
		require.ErrorIs(t, err, want, "%q", in)
	}
	_, err := Inspect(preambleModule)
	require.NoError(t, err)
}

// sections builds a module of raw sections.
func sections(parts ...[]byte) []byte {
	return append(bytes.Clone(preambleModule), bytes.Join(parts, nil)...)
}

func section(id sectionID, payload ...byte) []byte { return appendSection(nil, id, payload) }

func TestSections(t *testing.T) {
	typ := section(sectionType, 1, 0x60, 0, 0)
	fn := section(sectionFunction, 1, 0)
	code := section(sectionCode, 1, 2, 0, opEnd)
	mem := section(sectionMemory, 1, 0, 1)
	tests := []struct {
		name string
		bin  []byte
		kind error
		text string
	}{
		{"id without size", sections([]byte{1}), ErrTruncated, "byte is missing"},
		{"size beyond the end", sections([]byte{1, 5, 0}), ErrTruncated, "5 bytes announced, 1 left"},
		{"size of six bytes", sections([]byte{1, 0x80, 0x80, 0x80, 0x80, 0x80, 0}), ErrInvalid, "longer than 32 bits"},
		{"size of 36 bits", sections([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x7f}), ErrInvalid, "longer than 32 bits"},
		{"bytes left over", sections(section(sectionType, 0, 0)), ErrInvalid, "type section has 1 bytes too many"},
		{"custom without a name", sections(section(sectionCustom)), ErrTruncated, "byte is missing"},
		{"custom with a bad name", sections(section(sectionCustom, 1, 0xff)), ErrInvalid, "section name is not UTF-8"},
		{"twice", sections(typ, typ), ErrInvalid, "second type section"},
		{"out of order", sections(mem, typ), ErrInvalid, "type section is out of order"},
		{"data count after code", sections(typ, fn, code, section(sectionDataCount, 0)), ErrInvalid, "data count section is out of order"},
		{"unknown", sections(section(14)), ErrInvalid, "unknown section 14"},
		{"tags", sections(section(sectionTag, 0)), ErrUnsupported, "exception handling: tag section (at offset 0x8); build C++ with -fno-exceptions"},
		{"no code", sections(typ, fn), ErrInvalid, "1 functions without a code section"},
		{"no functions", sections(code), ErrInvalid, "1 function bodies, 0 functions"},
		{"no data", sections(section(sectionDataCount, 1)), ErrInvalid, "1 data segments announced, none follow"},
		{"other data", sections(mem, section(sectionDataCount, 2), section(sectionData, 1, 1, 0)), ErrInvalid, "1 data segments, 2 announced"},
		{"huge count", sections(section(sectionType, 0xff, 0xff, 0xff, 0xff, 0x0f)), ErrTruncated, "4294967295 types announced"},
		{"struct type", sections(section(sectionType, 1, 0x5f, 0)), ErrUnsupported, "garbage collected"},
		{"unknown type form", sections(section(sectionType, 1, 0x40, 0)), ErrInvalid, "not a function type"},
		{"reference parameter", sections(section(sectionType, 1, 0x60, 1, 0x63, 0x70, 0)), ErrUnsupported, "typed function references"},
		{"exception parameter", sections(section(sectionType, 1, 0x60, 1, 0x69, 0)), ErrUnsupported, "exception handling"},
		{"unknown parameter", sections(section(sectionType, 1, 0x60, 1, 0x20, 0)), ErrInvalid, "unknown value type 0x20"},
		{"type of a function", sections(typ, section(sectionFunction, 1, 1)), ErrInvalid, "type 1 does not exist, there are 1"},
		{"type of an import", sections(section(sectionImport, 1, 0, 0, 0, 0)), ErrInvalid, "type 0 does not exist"},
		{"import of a tag", sections(section(sectionImport, 1, 1, 'm', 1, 'n', 4, 0, 0)), ErrUnsupported, `imported tag "m"."n"`},
		{"import of what", sections(section(sectionImport, 1, 1, 'm', 1, 'n', 9, 0)), ErrInvalid, "unknown kind 9"},
		{"name not UTF-8", sections(section(sectionImport, 1, 1, 0xff, 0, 0, 0)), ErrInvalid, "import module is not UTF-8"},
		{"memory64", sections(section(sectionMemory, 1, 4, 1)), ErrUnsupported, "64-bit memories"},
		{"page size", sections(section(sectionMemory, 1, 8, 1, 0)), ErrUnsupported, "custom page sizes"},
		{"limits", sections(section(sectionMemory, 1, 0x20, 1)), ErrInvalid, "unknown form of limits"},
		{"two memories", sections(section(sectionMemory, 2, 0, 1, 0, 1)), ErrUnsupported, "more than one memory"},
		{"too much memory", sections(section(sectionMemory, 1, 0, 0x81, 0x80, 4)), ErrInvalid, "memory of more than 65536 pages"},
		{"minimum above maximum", sections(section(sectionMemory, 1, 1, 2, 1)), ErrInvalid, "minimum 2 is larger than maximum 1"},
		{"shared table", sections(section(sectionTable, 1, 0x70, 3, 1, 1)), ErrUnsupported, "threads"},
		{"table of numbers", sections(section(sectionTable, 1, 0x7f, 0, 1)), ErrInvalid, "i32 is not a reference type"},
		{"table with a value", sections(section(sectionTable, 1, 0x40, 0, 0x70, 0, 1, opRefNull, 0x70, opEnd)), ErrUnsupported, "initial value"},
		{"mutability", sections(section(sectionGlobal, 1, 0x7f, 4, opI32Const, 0, opEnd)), ErrInvalid, "mutability of a global is 4"},
		{"shared global", sections(section(sectionGlobal, 1, 0x7f, 2, opI32Const, 0, opEnd)), ErrUnsupported, "threads"},
		{"global of itself", sections(section(sectionGlobal, 1, 0x7f, 0, opGlobalGet, 0, opEnd)), ErrInvalid, "global 0 does not exist here"},
		{"function in a global", sections(section(sectionGlobal, 1, 0x70, 0, opRefFunc, 0, opEnd)), ErrInvalid, "function 0 does not exist"},
		{"not constant", sections(section(sectionGlobal, 1, 0x7f, 0, opMemorySize, 0, opEnd)), ErrInvalid, "not constant"},
		{"export of nothing", sections(section(sectionExport, 1, 1, 'a', 0, 0)), ErrInvalid, `export "a" names func 0, there are 0`},
		{"exports of one name", sections(mem, section(sectionExport, 2, 1, 'a', 2, 0, 1, 'a', 2, 0)), ErrInvalid, `second export of the name "a"`},
		{"start", sections(section(sectionStart, 0)), ErrInvalid, "function 0 does not exist"},
		{"start with parameters", sections(section(sectionType, 1, 0x60, 1, 0x7f, 0), fn, section(sectionStart, 0), code), ErrInvalid, "start function 0 has the signature (i32) -> ()"},
		{"element of nothing", sections(section(sectionTable, 1, 0x70, 0, 1), section(sectionElement, 1, 0, opI32Const, 0, opEnd, 1, 0)), ErrInvalid, "function 0 does not exist"},
		{"element without table", sections(section(sectionElement, 1, 0, opI32Const, 0, opEnd, 0)), ErrInvalid, "table 0, there are 0"},
		{"element form", sections(section(sectionElement, 1, 8)), ErrInvalid, "unknown form 8 of an element segment"},
		{"data without memory", sections(section(sectionData, 1, 0, opI32Const, 0, opEnd, 0)), ErrInvalid, "there is none"},
		{"data for memory 1", sections(mem, section(sectionData, 1, 2, 1, opI32Const, 0, opEnd, 0)), ErrUnsupported, "more than one memory"},
		{"data at a function", sections(typ, fn, mem, code, section(sectionData, 1, 0, opRefFunc, 0, opEnd, 0)), ErrInvalid, "not an integer"},
		{"data form", sections(mem, section(sectionData, 1, 3)), ErrInvalid, "unknown form 3 of a data segment"},
		{"many locals", sections(typ, fn, section(sectionCode, 1, 6, 1, 0xd1, 0x86, 3, 0x7f, opEnd)), ErrLimit, "more than 50000 local variables"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Inspect(test.bin)
			require.ErrorIs(t, err, test.kind)
			require.ErrorContains(t, err, test.text)
			require.ErrorContains(t, err, "at offset 0x")
		})
	}
}

// TestInstructions tests functions with bodies that must be refused. The module has a type,
// a function, an imported function, a local variable, a parameter, a global, a table, a
// memory and one segment of each kind. Any other index would refer to an injected item.
func TestInstructions(t *testing.T) {
	tests := []struct {
		name string
		body code
		kind error
		text string
	}{
		{"fine", code{opNop}, nil, ""},
		{"call", code{opCall, 2}, ErrInvalid, "call of function 2, there are 2"},
		{"tail call", code{opReturnCall, 2}, ErrInvalid, "call of function 2"},
		{"function reference", code{opRefFunc, 2, opDrop}, ErrInvalid, "function 2 does not exist"},
		{"undeclared reference", code{opRefFunc, 1, opDrop}, ErrInvalid, "reference to function 1, which is neither exported"},
		{"padded call", code{opCall, 0x82, 0x80, 0x80, 0x80, 0}, ErrInvalid, "call of function 2"},
		{"global read", code{opGlobalGet, 1, opDrop}, ErrInvalid, "global 1 does not exist"},
		{"global write", code{opI64Const, 0, opGlobalSet, 1}, ErrInvalid, "global 1 does not exist"},
		{"local read", code{opLocalGet, 2, opDrop}, ErrInvalid, "local variable 2 does not exist"},
		{"local write", code{opI64Const, 0, opLocalSet, 2}, ErrInvalid, "local variable 2 does not exist"},
		{"local tee", code{opI64Const, 0, opLocalTee, 2, opDrop}, ErrInvalid, "local variable 2 does not exist"},
		{"block type", code{opBlock, 2, opEnd}, ErrInvalid, "block of type 2, there are 2"},
		{"padded block type", code{opBlock, 0xc0, 0x7f, opEnd}, ErrInvalid, "block type is padded"},
		{"unknown block type", code{opBlock, 0x60, opEnd}, ErrInvalid, "unknown value type"},
		{"indirect call type", code{opI32Const, 0, opCallIndirect, 2, 0}, ErrInvalid, "type 2 does not exist"},
		{"indirect call table", code{opI32Const, 0, opCallIndirect, 0, 1}, ErrInvalid, "table 1 does not exist"},
		{"branch", code{opBlock, emptyBlock, opBr, 2, opEnd}, ErrInvalid, "branch to label 2, there are 2"},
		{"branch in a loop", code{opLoop, emptyBlock, opBr, 2, opEnd}, ErrInvalid, "branch to label 2, there are 2"},
		{"branch table", code{opI32Const, 0, opBrTable, 1, 0, 1}, ErrInvalid, "branch to label 1, there are 1"},
		{"huge branch table", code{opI32Const, 0, opBrTable, 0xff, 0xff, 0xff, 0xff, 0x0f}, ErrTruncated, "branch targets announced"},
		{"table", code{opI32Const, 0, opTableGet, 1, opDrop}, ErrInvalid, "table 1 does not exist"},
		{"table copy", code{prefixMisc, 14, 0, 1}, ErrInvalid, "table 1 does not exist"},
		{"data segment", code{prefixMisc, 9, 1}, ErrInvalid, "data segment 1 does not exist"},
		{"memory init", code{prefixMisc, 8, 1, 0}, ErrInvalid, "data segment 1 does not exist"},
		{"element segment", code{prefixMisc, 13, 1}, ErrInvalid, "element segment 1 does not exist"},
		{"else", code{opBlock, emptyBlock, opElse, opEnd}, ErrInvalid, "else without if"},
		{"second else", code{opI32Const, 0, opIf, emptyBlock, opElse, opElse, opEnd}, ErrInvalid, "else without if"},
		{"open block", code{opBlock, emptyBlock}, ErrTruncated, "byte is missing"},
		{"closed function", code{opEnd, opNop}, ErrInvalid, "2 bytes after the end of a function"},
		{"unknown", code{0x27}, ErrInvalid, "unknown instruction 0x27"},
		{"unknown misc", code{prefixMisc, 18}, ErrInvalid, "unknown instruction 0xfc 0x12"},
		{"unknown SIMD", code{prefixSIMD, 0x9a, 1}, ErrInvalid, "unknown instruction 0xfd 0x9a"},
		{"padded misc", code{prefixMisc, 0x89, 0x80, 0, 0}, nil, ""},
		{"padded SIMD", code{prefixSIMD, 0x8c, 0}, ErrInvalid, "instruction number is padded"},
		{"padded SIMD again", code{prefixSIMD, 0x8c, 0x81, 0}, ErrInvalid, "instruction number is padded"},
		{"relaxed SIMD", code{prefixSIMD, 0x80, 2}, ErrUnsupported, "relaxed SIMD"},
		{"atomics", code{0xfe, 3, 0}, ErrUnsupported, "threads"},
		{"try", code{0x06, emptyBlock, opEnd}, ErrUnsupported, "exception handling"},
		{"throw", code{0x08, 0}, ErrUnsupported, "exception handling"},
		{"try_table", code{0x1f, emptyBlock, 0, opEnd}, ErrUnsupported, "exception handling"},
		{"call_ref", code{0x14, 0}, ErrUnsupported, "typed function references"},
		{"gc", code{0xfb, 0}, ErrUnsupported, "garbage collected"},
		{"memory 1", code{opI32Const, 0, 0x28, 0x42, 1, 0, opDrop}, ErrUnsupported, "more than one memory"},
		{"memory.size 1", code{opMemorySize, 1, opDrop}, ErrUnsupported, "more than one memory"},
		{"memory.size padded", code{opMemorySize, 0x80, 0, opDrop}, ErrUnsupported, "more than one memory"},
		{"memory.fill padded", code{prefixMisc, 11, 0x80, 0}, ErrUnsupported, "more than one memory"},
		{"alignment", code{opI32Const, 0, 0x28, 5, 0, opDrop}, ErrInvalid, "alignment 2^5"},
		{"select", code{opI32Const, 0, opI32Const, 0, opI32Const, 0, opSelectTyped, 2, 0x7f, 0x7f, opDrop}, ErrInvalid, "exactly one type"},
		{"null of a number", code{opRefNull, 0x7f, opDrop}, ErrInvalid, "not a reference type"},
		{"short constant", code{opF64Const, 0, 0}, ErrTruncated, "8 bytes announced"},
		{"long constant", code{opI32Const, 0x80, 0x80, 0x80, 0x80, 0x10, opDrop}, ErrInvalid, "longer than 32 bits"},
		{"longer constant", code{opI64Const, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2, opDrop}, ErrInvalid, "longer than 64 bits"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newModule()
			b.imports("m", "f", signature("i", ""))
			b.function(signature("", ""), []localGroup{{1, I32}, {1, I64}}, test.body)
			b.global(I32, true, code{opI32Const, 0})
			b.tables = [][]byte{{byte(FuncRef), 0, 1}}
			b.memory = []byte{0, 1}
			b.elements = [][]byte{{1, 0, 0}}
			b.data = [][]byte{{1, 0}}
			_, err := Inspect(b.bytes())
			if test.kind == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, test.kind)
			require.ErrorContains(t, err, test.text)
		})
	}
}

func TestSharedMemory(t *testing.T) {
	bin := sections(section(sectionMemory, 1, 3, 1, 2))
	info, err := Inspect(bin)
	require.NoError(t, err)
	require.True(t, info.Memory.Shared)
	require.Equal(t, "has a shared memory", info.FreshReason)
	_, _, err = Rewrite(bin, options())
	require.ErrorIs(t, err, ErrUnsupported)
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "threads and atomic instructions", e.Feature)
}

func TestLEB(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, 1 << 20, -1 << 20, 1<<31 - 1, -1 << 31, 1<<32 - 1, 1<<62 + 5, 1<<63 - 1, -1 << 63} {
		b := appendSigned(nil, v)
		r := &reader{bin: b, end: len(b)}
		require.Equal(t, v, r.signed(64))
		require.NoError(t, r.err)
		require.Zero(t, r.remaining())
		r = &reader{bin: b, end: len(b)}
		got := r.signed(32)
		if v >= -1<<31 && v < 1<<31 {
			require.Equal(t, v, got)
		} else {
			require.ErrorIs(t, r.err, ErrInvalid)
		}
	}
	for _, v := range []uint32{0, 127, 128, 1<<32 - 1} {
		b := appendU32(nil, v)
		r := &reader{bin: b, end: len(b)}
		require.Equal(t, v, r.u32())
		require.NoError(t, r.err)
	}
}

// TestTruncations cuts real modules at every offset. Each must return
// an error without a panic, unless the cut falls between two sections.
func TestTruncations(t *testing.T) {
	for _, name := range []string{"spin.wasm", "depth.wasm", "state.wasm"} {
		bin := readModule(t, name)
		whole := 0
		for n := range bin {
			if _, _, err := Rewrite(bin[:n:n], options()); err == nil {
				whole++
			}
		}
		require.Less(t, whole, 16)
	}
}

// TestHostileSizes limits the memory that the decoder allocates for small inputs.
func TestHostileSizes(t *testing.T) {
	fill := func(id sectionID, entry []byte, n int) []byte {
		return sections(section(id, append(appendU32(nil, uint32(n)), bytes.Repeat(entry, n)...)...))
	}
	for name, bin := range map[string][]byte{
		"types":    fill(sectionType, []byte{0x60, 0, 0}, 300_000),
		"zeros":    sections(section(sectionType, append([]byte{0xa0, 0xc2, 0x1e}, make([]byte, 500_000)...)...)),
		"exports":  fill(sectionExport, []byte{0, 2, 0}, 300_000),
		"elements": fill(sectionElement, []byte{1, 0, 0}, 300_000),
		"globals":  fill(sectionGlobal, []byte{0x7f, 0, opI32Const, 0, opEnd}, 200_000),
		"tables":   fill(sectionTable, []byte{0x70, 0, 0}, 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := Rewrite(bin, options())
			runtime.ReadMemStats(&after)
			t.Log(err)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(160*len(bin)))
		})
	}
}
