package engine

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The entries of the guest "within".
const (
	outer = iota
	nested
	missing
)

// withinInstance returns an instance whose host function "within" calls the entry target.
func withinInstance(t testing.TB, target int) *Instance {
	calls := func(name string, call func(in *Instance, p []uint64)) []HostFunc {
		return []HostFunc{{Name: name, Params: []ValueType{I32}, Results: []ValueType{I32}, Call: call}}
	}
	var stack [1]uint64
	e, err := Open(context.Background(), Config{
		Slots: 2,
		HostModules: []HostModule{
			{
				Name: "test",
				Funcs: calls("within", func(in *Instance, p []uint64) {
					stack[0] = p[0]
					in.CallWithin(target, stack[:])
					p[0] = uint64(uint32(stack[0]) + 1)
				}),
			},
			{
				Name:   "allowed",
				Within: true,
				Funcs: calls("allowed", func(in *Instance, p []uint64) {
					if p[0] = 7; in.Exchange != nil {
						in.ExitGuest(3)
					}
				}),
			},
		},
	})
	require.NoError(t, err)
	m, err := e.Compile(context.Background(), decoded(t, guest(t, "within")), ModuleOptions{Entries: []string{"outer", "nested", "missing"}})
	require.NoError(t, err)
	slot, ok := e.AcquireSlot()
	require.True(t, ok)
	in, err := m.Prepare(context.Background(), slot)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, in.Close())
		require.NoError(t, m.Close(context.Background()))
		require.NoError(t, e.Close(context.Background()))
	})
	return in
}

func TestCallWithin(t *testing.T) {
	for name, c := range map[string]struct {
		do     uint64
		target int
		exits  bool
		want   uint64
		kind   Kind
	}{
		"returns":                       {do: 0, target: nested, want: 43},
		"grows the memory":              {do: 2, target: nested, want: 44},
		"calls what is allowed":         {do: 6, target: nested, want: 9},
		"traps":                         {do: 1, target: nested, kind: Trap},
		"does not end":                  {do: 3, target: nested, kind: Deadline},
		"recurses":                      {do: 4, target: nested, kind: StackOverflow},
		"calls what is not allowed":     {do: 5, target: nested, kind: Trap},
		"runs out of memory":            {do: 7, target: nested, kind: OutOfMemory},
		"exits":                         {do: 6, target: nested, exits: true, kind: Exit},
		"is missing":                    {do: 0, target: missing, kind: Trap},
		"is the function that runs now": {do: 0, target: outer, kind: Trap},
	} {
		t.Run(name, func(t *testing.T) {
			in := withinInstance(t, c.target)
			if c.exits {
				in.Exchange = true
			}
			stack := []uint64{c.do}
			deadline := time.Now().Add(time.Minute)
			if c.kind == Deadline {
				deadline = time.Now().Add(10 * time.Millisecond)
			}
			out := in.Call(context.Background(), deadline, outer, stack)
			require.Equal(t, c.kind, out.Kind, "%v", out.Err)
			if c.kind == OK {
				require.Equal(t, c.want, stack[0])
				_, err := in.Reset()
				require.NoError(t, err)
				stack[0] = 0
				require.Equal(t, OK, in.Call(context.Background(), deadline, outer, stack).Kind)
				require.EqualValues(t, 43, stack[0], "the memory has its size again")
			}
			if c.exits {
				require.EqualValues(t, 3, out.ExitCode)
			}
		})
	}
}

func TestCallWithinDoesNotAllocate(t *testing.T) {
	in := withinInstance(t, nested)
	stack := []uint64{0}
	ctx, deadline := context.Background(), time.Now().Add(time.Minute)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		stack[0] = 0
		in.Call(ctx, deadline, outer, stack)
	}))
}
