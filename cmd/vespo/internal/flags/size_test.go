package flags

import (
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/require"
)

func TestSizeReadsBack(t *testing.T) {
	readsBack := func(n int64) bool {
		want := Size(n & (1<<52 - 1)) // the library parses larger sizes as floating-point numbers
		var got Size
		return got.UnmarshalText([]byte(want.String())) == nil && got == want
	}
	require.NoError(t, quick.Check(readsBack, nil))
	aligned := func(n uint8, shift uint8) bool { return readsBack(int64(n) << (shift % 44)) }
	require.NoError(t, quick.Check(aligned, nil))
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "65536": 64 << 10, "16MiB": 16 << 20, "1.5 KiB": 1536, "10MB": 10_000_000, "1tib": 1 << 40} {
		var got Size
		require.NoError(t, got.UnmarshalText([]byte(text)), text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "MiB", "-1", "16Mio", "1 2", "9EiB"} {
		var got Size
		require.Error(t, got.UnmarshalText([]byte(text)), text)
	}
}
