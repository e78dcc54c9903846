package main

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// heapGoal is the size of the heap at which the next collection ends.
func heapGoal() uint64 {
	runtime.GC()
	goal := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(goal)
	return goal[0].Value.Uint64()
}

func TestHeapFloor(t *testing.T) {
	before := heapGoal()
	release := raiseHeapFloor()
	require.Greater(t, heapGoal(), before+heapFloorBytes/2)
	release()

	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64 / 2))
	before = heapGoal()
	release = raiseHeapFloor()
	require.Less(t, heapGoal(), before+heapFloorBytes/2, "none where the user has set a limit")
	release()
}

func TestHeapIsTrimmedOnceAfterSeveralDeploys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h, trims := newHeapTrimmer(), 0
		ended := make(chan struct{})
		go func() {
			h.run(ctx, func() { trims++ })
			close(ended)
		}()
		for range 5 {
			h.want()
			h.want() // does not wait
			time.Sleep(trimQuiet / 2)
		}
		require.Zero(t, trims)
		time.Sleep(trimQuiet)
		require.Equal(t, 1, trims)
		time.Sleep(time.Hour)
		require.Equal(t, 1, trims, "nothing was deployed")
		h.want()
		time.Sleep(2 * trimQuiet)
		require.Equal(t, 2, trims)
		cancel()
		<-ended
	})
}
