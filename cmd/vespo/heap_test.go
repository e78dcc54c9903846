package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"

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
