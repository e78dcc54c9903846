package tail

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheEndIsKept(t *testing.T) {
	w := New(10)
	require.Empty(t, w.String())
	all := ""
	for _, text := range []string{"0123", "", "456789ab", strings.Repeat("x", 25) + "the end 1!", "2", "exactly 10", "c"} {
		n, err := w.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, len(text), n)
		all += text
		require.Equal(t, all[max(0, len(all)-10):], w.String())
		require.LessOrEqual(t, cap(w.text), 32, "the rest is not held")
	}
	kept := w.Bytes()
	kept[0] = '?'
	require.NotEqual(t, kept, w.Bytes(), "Bytes is a copy")
}

func TestConcurrentWrites(t *testing.T) {
	w := New(100)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 1000 {
				_, _ = w.Write([]byte("x"))
				_ = w.String()
			}
		})
	}
	writers.Wait()
	require.Equal(t, strings.Repeat("x", 100), w.String())
}
