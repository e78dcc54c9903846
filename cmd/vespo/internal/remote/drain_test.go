package remote

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestQuiet counts the announcements of a host that goes on, is cut off, and starts again.
func TestQuiet(t *testing.T) {
	at := func(start int64, told uint64) *oneHost { return &oneHost{Started: time.Unix(start, 0), Told: told} }
	var q quiet
	require.False(t, q.over(at(1, 7)))
	for range 10 {
		require.False(t, q.over(at(1, 9)), "it is cut off")
	}
	require.True(t, q.over(at(1, 10)))
	require.False(t, q.over(at(2, 11)), "it was started again")
	require.False(t, q.over(at(2, 13)))
	require.False(t, q.over(at(2, 1)))
	require.True(t, q.over(at(2, 5)))
}
