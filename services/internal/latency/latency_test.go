package latency

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBucketsHoldTheirLatencies(t *testing.T) {
	require.Zero(t, Bucket(-time.Second))
	for i := range Bucket(100 * 24 * time.Hour) {
		require.Equal(t, i, Bucket(Floor(i)))
		require.Equal(t, i, Bucket(Floor(i+1)-1))
		if i >= PerDouble {
			require.LessOrEqual(t, Floor(i+1)-Floor(i), Floor(i)/PerDouble)
		}
	}
	for range 100_000 {
		d := time.Duration(rand.Int64N(int64(1) << rand.IntN(50)))
		b := Bucket(d)
		require.True(t, Floor(b) <= d && d < Floor(b+1), d)
	}
}
