package etcdstore

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

// TestEarlierStatesAreReleased checks that the store knows the marks of earlier states, and not the states.
func TestEarlierStatesAreReleased(t *testing.T) {
	s := &Store{}
	var released atomic.Int32
	for i := range maxKeepable {
		state := &registry.State{Generation: registry.Generation(i + 1)}
		runtime.AddCleanup(state, func(n *atomic.Int32) { n.Add(1) }, &released)
		s.current, s.commit = state, fmt.Sprint("commit ", i)
		s.rememberLocked()
		require.Equal(t, s.commit, s.markOf(state).Commit)
		require.Equal(t, state.Generation, s.markOf(state).Generation)
	}
	require.Eventually(t, func() bool {
		runtime.GC()
		return released.Load() == maxKeepable-1
	}, 10*time.Second, time.Millisecond)
	require.Len(t, s.keepables, maxKeepable)
	require.NotEmpty(t, s.markOf(s.current).Commit)
	require.Empty(t, s.markOf(&registry.State{}).Commit)
}
