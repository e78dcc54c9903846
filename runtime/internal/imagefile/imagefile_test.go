package imagefile

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/internal/snapshot"
)

func example() *Snapshot {
	page := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n*snapshot.PieceBytes) }
	return &Snapshot{
		Head: Head{
			Key:         [32]byte{1, 2, 3},
			Flags:       5,
			Clock:       1 << 40,
			MemoryBytes: 4 << 16,
			Outline:     []byte("an outline"),
		},
		Globals: []uint64{7, 1 << 63},
		Host:    []byte("state"),
		Pieces:  []snapshot.Piece{{Offset: 0, Bytes: page(1, 1)}, {Offset: 3 * snapshot.PieceBytes, Bytes: page(2, 2)}},
	}
}

func TestFilesAreReadAsWritten(t *testing.T) {
	for _, s := range []*Snapshot{example(), {Head: Head{Outline: []byte{}}, Globals: []uint64{}, Host: []byte{}, Pieces: []snapshot.Piece{}}} {
		got, err := Decode(Encode(s))
		require.NoError(t, err)
		require.Equal(t, s, got)
	}
}

func TestTornFilesAreMalformed(t *testing.T) {
	file := Encode(example())
	for n := range file {
		_, err := Decode(file[:n])
		require.ErrorIs(t, err, ErrMalformed, "%d bytes", n)
	}
	_, err := Decode(append(file, 0))
	require.ErrorIs(t, err, ErrMalformed)
}

// TestHeadsAreReadAlone reads the beginning of a file, and finds each bit that differs in it.
func TestHeadsAreReadAlone(t *testing.T) {
	want, file := example(), Encode(example())
	size := headBytes + len(want.Outline)
	got, err := DecodeHead(file[:size])
	require.NoError(t, err)
	require.Equal(t, want.Head, got)
	for n := range size {
		_, err := DecodeHead(file[:n])
		require.ErrorIs(t, err, ErrMalformed, "%d bytes", n)
		damaged := bytes.Clone(file)
		damaged[n] ^= 1 << (n % 8)
		_, err = DecodeHead(damaged)
		require.ErrorIs(t, err, ErrMalformed, "byte %d", n)
	}
	want.Outline = make([]byte, MaxHeadBytes)
	got, err = DecodeHead(Encode(want))
	require.NoError(t, err)
	require.Empty(t, got.Outline, "a long one is left out")
	require.Equal(t, want.Key, got.Key)
}

// FuzzDecode decodes any bytes. Encode returns the same bytes again.
func FuzzDecode(f *testing.F) {
	file := Encode(example())
	f.Add(file)
	f.Add(file[:headBytes])
	f.Add(Encode(&Snapshot{}))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := Decode(file)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.Equal(t, file, Encode(s))
	})
}
