package compiler

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A child uses all processors until others want them, and again after a while without others.
func TestWidth(t *testing.T) {
	w := width{narrow: 1, wide: 4, now: 4}
	const ran = 100 * time.Millisecond
	require.Equal(t, 4, w.next(ran, 0))
	require.Equal(t, 4, w.next(ran, 10*time.Millisecond), "some waiting is normal")
	require.Equal(t, 1, w.next(ran, 25*time.Millisecond))
	for range idlePeriods - 1 {
		require.Equal(t, 1, w.next(ran, 0))
	}
	require.Equal(t, 1, w.next(ran, 10*time.Millisecond), "the count begins anew")
	for range idlePeriods - 1 {
		require.Equal(t, 1, w.next(ran, 0))
	}
	require.Equal(t, 4, w.next(ran, 0))
	require.Equal(t, 1, w.next(0, time.Second), "it could not run at all")
	require.Equal(t, 1, w.next(0, 0), "the system does not say")
}

// A child that may use all processors makes the same file.
func TestScheduleIsKnown(t *testing.T) {
	ran, _ := schedule()
	if ran == 0 {
		t.Skip("the system does not tell how long threads ran and waited")
	}
	for start := time.Now(); time.Since(start) < 20*time.Millisecond; {
	}
	again, _ := schedule()
	require.Greater(t, again, ran)
}
