package deploy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPaceOfTables gives tables that take long a part of the time of a start alone.
func TestPaceOfTables(t *testing.T) {
	var p pace
	now := time.Now()
	require.LessOrEqual(t, p.wait(now, false), time.Duration(0), "the first service is handed over at once")
	p.ran(now, now.Add(20*time.Millisecond))
	now = now.Add(20 * time.Millisecond)
	require.Equal(t, 200*time.Millisecond, p.wait(now, false))
	require.Equal(t, 20*time.Millisecond, p.wait(now, true), "requests wait for a service")
	require.Zero(t, p.wait(now.Add(20*time.Millisecond), true))
	require.Zero(t, p.wait(now.Add(200*time.Millisecond), false))
}
