package canonical

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFreeHandlesAreKept(t *testing.T) {
	for _, i := range []initial{
		{captured: true},
		{captured: true, entries: make([]entry, 1)},
		{captured: true, entries: []entry{{}, {next: 2}, {}}, free: 1},
	} {
		state, err := i.MarshalBinary()
		require.NoError(t, err)
		var got initial
		require.NoError(t, got.UnmarshalBinary(state))
		require.Equal(t, i, got)
		for n := range state {
			if n%handleBytes != 0 || n == 0 {
				require.Error(t, got.UnmarshalBinary(state[:n]))
			}
		}
	}
	_, err := (&initial{entries: []entry{{}, {resource: gone{}}}}).MarshalBinary()
	require.ErrorIs(t, err, errHandles)
	for _, state := range [][]byte{
		{1, 0, 0, 0},                         // beyond the table
		{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, // a circle
		{2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		i := initial{captured: true}
		require.Error(t, i.UnmarshalBinary(state))
		require.Equal(t, initial{captured: true}, i)
	}
}
