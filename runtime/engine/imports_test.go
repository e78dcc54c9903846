package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

func TestImportsAreRefusedAllAtOnce(t *testing.T) {
	table := make(hostTable)
	require.NoError(t, table.add(HostModule{Name: "wasi:http/types@0.2", Funcs: []HostFunc{{Name: "[method]fields.get"}}}))
	require.NoError(t, table.add(HostModule{Name: "host", Funcs: []HostFunc{{Name: "f", Params: []ValueType{I32}}, {Name: "g"}}}))
	function := func(module, name string, params ...rewrite.ValueType) rewrite.Import {
		return rewrite.Import{Module: module, Name: name, Kind: rewrite.KindFunction, Signature: rewrite.Signature{Params: params}}
	}
	for name, c := range map[string]struct {
		imports []rewrite.Import
		want    []string
	}{
		"none":  {nil, nil},
		"known": {[]rewrite.Import{function("host", "f", rewrite.I32), function("host", "g")}, nil},
		"by module, sorted, once": {
			[]rewrite.Import{function("x", "b"), function("host", "h"), function("x", "a"), function("host", "g"), function("x", "b"), function("x", "c")},
			[]string{`imports x.a, x.b and x.c: the host has no module "x"`, `imports host.h: the host's module "host" has no such function`},
		},
		"types and others first": {
			[]rewrite.Import{function("x", "a"), function("host", "g", rewrite.I64), {Module: "env", Name: "memory", Kind: rewrite.KindMemory}},
			[]string{"imports host.g as (i64) -> (), the host has it as () -> ()", "imports the memory env.memory: the host offers functions only", `imports x.a: the host has no module "x"`},
		},
		"interfaces": {
			[]rewrite.Import{function("wasi:nn/graph@0.2.0-rc", "load"), function("wasi:http/types@0.2.0-rc", "f"), function("wasi:http/types@0.2.6", "g"), function("wasi:http/types@0.2", "[method]fields.swap")},
			[]string{
				`imports wasi:nn/graph@0.2.0-rc#load: the host does not offer this interface: remove the call, or the library that makes it`,
				`imports wasi:http/types@0.2.0-rc#f: the host offers this interface in the version 0.2: build with that one`,
				`imports wasi:http/types@0.2.6#g: this is the core module of a component: make the component of it, as jco new or wasm-tools component new do, and add that`,
				`imports wasi:http/types@0.2#[method]fields.swap: the host's interface has no such function`,
			},
		},
		"what to do": {
			[]rewrite.Import{function("env", "a"), function("gojs", "b"), function("wbg", "c"), function("wasi_unstable", "d")},
			[]string{
				`imports env.a: the host has no module "env"; linkers import from it what the program calls and does not define: link the library that defines it, or remove the call`,
				`imports gojs.b: the host has no module "gojs"; it is for browsers: build with GOOS=wasip1`,
				`imports wbg.c: the host has no module "wbg"; it is for JavaScript: build without wasm-bindgen`,
				`imports wasi_unstable.d: the host has no module "wasi_unstable"; it is of WASI preview 0: build with a toolchain for preview 1`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, table.check(&rewrite.Info{Imports: c.imports})) })
	}
}

// A module can have many imports with long names. The texts for its owner stay short.
func TestRefusedImportsAreBounded(t *testing.T) {
	table := hostTable{"host": {"f": {}}}
	var imports []rewrite.Import
	for i := range 1000 {
		long := strings.Repeat("\u00e9", 10_000)
		imports = append(imports,
			rewrite.Import{Module: "many", Name: fmt.Sprintf("%d%s", i, long), Kind: rewrite.KindFunction},
			rewrite.Import{Module: fmt.Sprintf("%d%s", i, long), Name: long, Kind: rewrite.KindFunction},
			rewrite.Import{Module: "host", Name: "f", Kind: rewrite.KindFunction, Signature: rewrite.Signature{Params: []rewrite.ValueType{rewrite.I32}}},
			rewrite.Import{Module: long, Name: long, Kind: rewrite.KindGlobal},
		)
	}
	violations := table.check(&rewrite.Info{Imports: imports})
	require.Less(t, len(violations), 50)
	require.Less(t, len(strings.Join(violations, "")), 30_000)
	require.Contains(t, violations, "has 1980 more imports that the host does not offer")
	require.Contains(t, violations, "imports from 981 more modules that the host does not have")
	require.Contains(t, strings.Join(violations, "\n"), " and 980 more: ")
}
