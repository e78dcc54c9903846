package engine

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// workOf returns the work of a call.
func workOf(t *testing.T, in *Instance, index int, param uint64) int64 {
	t.Helper()
	call(t, in, index, param)
	return in.Work()
}

// TestWorkIsTheSameInEveryInstance calls the first instance, others that are restored, and each of them again after resets. The
// calls take up to many slices, whose fuel depends on how busy the machine is.
func TestWorkIsTheSameInEveryInstance(t *testing.T) {
	e := open(t, Config{StackBytes: 16 << 20})
	m := compile(t, e, "state", stateOptions)
	want := map[uint64]int64{}
	for instance := range 3 {
		in := prepare(t, m)
		require.Zero(t, in.Work(), "the initialisation is not part of a request that starts from the snapshot")
		for round := range 3 {
			for _, depth := range []uint64{0, 1, 500, 5_000, 50_000} {
				work := workOf(t, in, deep, depth)
				if instance == 0 && round == 0 {
					want[depth] = work
				}
				require.Equal(t, want[depth], work, "instance %d, round %d, depth %d", instance, round, depth)
				_, err := in.Reset()
				require.NoError(t, err)
				require.Zero(t, in.Work())
			}
		}
	}
	require.Greater(t, want[50_000], 4*int64(firstSliceFuel))
	require.Equal(t, (want[5_000]-want[500])*45_000, (want[50_000]-want[5_000])*4_500, "each call is the same work")
}

func TestWorkAddsUpOverTheCallsOfARequest(t *testing.T) {
	in := prepare(t, compile(t, open(t, Config{StackBytes: 16 << 20}), "state", stateOptions))
	one := workOf(t, in, deep, 50_000)
	require.Equal(t, 2*one, workOf(t, in, deep, 50_000))
}

// TestWorkOfFreshInstancesHasTheInitialisation checks that an instance for each request is the same work each time, whether
// it was initialised for the request or by Prepare.
func TestWorkOfFreshInstancesHasTheInitialisation(t *testing.T) {
	e := open(t, Config{})
	o := stateOptions
	restored := workOf(t, prepare(t, compile(t, e, "state", o)), deep, 10)
	o.Fresh = true
	m := compile(t, e, "state", o)
	first := workOf(t, prepare(t, m), deep, 10)
	require.Greater(t, first, restored)
	in, out, err := m.Instantiate(context.Background(), soon(), slot(t, e))
	require.NoError(t, err)
	require.True(t, out.Clean())
	defer func() { require.NoError(t, in.Close()) }()
	require.Equal(t, first, workOf(t, in, deep, 10))
}

// TestWorkLimitIsExact checks that a request with the work of the limit ends well, and one with a unit more does not, for
// limits around the sizes of slices.
func TestWorkLimitIsExact(t *testing.T) {
	e := open(t, Config{StackBytes: 16 << 20})
	free := prepare(t, compile(t, e, "state", stateOptions))
	for _, depth := range []uint64{0, 3, 4_990, 5_010, 40_000} {
		_, err := free.Reset()
		require.NoError(t, err)
		work := workOf(t, free, deep, depth)
		for _, limit := range []int64{1, work / 2, work - 1, work, work + 1} {
			if limit <= 0 {
				continue
			}
			o := stateOptions
			o.WorkLimit = limit
			m, err := e.Compile(context.Background(), decoded(t, guest(t, "state")), o)
			require.NoError(t, err)
			in, err := m.Prepare(context.Background(), slot(t, e))
			require.NoError(t, err)
			out := in.Call(context.Background(), soon(), deep, []uint64{depth})
			if work <= limit {
				require.Equal(t, OK, out.Kind, "%d of %d", work, limit)
				require.Equal(t, work, in.Work())
			} else {
				require.Equal(t, WorkLimit, out.Kind, "%d of %d", work, limit)
				require.False(t, out.Clean())
				require.Greater(t, in.Work(), limit)
				require.LessOrEqual(t, in.Work(), work)
			}
			require.NoError(t, in.Close())
			require.NoError(t, m.Close(context.Background()))
		}
	}
}

// TestWorkLimitEndsALoop checks that a guest which never returns ends after the same work in all instances.
func TestWorkLimitEndsALoop(t *testing.T) {
	o := stateOptions
	o.WorkLimit = 123_456
	m := compile(t, open(t, Config{}), "state", o)
	for range 3 {
		in := prepare(t, m)
		out := in.Call(context.Background(), soon(), spin, make([]uint64, 1))
		require.Equal(t, WorkLimit, out.Kind)
		require.ErrorIs(t, out.Err, errWorkLimit)
		require.Equal(t, o.WorkLimit+1, in.Work())
	}
}

// TestWorkLimitOfAFreshInstanceHasTheInitialisation checks that an initialisation beyond the limit leaves nothing for the request.
func TestWorkLimitOfAFreshInstanceHasTheInitialisation(t *testing.T) {
	o := stateOptions
	o.Fresh, o.WorkLimit = true, 1
	in := prepare(t, compile(t, open(t, Config{}), "state", o))
	require.Equal(t, WorkLimit, in.Call(context.Background(), soon(), deep, []uint64{0}).Kind)
}

// TestWorkOfFailures checks that the work of a request that fails is counted up to its end.
func TestWorkOfFailures(t *testing.T) {
	e := open(t, Config{})
	m := compile(t, e, "state", stateOptions)
	var all []int64
	for range 3 {
		in := prepare(t, m)
		out := in.Call(context.Background(), soon(), deep, []uint64{1 << 40})
		require.Equal(t, StackOverflow, out.Kind)
		all = append(all, in.Work())
	}
	require.Positive(t, all[0])
	require.Equal(t, []int64{all[0], all[0], all[0]}, all)
}
