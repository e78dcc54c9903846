package engine

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStats(t *testing.T) {
	ctx := context.Background()
	e, err := Open(ctx, Config{Slots: 2, SlotBytes: 32 * PageBytes, CacheDir: t.TempDir()})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close(ctx)) }()
	s := e.Stats()
	require.Equal(t, 4, s.Slots, "one more for a deploy and one for a refill")
	require.Equal(t, 4, s.FreeSlots)
	require.EqualValues(t, 32*PageBytes, s.SlotBytes)
	require.Positive(t, s.Turns.Turns)
	require.Zero(t, s.Code)

	d, err := e.Decode(guest(t, "start"))
	require.NoError(t, err)
	m, err := e.Compile(ctx, d, ModuleOptions{})
	require.NoError(t, err)
	in, err := m.Prepare(ctx, slot(t, e))
	require.NoError(t, err)
	s = e.Stats()
	require.Equal(t, []int{1, 1, 3}, []int{s.Modules, s.Instances, s.FreeSlots})
	require.Equal(t, m.SnapshotBytes(), s.ImageBytes)
	require.Positive(t, s.Types)
	require.Positive(t, s.TypeBytes)
	require.EqualValues(t, 1, s.Decodings)
	require.EqualValues(t, 1, s.Compiler.Compiled)
	require.EqualValues(t, 1, s.Code.Misses)
	require.Equal(t, 1, s.Code.Files)

	again, err := e.Compile(ctx, d, ModuleOptions{})
	require.NoError(t, err)
	s = e.Stats()
	require.Equal(t, []int{2, 1}, []int{s.Modules, s.Codes})
	require.Zero(t, s.Code.Hits, "the code is shared in memory")
	require.EqualValues(t, 1, s.Compiler.Compiled)
	require.NoError(t, again.Close(ctx))
	require.NoError(t, in.Close())
	require.NoError(t, m.Close(ctx))
	s = e.Stats()
	require.Equal(t, []int{0, 0, 4}, []int{s.Modules, s.Instances, s.FreeSlots})
	require.Zero(t, s.ImageBytes)
	require.Zero(t, s.Codes)

	again, err = e.Compile(ctx, d, ModuleOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 1, e.Stats().Code.Hits)
	require.EqualValues(t, 1, e.Stats().Compiler.Compiled)
	require.NoError(t, again.Close(ctx))
}
