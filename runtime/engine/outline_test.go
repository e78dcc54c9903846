package engine

import (
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/internal/imagefile"
)

// TestOutlinedModules finds a module without its bytes, as it was decoded, and runs it from its snapshot.
func TestOutlinedModules(t *testing.T) {
	cfg, o := keepingConfig(t.TempDir()), inputs(stateOptions, 1)
	bin := guest(t, "state")
	sum := sha256.Sum256(bin)
	unread := func() ([]byte, error) { return nil, errors.New("the module was read") }
	e, err := Open(t.Context(), withNote(cfg))
	require.NoError(t, err)
	require.Nil(t, e.Outlined(sum, unread), "it has no snapshot")
	require.False(t, recalls(t, e, o))
	want, err := e.Decode(bin)
	require.NoError(t, err)
	require.NoError(t, e.Close(t.Context()))

	e = open(t, cfg)
	d := e.Outlined(sum, unread)
	require.NotNil(t, d)
	require.Equal(t, want.Info(), d.Info())
	require.Equal(t, want.Reference(), d.Reference())
	require.NotNil(t, e.Foresee(d, o))
	m, err := e.Compile(t.Context(), d, o)
	require.NoError(t, err)
	in, err := m.Prepare(t.Context(), slot(t, e))
	require.NoError(t, err)
	require.EqualValues(t, 10, call(t, in, get, 0))
	require.NoError(t, in.Close())
	closeModule(t, m)
	require.EqualValues(t, 1, e.Stats().Recalled)
	require.Nil(t, e.Outlined(sha256.Sum256([]byte("another")), unread))

	other := cfg
	other.Build = "another"
	require.Nil(t, open(t, other).Outlined(sum, unread), "another program may read it otherwise")
	require.Nil(t, open(t, cfg).Outlined(sum, unread), "which has removed the snapshot")
}

// TestLongHeadsAreReadWhole reads a head that is longer than usual.
func TestLongHeadsAreReadWhole(t *testing.T) {
	for _, outline := range []int{0, usualHeadBytes, imagefile.MaxHeadBytes - 200} {
		file := imagefile.Encode(&imagefile.Snapshot{Head: imagefile.Head{Clock: 7, Outline: make([]byte, outline)}})
		head, err := readHead(func(maxBytes int) ([]byte, bool) { return file[:min(len(file), maxBytes)], true })
		require.NoError(t, err)
		require.EqualValues(t, 7, head.Clock)
		require.Len(t, head.Outline, outline)
		_, err = readHead(func(int) ([]byte, bool) { return file[1:], true })
		require.ErrorIs(t, err, imagefile.ErrMalformed)
	}
	_, err := readHead(func(int) ([]byte, bool) { return nil, false })
	require.ErrorIs(t, err, errNoSnapshot)
}
