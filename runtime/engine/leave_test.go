package engine

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNextUserOfASlotFindsNothing fills a slot and leaves it to each kind of next user.
func TestNextUserOfASlotFindsNothing(t *testing.T) {
	for _, disableScan := range []bool{false, true} {
		e := open(t, Config{DisableScan: disableScan, SlotBytes: 100 * PageBytes})
		m := compile(t, e, "state", stateOptions)
		want, globals := state(t, prepare(t, m))
		fresh := stateOptions
		fresh.Fresh = true
		anew := compile(t, e, "state", fresh)
		prepare(t, anew)
		small := compile(t, e, "readonly", ModuleOptions{Entries: []string{"note"}})
		golden := bytes.Clone(prepare(t, small).Memory())
		s := slot(t, e)
		fill := func() {
			in, out, err := m.Instantiate(context.Background(), soon(), s)
			require.NoError(t, err)
			require.True(t, out.Clean())
			require.NoError(t, in.resize(uint64(len(s.Bytes()))-PageBytes))
			for i := range in.Memory() {
				in.Memory()[i] = 0xab
			}
			left, err := in.Leave()
			require.NoError(t, err)
			require.Same(t, s, left)
		}
		check := func(of *Module, memory []byte) {
			in, out, err := of.Instantiate(context.Background(), soon(), s)
			require.NoError(t, err)
			require.True(t, out.Clean())
			require.True(t, bytes.Equal(memory, in.Memory()))
			require.True(t, allZero(s.Bytes()[len(memory):]))
			_, err = in.Leave()
			require.NoError(t, err)
		}
		fill()
		check(m, want)
		fill()
		check(small, golden)
		fill()
		check(anew, want)
		fill()
		again := compile(t, e, "state", stateOptions)
		in, err := again.Prepare(context.Background(), s)
		require.NoError(t, err)
		memory, g := state(t, in)
		require.Equal(t, globals, g)
		require.True(t, bytes.Equal(want, memory))
		require.True(t, allZero(s.Bytes()[len(memory):]))
		require.NoError(t, in.Close())

		s = slot(t, e)
		fill()
		e.ReleaseSlot(s)
		require.True(t, allZero(s.Bytes()))
		require.False(t, s.Dirty)
	}
}
