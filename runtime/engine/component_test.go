package engine

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/internal/component"
)

func componentFile(tb testing.TB, name string) []byte {
	tb.Helper()
	bin, err := os.ReadFile("../internal/component/testdata/" + name + ".wasm")
	require.NoError(tb, err)
	return bin
}

// A component runs as its core module, with the host's functions under their canonical names, and is reset like one.
func TestComponentRuns(t *testing.T) {
	var calls []string
	function := func(name string, params, results []ValueType) HostFunc {
		run := func(_ *Instance, stack []uint64) {
			calls = append(calls, name)
			if len(results) > 0 {
				stack[0] = 7
			}
		}
		return HostFunc{
			Name:    name,
			Params:  params,
			Results: results,
			Call:    run,
		}
	}
	e := open(t, Config{HostModules: []HostModule{
		{
			Name: "local:app/types@0.2.5",
			Funcs: []HostFunc{
				function("[constructor]fields", nil, []ValueType{I32}),
				function("[method]fields.text", []ValueType{I32, I32}, nil),
				function("[resource-drop]fields", []ValueType{I32}, nil),
			},
		},
		{Name: "wasi_snapshot_preview1", Funcs: []HostFunc{function("fd_write", []ValueType{I32, I32, I32, I32}, []ValueType{I32})}},
	}})
	d, err := e.Decode(componentFile(t, "accepted/http"))
	require.NoError(t, err)
	require.True(t, d.Info().Component)
	require.Equal(t, []string{"wasi:http/incoming-handler@0.2.5"}, d.World().Exports)
	m, err := e.Compile(context.Background(), d, ModuleOptions{
		Init:    []string{"_initialize"},
		Entries: []string{"wasi:http/incoming-handler@0.2#handle"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close(context.Background())) })
	require.True(t, m.Info().Component)
	in := prepare(t, m)
	fresh, _ := m.Fresh()
	require.False(t, fresh)
	for range 2 {
		calls = nil
		require.EqualValues(t, 32, call(t, in, 0, 0))
		require.Equal(t, []string{"[constructor]fields", "[method]fields.text", "[resource-drop]fields", "fd_write", "fd_write"}, calls)
		_, err := in.Reset()
		require.NoError(t, err)
	}
}

func TestComponentsAreRefused(t *testing.T) {
	for name, want := range map[string]string{
		"refused/command":  "is refused: unsupported WebAssembly component: the component is a command",
		"refused/memories": "is refused: unsupported WebAssembly component: programs of several core modules, such as dynamic libraries: ",
	} {
		_, err := Decode(componentFile(t, name))
		var invalid *ModuleError
		require.ErrorAs(t, err, &invalid)
		require.ErrorIs(t, err, component.ErrUnsupported)
		require.ErrorContains(t, err, want)
	}
	bin := componentFile(t, "accepted/http")
	_, err := Decode(bin[:len(bin)/2])
	require.ErrorIs(t, err, component.ErrTruncated)
	d, err := Decode(bin)
	require.NoError(t, err)
	require.Contains(t, open(t, Config{}).CheckImports(d.Info()),
		`imports local:app/types@0.2.5#[constructor]fields, local:app/types@0.2.5#[method]fields.text and local:app/types@0.2.5#[resource-drop]fields: `+
			`the host does not offer this interface: remove the call, or the library that makes it`)
}
