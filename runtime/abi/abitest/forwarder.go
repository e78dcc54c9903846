package abitest

import (
	"encoding/binary"
	"strings"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// Section numbers and other bytes of the binary format (WebAssembly core specification, chapter 5).
const (
	sectionType   = 1
	sectionImport = 2
	sectionFunc   = 3
	sectionMemory = 5
	sectionExport = 7
	sectionCode   = 10

	formFunc     = 0x60
	kindFunc     = 0x00
	kindMemory   = 0x02
	opLocalGet   = 0x20
	opCall       = 0x10
	opEnd        = 0x0b
	opI32Const   = 0x41
	memoryPages  = 2
	memoryHasMax = 0x01
)

// allocator is the export by which the host allocates memory of a component.
const allocator = "cabi_realloc"

// allocated is the address of all memory that the guest allocates, 0x8000, as a signed number.
var allocated = []byte{0x80, 0x80, 0x02}

// Qualified returns the name of a host function in a Bench: its own, or that of the component model's interfaces with
// the interface in front, such as "wasi:clocks/wall-clock@0.2#now".
func Qualified(module, function string) string {
	if strings.Contains(module, ":") {
		return module + "#" + function
	}
	return function
}

// forwarder builds a module that imports all functions of the host
// modules. For each it exports a function of the same type that calls it.
func forwarder(hosts []engine.HostModule) (module []byte, functions []engine.HostFunc) {
	var types, imports, funcs, exports, bodies [][]byte
	for _, h := range hosts {
		for _, f := range h.Funcs {
			index := len(types)
			qualified := f
			qualified.Name = Qualified(h.Name, f.Name)
			functions = append(functions, qualified)
			types = append(types, join([]byte{formFunc}, text(string(f.Params)), text(string(f.Results))))
			imports = append(imports, join(text(h.Name), text(f.Name), []byte{kindFunc}, number(index)))
		}
	}
	for i, f := range functions {
		funcs = append(funcs, number(i))
		exports = append(exports, join(text(f.Name), []byte{kindFunc}, number(len(functions)+i)))
		code := []byte{0} // no locals
		for p := range f.Params {
			code = join(code, []byte{opLocalGet}, number(p))
		}
		bodies = append(bodies, text(string(join(code, []byte{opCall}, number(i), []byte{opEnd}))))
	}
	i32 := string([]byte{engine.I32})
	funcs = append(funcs, number(len(types)))
	exports = append(exports, join(text(allocator), []byte{kindFunc}, number(2*len(functions))), join(text("memory"), []byte{kindMemory, 0}))
	types = append(types, join([]byte{formFunc}, text(strings.Repeat(i32, 4)), text(i32)))
	bodies = append(bodies, text(string(join([]byte{0, opI32Const}, allocated, []byte{opEnd}))))
	memory := []byte{memoryHasMax, memoryPages, memoryPages}
	module = join([]byte("\x00asm\x01\x00\x00\x00"), section(sectionType, types...), section(sectionImport, imports...),
		section(sectionFunc, funcs...), section(sectionMemory, memory), section(sectionExport, exports...), section(sectionCode, bodies...))
	return module, functions
}

func section(id byte, entries ...[]byte) []byte {
	return join([]byte{id}, text(string(join(number(len(entries)), join(entries...)))))
}

// text encodes a vector of bytes: its length, then the bytes. It encodes names and lists of types.
func text(s string) []byte { return append(number(len(s)), s...) }

func number(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
