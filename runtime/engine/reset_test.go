package engine

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestResetRestoresEverything(t *testing.T) {
	for _, disableScan := range []bool{false, true} {
		e := open(t, Config{DisableScan: disableScan, VerifyResets: true, SlotBytes: 100 * PageBytes})
		in := prepare(t, compile(t, e, "state", stateOptions))
		scans := e.Stats().ResetMethod == "pagemap_scan"
		require.False(t, scans && disableScan)
		memory, globals := state(t, in)
		require.Len(t, memory, 3*PageBytes, "the initialisation grew the memory")
		random := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			call(t, in, scramble, random.Uint64())
			dirty, err := in.Reset()
			require.NoError(t, err)
			require.Equal(t, scans, dirty != 0, "only a scan reports how much it restored")
			m, g := state(t, in)
			require.Equal(t, globals, g)
			require.True(t, bytes.Equal(memory, m), "memory is as it was at the snapshot, its size too")
			require.True(t, allZero(in.memory.cell[in.memory.size:]), "nothing is left behind the memory's end")
		}
	}
}

// TestResetOfGuestsThatDoNotWrite has host functions write to the memory of a guest without
// write instructions. Only the ranges passed to them are reset.
func TestResetOfGuestsThatDoNotWrite(t *testing.T) {
	for _, disableScan := range []bool{false, true} {
		e := open(t, Config{DisableScan: disableScan})
		in := prepare(t, compile(t, e, "readonly", ModuleOptions{Entries: []string{"note"}}))
		memory := bytes.Clone(in.Memory())
		require.Equal(t, "golden", string(memory[8:14]))
		require.Equal(t, "behind", string(memory[70000:70006]))
		random := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			in.Exchange = func(uint32) {
				for range random.IntN(3) {
					length := random.IntN(100)
					view := in.View(uint32(random.IntN(len(memory)-length)), uint32(length))
					for i := range view {
						view[i] = 0xff
					}
				}
			}
			call(t, in, 0, 0)
			_, err := in.Reset()
			require.NoError(t, err)
			require.True(t, bytes.Equal(memory, in.Memory()))
		}
		require.Zero(t, in.touchedBytes())
		in.Exchange = func(uint32) { in.View(10, 20) }
		call(t, in, 0, 0)
		require.Equal(t, 30, in.touchedBytes())
	}
}

func allZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

func TestRestoredInstanceIsLikeThePreparedOne(t *testing.T) {
	e := open(t, Config{})
	m := compile(t, e, "state", stateOptions)
	first := prepare(t, m)
	memory, globals := state(t, first)
	call(t, first, scramble, 0xfeed)
	second, out, err := m.Instantiate(context.Background(), soon(), slot(t, e))
	require.NoError(t, err)
	require.True(t, out.Clean())
	defer func() { require.NoError(t, second.Close()) }()
	m2, g2 := state(t, second)
	require.Equal(t, globals, g2)
	require.Equal(t, memory, m2)
}

// TestMemoryShrinksThroughGrow guards the only way to shrink a memory in wazero.
func TestMemoryShrinksThroughGrow(t *testing.T) {
	e := open(t, Config{})
	in := prepare(t, compile(t, e, "state", stateOptions))
	before := in.mod.Memory().Size()
	call(t, in, scramble, 15)
	require.Greater(t, in.mod.Memory().Size(), before)
	_, err := in.Reset()
	require.NoError(t, err)
	require.Equal(t, before, in.mod.Memory().Size())
	require.EqualValues(t, uint64(before)/PageBytes, call(t, in, scramble, 16), "compiled code sees the size too")
}
