package component

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// entries returns entries with their number.
func entries(all ...[]byte) []byte {
	return join(appendU32(nil, uint32(len(all))), bytes.Join(all, nil))
}

// join returns bytes, numbers of one byte, and names.
func join(parts ...any) (out []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = append(out, byte(p))
		case string:
			out = appendName(out, p)
		case []byte:
			out = append(out, p...)
		}
	}
	return out
}

// programModule returns a core module that imports a.name n times. It has a function of its own, which calls the first import that
// often, and exports it under these names, or starts with it if there are none.
func programModule(imports int, name string, calls int, exports ...string) []byte {
	own := appendU32(nil, uint32(imports))
	var exported [][]byte
	for _, name := range exports {
		exported = append(exported, join(name, coreSortFunc, own))
	}
	outside := section(coreSectionExport, entries(exported...)...)
	if len(exports) == 0 {
		outside = section(coreSectionStart, own...)
	}
	body := join(0, bytes.Repeat([]byte{0x10, 0x00}, calls), 0x0b)
	return join(corePreamble,
		section(coreSectionType, vector(1, 0x60, 0, 0)...),
		section(coreSectionImport, vector(imports, join("a", name, coreSortFunc, 0)...)...),
		section(coreSectionFunction, vector(1, 0)...),
		outside,
		section(coreSectionCode, entries(join(appendU32(nil, uint32(len(body))), body))...))
}

// aliasOf returns a section with a function of a core instance.
func aliasOf(instance int, name string) []byte {
	return section(sectionAlias, entries(join(sortCore, coreSortFunc, 1, instance, name))...)
}

// lifted returns the sections that lift a core function as the handler, with the numbers of what there is before.
func lifted(core, types, funcs, instances int) []byte {
	return join(
		section(sectionType, vector(1, FormFunc, 0, 1, 0)...),
		section(sectionCanon, vector(1, canonLift, 0, byte(core), 0, byte(types))...),
		section(sectionInstance, entries(join(1, 1, 0, "handle", sortFunc, funcs))...),
		section(sectionExport, entries(join(0, "wasi:http/incoming-handler@0.2.0", sortInstance, instances, 0))...))
}

// manyImports returns the sections of a guest that imports core function 0 many times, without a handler.
func manyImports() []byte {
	return join(
		section(sectionCoreModule, programModule(many, "b", 0, "f")...),
		section(sectionCoreInstance, entries(
			join(1, 1, "b", coreSortFunc, 0),
			join(0, 0, 1, "a", coreSortInstance, 0),
		)...),
		aliasOf(1, "f"))
}

// numbered returns n names that begin alike.
func numbered(prefix string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%s%d", prefix, i))
	}
	return names
}

const many = 30_000

// bombs returns components whose parts refer to each other many times.
func bombs() map[string][]byte {
	long := strings.Repeat("n", maxNameBytes)
	var exports, fields [][]byte
	for _, name := range numbered("e", many) {
		exports = append(exports, join(0, name, sortInstance, 0, 0))
	}
	for range 400 {
		fields = append(fields, join(long, 0x7f))
	}
	started := bytes.Repeat(join(0, 1, 1, "a", coreSortInstance, 0), maxCoreInstances-1)
	return map[string][]byte{
		"an instance of many functions has many names": binary(
			section(sectionCoreModule, programModule(0, "", 0, "f")...),
			section(sectionCoreInstance, vector(1, 0, 0, 0)...),
			aliasOf(0, "f"),
			section(sectionType, vector(1, FormFunc, 0, 1, 0)...),
			section(sectionCanon, vector(1, canonLift, 0, 0, 0, 0)...),
			section(sectionInstance, entries(join(1, vector(many, join(0, "handle", sortFunc, 0)...)))...),
			section(sectionExport, entries(exports...)...)),
		"a module that calls often when it starts has many instances": binary(
			section(sectionCoreModule, programModule(0, "", 0, "f", "b")...),
			section(sectionCoreModule, programModule(1, "b", maxShimBytes/2-100)...),
			section(sectionCoreInstance, join(appendU32(nil, maxCoreInstances), 0, 0, 0, started)...),
			aliasOf(0, "f"),
			lifted(0, 0, 0, 0)),
		"a function with a long name is imported many times": binary(
			section(sectionType, entries(join(FormInstance, 2, 1, FormFunc, 0, 1, 0, 4, 0, long, sortFunc, 0))...),
			section(sectionImport, entries(join(0, long, sortInstance, 0))...),
			section(sectionAlias, entries(join(sortFunc, 0, 0, long))...),
			section(sectionCanon, vector(1, canonLower, 0, 0, 0)...),
			manyImports(),
			lifted(1, 1, 1, 1)),
		"a built-in for a long type is imported many times": binary(
			section(sectionType, entries(join(FormRecord, entries(fields...)), join(FormStream, 1, 0))...),
			section(sectionCanon, vector(1, canonStreamNew, 1)...),
			manyImports(),
			lifted(1, 2, 0, 0)),
		"functions of a large adapter are imported many times": binary(
			section(sectionCoreModule, programModule(0, "", 0, numbered("fd_", many)...)...),
			section(sectionCoreModule, programModule(many, "fd_1", 0, "f")...),
			section(sectionCoreInstance, entries(join(0, 0, 0), join(0, 1, 1, "a", coreSortInstance, 0))...),
			aliasOf(1, "f"),
			lifted(0, 0, 0, 0)),
	}
}

// Such components cost no more than a large honest one. Only the last one is served.
func TestBombs(t *testing.T) {
	for name, bin := range bombs() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Decode(bin)
			runtime.ReadMemStats(&after)
			if strings.Contains(name, "adapter") {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100<<20))
		})
	}
}
