package engine

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// TestHostFunctionsDoNotHoldTheDeadlineOff checks that a guest which spends its time in host functions
// is stopped. Thousands of their calls fit into the fuel of a slice, independent of their duration.
func TestHostFunctionsDoNotHoldTheDeadlineOff(t *testing.T) {
	e := open(t, Config{})
	m := compile(t, e, "hostloop", ModuleOptions{Entries: []string{"spin"}})
	for name, c := range map[string]struct {
		use      func(in *Instance)
		mostLate int
	}{
		"small calls": {func(*Instance) {}, workPerLook / callWork},
		"large calls": {func(in *Instance) { in.View(0, workPerLook) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			in, late := prepare(t, m), 0
			deadline := time.Now().Add(10 * time.Millisecond)
			in.Exchange = func(uint32) {
				time.Sleep(time.Until(deadline)) // all calls but the first are late
				late++
				c.use(in)
			}
			out := in.Call(context.Background(), deadline, 0, make([]uint64, 1))
			require.Equal(t, Deadline, out.Kind)
			require.LessOrEqual(t, late, c.mostLate)
		})
	}
}

// TestPausesDoNotMakeASliceLookShort guards the fuel against guests that pause just before it is used up.
// The time before the pause must count, or they would get more and more fuel, up to several seconds of it.
func TestPausesDoNotMakeASliceLookShort(t *testing.T) {
	e := open(t, Config{})
	in := prepare(t, compile(t, e, "state", stateOptions))
	in.begin(context.Background(), soon())
	defer in.end(nil)
	time.Sleep(10 * sliceTarget)
	in.Pause()
	in.Resume()
	stack := []uint64{rewrite.YieldFuel}
	in.yield(stack)
	require.LessOrEqual(t, int64(stack[0]), int64(firstSliceFuel/10), "the slice took ten times as long as it is to")
	require.Zero(t, in.run.sliceTook, "the next slice does not inherit the time")
}
