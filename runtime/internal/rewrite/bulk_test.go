package rewrite

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/api"
)

// bulkModule returns bulk.wasm with a passive segment of several chunks, used by "init".
func bulkModule() []byte {
	b := newModule()
	b.memory = []byte{1, 8, 16}
	operands := func(c *code) {
		c.localGet(0)
		c.localGet(1)
		c.localGet(2)
	}
	three := signature("iii", "")
	for name, op := range map[string][]byte{
		"copy": {prefixMisc, 10, 0, 0}, "fill": {prefixMisc, 11, 0}, "init": {prefixMisc, 8, 0, 0},
	} {
		var body code
		operands(&body)
		body.op(op...)
		b.export(name, b.function(three, nil, body))
	}
	text := make([]byte, 3*chunkBytes+17)
	for i := range text {
		text[i] = byte(i * 7)
	}
	b.data = [][]byte{append(appendU32([]byte{1}, uint32(len(text))), text...)}
	b.exports = append(b.exports, export{"memory", KindMemory, 0})
	return b.bytes()
}

// TestBulkInstructions compares the chunked instructions with
// the originals: the traps and, without a trap, the memory.
func TestBulkInstructions(t *testing.T) {
	bin := bulkModule()
	const size = 8 << 16
	edges := []uint64{0, 1, 100, smallBytes - 1, smallBytes, smallBytes + 1, chunkBytes - 1, chunkBytes, chunkBytes + 1,
		2*chunkBytes + 5, 3*chunkBytes + 17, 3*chunkBytes + 18, size - chunkBytes, size - 1, size, size + 1, 1 << 31, 1<<32 - chunkBytes, 1<<32 - 1}
	h := newTestHost(t)
	h.slice = 100 // each chunk yields
	plain := h.instantiate(t, bin)
	chunked, _ := h.load(t, bin, options())
	random := rand.New(rand.NewPCG(1, 2))
	for _, m := range []api.Module{plain, chunked} {
		mem, _ := m.Memory().Read(0, size)
		for i := range mem {
			mem[i] = byte(i * 31 >> 3)
		}
	}
	trapped := 0
	for _, name := range []string{"fill", "copy", "init"} {
		for range 1500 {
			pick := func() uint64 { return edges[random.IntN(len(edges))] }
			to, from, n := pick(), pick(), pick()
			_, wantErr := call(plain, name, to, from, n)
			_, err := call(chunked, name, to, from, n)
			require.Equal(t, wantErr == nil, err == nil, "%s(%d, %d, %d): %v, %v", name, to, from, n, wantErr, err)
			want, _ := plain.Memory().Read(0, size)
			got, _ := chunked.Memory().Read(0, size)
			if wantErr != nil {
				trapped++
				copy(got, want) // a trap may leave a partial write; the instance would not be used again
			}
			require.True(t, bytes.Equal(want, got), "%s(%d, %d, %d)", name, to, from, n)
		}
	}
	require.Greater(t, trapped, 100)
	require.Greater(t, h.yields, 100)
}

func TestGrowthThatIsRefusedIsNoted(t *testing.T) {
	h, o := newTestHost(t), options()
	m, info := h.load(t, readModule(t, "bulk.wasm"), o)
	refused := func() uint64 { return m.ExportedGlobal(info.RefusedGrowExport).Get() }
	res, err := call(m, "grow", 2)
	require.NoError(t, err)
	require.Equal(t, uint64(8), res[0])
	require.Zero(t, refused())
	// The declared maximum of 16 pages is removed. The host decides, here with 1024.
	res, err = call(m, "grow", 1014)
	require.NoError(t, err)
	require.Equal(t, uint64(10), res[0])
	require.Zero(t, refused())
	res, err = call(m, "grow", 1)
	require.NoError(t, err)
	require.Equal(t, int32(-1), int32(uint32(res[0])))
	require.Equal(t, uint64(1), refused())
}
