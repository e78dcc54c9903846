package latency

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBucketsHoldTheirLatencies(t *testing.T) {
	require.Zero(t, Bucket(-time.Second))
	require.Equal(t, Buckets-1, Bucket(1<<62))
	for i := 1; i < Buckets; i++ {
		require.Equal(t, i-1, Bucket(Floor(i)))
		require.Equal(t, i, Bucket(Floor(i)+1))
		require.LessOrEqual(t, float64(Floor(i+1)), float64(Floor(i))*1.0906+1)
	}
	for range 100_000 {
		d := time.Duration(rand.Int64N(int64(1) << rand.IntN(50)))
		b := Bucket(d)
		require.True(t, Floor(b) < d || b == 0, d)
		require.True(t, d <= Floor(b+1) || b == Buckets-1, d)
	}
}
