package engine

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// sleeper is an instance with the state that each of its users must find.
type sleeper struct {
	in      *Instance
	memory  []byte
	globals []uint64
	use     func(random *rand.Rand) // makes a request that changes memory and globals
}

func (s *sleeper) check(t *testing.T, slot *Slot) {
	t.Helper()
	require.True(t, bytes.Equal(s.memory, s.in.Memory()), "the guest's memory is the snapshot")
	require.Equal(t, len(s.memory), int(s.in.mod.Memory().Size()))
	require.True(t, allZero(slot.Bytes()[len(s.memory):]), "nothing is left of the last user")
	require.Equal(t, s.globals, valuesOf(s.in))
}

func valuesOf(in *Instance) (values []uint64) {
	for _, g := range in.globals {
		values = append(values, g.Get())
	}
	return values
}

// sleepersOf prepares an instance of each kind: one whose snapshot is mapped, one that does not write to memory itself, one whose
// snapshot is copied, and one of each again.
func sleepersOf(t *testing.T, e *Engine) (all []*sleeper) {
	for range 2 {
		mapped := prepare(t, compile(t, e, "state", stateOptions))
		readonly := prepare(t, compile(t, e, "readonly", ModuleOptions{Entries: []string{"note"}}))
		copied := prepare(t, compile(t, e, "peek", ModuleOptions{Entries: []string{"peek", "poke", "grow"}}))
		scrambles := func(random *rand.Rand) {
			call(t, mapped, scramble, random.Uint64())
		}
		isWritten := func(random *rand.Rand) {
			readonly.Exchange = func(uint32) {
				view := readonly.View(uint32(random.IntN(len(readonly.Memory())-100)), 100)
				for i := range view {
					view[i] = 0xff
				}
			}
			call(t, readonly, 0, 0)
		}
		pokes := func(random *rand.Rand) {
			call(t, copied, 2, uint64(random.IntN(3)))
			for range 10 {
				call(t, copied, 1, uint64(random.IntN(len(copied.Memory()))))
			}
		}
		all = append(all, &sleeper{in: mapped, use: scrambles}, &sleeper{in: readonly, use: isWritten}, &sleeper{in: copied, use: pokes})
	}
	for _, s := range all {
		s.memory, s.globals = bytes.Clone(s.in.Memory()), valuesOf(s.in)
	}
	return all
}

// TestInstancesSleepAndWakeInOtherSlots has instances sleep after requests that have changed everything, and wake in slots that
// others have left.
func TestInstancesSleepAndWakeInOtherSlots(t *testing.T) {
	for _, disableScan := range []bool{false, true} {
		e := open(t, Config{Slots: 6, DisableScan: disableScan, VerifyResets: true, SlotBytes: 100 * PageBytes})
		all := sleepersOf(t, e)
		slots := make([]*Slot, len(all))
		for i, s := range all {
			slots[i] = s.in.Sleep()
			require.NotNil(t, slots[i])
		}
		random := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			s, slot := all[random.IntN(len(all))], slots[random.IntN(len(slots))]
			require.Zero(t, s.in.mod.Memory().Size(), "an instance that is asleep has no memory")
			require.NoError(t, s.in.Wake(slot))
			s.check(t, slot)
			for range random.IntN(3) {
				s.use(random)
				_, err := s.in.Reset()
				require.NoError(t, err)
				s.check(t, slot)
			}
			switch random.IntN(4) {
			case 0:
				require.NoError(t, s.in.Decommit())
				s.check(t, slot)
			case 1: // the next user does not rely on the reset of this one
				s.use(random)
			}
			require.Same(t, slot, s.in.Sleep())
		}
		for _, slot := range slots {
			e.ReleaseSlot(slot)
			require.True(t, allZero(slot.Bytes()))
		}
	}
}

// TestSleepingInstancesTakeNoSlot closes an instance without a slot.
func TestSleepingInstancesTakeNoSlot(t *testing.T) {
	e := open(t, Config{SlotBytes: 100 * PageBytes})
	in := prepare(t, compile(t, e, "state", stateOptions))
	if in.stacks.known {
		require.Greater(t, in.HostBytes(), int64(instanceBytes+10_000), "wazero keeps a stack for each entry")
	}
	free := e.Stats().FreeSlots
	e.ReleaseSlot(in.Sleep())
	require.Equal(t, free+1, e.Stats().FreeSlots)
	require.Equal(t, 1, e.Stats().Instances, "it is open until the end of the test")
}

func TestFreshInstancesCannotSleep(t *testing.T) {
	e := open(t, Config{SlotBytes: 100 * PageBytes})
	fresh := stateOptions
	fresh.Fresh = true
	in := prepare(t, compile(t, e, "state", fresh))
	memory := bytes.Clone(in.Memory())
	require.Nil(t, in.Sleep())
	require.True(t, bytes.Equal(memory, in.Memory()))
	in, out, err := in.module.Instantiate(context.Background(), soon(), slot(t, e))
	require.NoError(t, err)
	require.True(t, out.Clean())
	require.Nil(t, in.Sleep())
	require.NoError(t, in.Close())
}
