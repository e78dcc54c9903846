package fuse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// linked is a module for tests: its imports are of modules before it, by name, or of the host.
type linked struct {
	name string
	bin  []byte
}

// exportsOf returns the exports of a module: sort and index by name.
func exportsOf(tb testing.TB, bin []byte) map[string]Export {
	tb.Helper()
	m, err := read(&Module{Bin: bin})
	require.NoError(tb, err)
	exports := make(map[string]Export)
	require.NoError(tb, m.part(sectionExport, func(r *reader) {
		for range r.count("exports") {
			e := Export{Name: r.name(), Sort: r.byte(), Index: r.u32()}
			exports[e.Name] = e
		}
	}))
	return exports
}

// fuse merges modules, and exports all functions and the memory as "module.name".
func fuse(tb testing.TB, modules []linked) ([]byte, error) {
	tb.Helper()
	inputs := make([]Module, len(modules))
	number := make(map[string]int)
	var exports []Export
	all := make([]map[string]Export, len(modules))
	for i, m := range modules {
		all[i] = exportsOf(tb, m.bin)
		read, err := read(&Module{Bin: m.bin})
		require.NoError(tb, err)
		source := func(n int) (Source, error) {
			im := read.imports[n]
			at, ok := number[im.module]
			if !ok {
				return Source{Kind: FromHost, Host: im.module, Member: im.name}, nil
			}
			return Source{Module: at, Index: all[at][im.name].Index}, nil
		}
		inputs[i] = Module{Name: m.name, Bin: m.bin, Source: source}
		number[m.name] = i
		for _, name := range sorted(all[i]) {
			if e := all[i][name]; e.Sort == sortFunction || e.Sort == sortMemory || e.Sort == sortGlobal {
				e.Name, e.Module = m.name+"."+name, i
				exports = append(exports, e)
			}
		}
	}
	return Fuse(inputs, func() []Export { return exports })
}

func sorted(exports map[string]Export) (names []string) {
	for name := range exports {
		names = append(names, name)
	}
	for i := range names {
		for j := range i {
			if names[i] < names[j] {
				names[i], names[j] = names[j], names[i]
			}
		}
	}
	return names
}

// world is a program that runs, as separate modules or as one.
type world struct {
	calls  []string // of the host
	memory api.Memory
	call   func(module, name string, args ...uint64) ([]uint64, error)
}

func host(tb testing.TB, w *world) wazero.Runtime {
	tb.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	tb.Cleanup(func() { require.NoError(tb, r.Close(ctx)) })
	_, err := r.NewHostModuleBuilder("host").NewFunctionBuilder().WithFunc(func(v uint32) uint32 {
		w.calls = append(w.calls, fmt.Sprint(v))
		return v + 1
	}).Export("f").Instantiate(ctx)
	require.NoError(tb, err)
	return r
}

// separately runs each module by itself.
func separately(tb testing.TB, modules []linked) (*world, error) {
	tb.Helper()
	w := &world{}
	ctx, r := context.Background(), host(tb, w)
	instances := make(map[string]api.Module)
	for _, m := range modules {
		in, err := r.InstantiateWithConfig(ctx, m.bin, wazero.NewModuleConfig().WithName(m.name).WithStartFunctions())
		if err != nil {
			return nil, err
		}
		instances[m.name] = in
		if w.memory == nil {
			w.memory = in.ExportedMemory("memory")
		}
	}
	w.call = func(module, name string, args ...uint64) ([]uint64, error) {
		return instances[module].ExportedFunction(name).Call(ctx, args...)
	}
	return w, nil
}

// together runs the fused module.
func together(tb testing.TB, modules []linked) (*world, error) {
	tb.Helper()
	bin, err := fuse(tb, modules)
	if err != nil {
		return nil, err
	}
	w := &world{}
	ctx, r := context.Background(), host(tb, w)
	in, err := r.InstantiateWithConfig(ctx, bin, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		return nil, err
	}
	w.memory = in.Memory()
	w.call = func(module, name string, args ...uint64) ([]uint64, error) {
		return in.ExportedFunction(module+"."+name).Call(ctx, args...)
	}
	return w, nil
}

// compare runs modules in both ways and compares memory, host calls and the results of functions.
// It reports whether the program can be instantiated.
func compare(t *testing.T, modules []linked, calls [][2]string) bool {
	t.Helper()
	want, errWant := separately(t, modules)
	got, errGot := together(t, modules)
	var refused *Error
	require.False(t, errors.As(errGot, &refused), "%v", errGot)
	require.Equal(t, errWant == nil, errGot == nil, "separately: %v, together: %v", errWant, errGot)
	if errWant != nil {
		require.ErrorContains(t, errWant, "failed: wasm error", "the program is invalid")
		return false
	}
	for i, c := range calls {
		a, errA := want.call(c[0], c[1], uint64(i))
		b, errB := got.call(c[0], c[1], uint64(i))
		require.Equal(t, errA == nil, errB == nil, "%s: separately: %v, together: %v", c, errA, errB)
		require.Equal(t, a, b, "%s", c)
	}
	require.Equal(t, want.calls, got.calls)
	a, _ := want.memory.Read(0, want.memory.Size())
	b, ok := got.memory.Read(0, want.memory.Size())
	require.True(t, ok && bytes.Equal(a, b), "the memories differ")
	require.Equal(t, want.memory.Size(), got.memory.Size())
	return true
}

// TestRandomPrograms compares generated programs.
func TestRandomPrograms(t *testing.T) {
	ran := 0
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 1))
		modules, calls := generate(random)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			if compare(t, modules, calls) {
				ran++
			}
		})
	}
	require.Greater(t, ran, 200, "most programs trap in a start function")
}

