package rewrite

import (
	goruntime "runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// TestFootprintOfAnInstance compares the constants of the footprint with the engine's memory for an instance.
func TestFootprintOfAnInstance(t *testing.T) {
	const n = 4000
	for name, test := range map[string]struct {
		constant int
		add      func(b *moduleBuilder)
	}{
		"globals": {globalFootprintBytes, func(b *moduleBuilder) {
			for range n {
				b.global(I32, true, code{opI32Const, 1})
			}
		}},
		"references": {referenceFootprintBytes, func(b *moduleBuilder) {
			var refs code
			elements := appendU32(code{3, 0}, n)
			for i := range uint32(n) {
				b.funcs = append(b.funcs, builtFunc{})
				refs.index(opRefFunc, i)
				refs.op(opDrop)
				elements = appendU32(elements, i)
			}
			b.function(signature("", ""), nil, refs)
			b.elements = [][]byte{elements}
		}},
		"active elements": {elementFootprintBytes, func(b *moduleBuilder) {
			b.elements = [][]byte{append(appendU32(code{0, opI32Const, 0, opEnd}, n), make([]byte, n)...)}
		}},
		"passive elements": {elementFootprintBytes, func(b *moduleBuilder) {
			b.elements = [][]byte{append(appendU32(code{1, 0}, n), make([]byte, n)...)}
		}},
		"segments": {2 * segmentFootprintBytes, func(b *moduleBuilder) {
			for range n {
				b.data = append(b.data, []byte{1, 0})
				b.elements = append(b.elements, []byte{1, 0, 0})
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newModule()
			b.function(signature("", ""), nil, nil)
			b.memory = []byte{0, 1}
			b.tables = [][]byte{append(code{byte(FuncRef), 0}, appendU32(nil, n)...)}
			test.add(b)
			h := newTestHost(t)
			out, info, err := Rewrite(b.bytes(), options())
			require.NoError(t, err)
			compiled, err := h.runtime.CompileModule(t.Context(), out)
			require.NoError(t, err)
			before := liveHeap()
			m, err := h.runtime.InstantiateModule(t.Context(), compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
			require.NoError(t, err)
			var handles []api.Global // kept, as the host does
			for _, g := range info.MutableGlobals {
				handles = append(handles, m.ExportedGlobal(g.ExportName))
			}
			took := liveHeap() - before - n*8 - 1<<16
			t.Logf("%.1f bytes each", float64(took)/n)
			require.LessOrEqual(t, took, int64(n*test.constant))
			goruntime.KeepAlive(handles)
			require.NoError(t, m.Close(t.Context()))
			require.NoError(t, compiled.Close(t.Context()))
		})
	}
}
