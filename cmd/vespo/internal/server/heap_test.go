package server

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// heapGoal returns the heap size at which the next collection ends.
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
		h, trims := newHeapTrimmer(), new(atomic.Int32)
		ended := make(chan struct{})
		go func() {
			h.run(ctx, func() { trims.Add(1) })
			close(ended)
		}()
		for range 5 {
			h.want()
			h.want() // does not block
			time.Sleep(trimQuiet / 2)
		}
		synctest.Wait()
		require.Zero(t, trims.Load())
		time.Sleep(trimQuiet)
		synctest.Wait()
		require.EqualValues(t, 1, trims.Load())
		time.Sleep(time.Hour)
		require.EqualValues(t, 1, trims.Load(), "nothing was deployed")
		h.want()
		time.Sleep(2 * trimQuiet)
		synctest.Wait()
		require.EqualValues(t, 2, trims.Load())
		for range 100 { // as if services woke all the time
			h.unloaded(1)
			time.Sleep(trimQuiet / 2)
		}
		time.Sleep(trimQuiet)
		synctest.Wait()
		require.EqualValues(t, 2+100*trimQuiet/2/trimPatience, trims.Load(), "within the patience")
		h.unloaded(trimBytes / 2)
		synctest.Wait()
		before := trims.Load()
		h.unloaded(trimBytes / 2)
		synctest.Wait()
		require.Equal(t, before+1, trims.Load(), "much code does not wait")
		cancel()
		<-ended
	})
}