func TestRefused(t *testing.T) {
	env := linked{"env", (&builder{memory: true, tables: []uint32{4}, globals: []bool{true, false}}).bytes()}
	for name, c := range map[string]struct {
		bin         []byte
		want        string
		unsupported bool
	}{
		"memories": {(&builder{memory: true}).bytes(), "has a memory of its own", true},
		"min":      {(&builder{imports: []im{{"env", "memory", []byte{2, 0, 9}}}}).bytes(), "another type than what it is linked to", false},
		"max":      {(&builder{imports: []im{{"env", "memory", []byte{2, 1, 1, 1}}}}).bytes(), "another type than what it is linked to", false},
		"shared":   {(&builder{imports: []im{{"env", "memory", []byte{2, 3, 1, 1}}}}).bytes(), "shared memories", true},
		"table":    {(&builder{imports: []im{{"env", "t0", []byte{1, 0x6f, 0, 1}}}}).bytes(), "another type than what it is linked to", false},
		"slots":    {(&builder{imports: []im{{"env", "t0", []byte{1, 0x70, 0, 5}}}}).bytes(), "another type than what it is linked to", false},
		"global":   {(&builder{imports: []im{{"env", "g0", []byte{3, 0x7f, 0}}}}).bytes(), "another type than what it is linked to", false},
		"tag":      {(&builder{imports: []im{{"env", "x", []byte{4, 0, 0}}}}).bytes(), "imports of the kind 4 (tags)", true},
		"host":     {(&builder{imports: []im{{"else", "g", []byte{3, 0x7f, 0}}}}).bytes(), "no earlier module", true},
		"function": {(&builder{functions: [][]byte{{opCall, 9, opEnd}}}).bytes(), "function 9 does not exist, there are 1", false},
		"type":     {(&builder{functions: [][]byte{{0x02, 9, opEnd, opEnd}}}).bytes(), "type 9 does not exist", false},
		"atomic":   {(&builder{functions: [][]byte{{0xfe, 3, opEnd}}}).bytes(), "instruction 0xfe", true},
		"throw":    {(&builder{functions: [][]byte{{0x08, 0, opEnd}}}).bytes(), "instruction 0x08", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fuse(t, nil)
			require.NoError(t, err)
			var m *Error
			source := func(i int) (Source, error) {
				in, _ := read(&Module{Bin: c.bin})
				if in.imports[i].module != "env" {
					return Source{Kind: FromHost}, nil
				}
				return Source{Module: 0, Index: exportsOf(t, env.bin)[in.imports[i].name].Index}, nil
			}
			_, err = Fuse([]Module{{Name: "env", Bin: env.bin}, {Name: "m", Bin: c.bin, Source: source}}, func() []Export { return nil })
			require.ErrorAs(t, err, &m)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, c.unsupported, m.Unsupported)
			require.True(t, strings.HasPrefix(err.Error(), "m: "))
		})
	}
}

// Separate modules would write the data of the last one after the start function of the second.
func TestSegmentsAfterAStartFunctionAreRefused(t *testing.T) {
	memory := []im{{"env", "memory", []byte{2, 0, 1}}}
	env := linked{"env", (&builder{memory: true}).bytes()}
	starts := linked{"starts", (&builder{imports: memory, functions: [][]byte{{opEnd}}, start: 1}).bytes()}
	writes := linked{"writes", (&builder{imports: memory, datas: [][]byte{{0, opI32Const, 0, opEnd, 1, 'x'}}}).bytes()}
	empty := linked{"empty", (&builder{imports: memory, datas: [][]byte{{0, opI32Const, 0, opEnd, 0}}}).bytes()}
	_, err := fuse(t, []linked{env, writes, starts, empty})
	require.NoError(t, err)
	_, err = fuse(t, []linked{env, starts, writes})
	require.ErrorContains(t, err, "writes: writes into the memory or a table when it is instantiated, after the start function of starts")
}

// Code may refer to a function because its module exports it. The fused module exports others.
func TestReferences(t *testing.T) {
	bin := (&builder{functions: [][]byte{{opRefFunc, 0, 0x1a, opEnd}}}).bytes()
	out, err := Fuse([]Module{{Name: "m", Bin: bin}}, func() []Export { return nil })
	require.NoError(t, err)
	r := host(t, &world{})
	_, err = r.CompileModule(context.Background(), out)
	require.NoError(t, err)
}

// FuzzFuse merges two modules that may be anything.
func FuzzFuse(f *testing.F) {
	for seed := range uint64(20) {
		modules, _ := generate(rand.New(rand.NewPCG(seed, 1)))
		f.Add(modules[0].bin, modules[1].bin, byte(seed))
	}
	f.Fuzz(func(t *testing.T, a, b []byte, kind byte) {
		source := func(i int) (Source, error) {
			return Source{Kind: Kind((int(kind) + i) % 6), Module: i % 3, Index: uint32(i / 2), Host: "h"}, nil
		}
		modules := []Module{{Name: "a", Bin: a, Source: source}, {Name: "b", Bin: b, Source: source}}
		exports := func() []Export { return []Export{{Name: "x", Sort: kind % 5, Module: int(kind) % 2}} }
		bin, err := Fuse(modules, exports)
		if err != nil {
			var refused *Error
			require.ErrorAs(t, err, &refused)
			require.NotEmpty(t, refused.Detail)
			return
		}
		again, err := Fuse(modules, exports)
		require.NoError(t, err)
		require.True(t, bytes.Equal(bin, again))
		require.LessOrEqual(t, len(bin), 12*(len(a)+len(b))+200)
		m, err := read(&Module{Bin: bin})
		require.NoError(t, err)
		for _, body := range m.bodies {
			require.NoError(t, body.walk(func(space, int, int, uint32) error { return nil }))
		}
	})
}
