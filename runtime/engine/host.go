package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// ValueType is the type of a parameter or a result of a host function.
type ValueType = api.ValueType

// The numeric value types.
const (
	I32 = api.ValueTypeI32
	I64 = api.ValueTypeI64
	F32 = api.ValueTypeF32
	F64 = api.ValueTypeF64
)

// HostFunc is a function that guests can import. Call reads its parameters from stack and writes its
// results to it. The upper half of an i32 parameter is undefined: convert it with uint32(stack[i]).
type HostFunc struct {
	Name            string
	Params, Results []ValueType
	Call            func(in *Instance, stack []uint64)
}

// HostModule is a named set of functions that guests can import.
type HostModule struct {
	Name  string
	Funcs []HostFunc
	// Within allows the guest to call the functions while a host function waits for CallWithin. Functions that
	// use CallWithin themselves, or share state with such functions, must not allow it.
	Within bool
}

// Same reports whether two modules have the same functions, by name and type.
func (m HostModule) Same(other HostModule) bool {
	return m.Name == other.Name && slices.EqualFunc(m.Funcs, other.Funcs, func(a, b HostFunc) bool {
		return a.Name == b.Name && slices.Equal(a.Params, b.Params) && slices.Equal(a.Results, b.Results)
	})
}

// The module of the functions injected by the rewriter. Guests cannot import from it.
const (
	injectedModule = "vespo:host"
	injectedYield  = "yield"
)

type hostSignature struct{ params, results []ValueType }

// hostTable contains the functions that guests can import: module name -> function name -> signature.
type hostTable map[string]map[string]hostSignature

func (t hostTable) add(m HostModule) error {
	if t[m.Name] != nil {
		return fmt.Errorf("engine: host module %q is defined twice", m.Name)
	}
	t[m.Name] = make(map[string]hostSignature, len(m.Funcs))
	for _, f := range m.Funcs {
		if _, twice := t[m.Name][f.Name]; twice {
			return fmt.Errorf("engine: host function %s.%s is defined twice", m.Name, f.Name)
		}
		t[m.Name][f.Name] = hostSignature{f.Params, f.Results}
	}
	return nil
}

func sameTypes(a []ValueType, b []rewrite.ValueType) bool {
	return slices.EqualFunc(a, b, func(x ValueType, y rewrite.ValueType) bool { return x == byte(y) })
}

// String formats a signature like the rewriter.
func (s hostSignature) String() string {
	types := func(list []ValueType) (out []rewrite.ValueType) {
		for _, t := range list {
			out = append(out, rewrite.ValueType(t))
		}
		return out
	}
	return rewrite.Signature{Params: types(s.params), Results: types(s.results)}.String()
}

func instantiateHost(ctx context.Context, r wazero.Runtime, m HostModule) error {
	b := r.NewHostModuleBuilder(m.Name)
	for _, f := range m.Funcs {
		call, within, name := f.Call, m.Within, f.Name
		b.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(ctx context.Context, stack []uint64) {
			in := instanceFrom(ctx)
			if in.run.within && !within {
				panic(Fault{Reason: "the guest's allocator calls the host function " + name})
			}
			call(in, stack)
			in.workDone()
		}), f.Params, f.Results).Export(f.Name)
	}
	_, err := b.Instantiate(ctx)
	return err
}
