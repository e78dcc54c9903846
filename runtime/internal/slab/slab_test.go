package slab_test

import (
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/internal/slab"
)

func open(t *testing.T, slots int, slotBytes int64) *slab.Slab {
	t.Helper()
	s, err := slab.Open(slots, slotBytes)
	require.NoError(t, err)
	return s
}

func acquire(t *testing.T, s *slab.Slab) *slab.Slot {
	t.Helper()
	slot, ok := s.Acquire()
	require.True(t, ok)
	return slot
}

func TestOpenRefusesSizes(t *testing.T) {
	const page = slab.PageBytes
	for _, c := range []struct {
		name      string
		slots     int
		slotBytes int64
		says      string
	}{
		{"no slots", 0, page, "at least one"},
		{"negative slots", -1, page, "at least one"},
		{"no bytes", 1, 0, "positive multiple of 65536"},
		{"negative bytes", 1, -page, "positive multiple of 65536"},
		{"a host page", 1, 4096, "positive multiple of 65536"},
		{"a page and a byte", 1, page + 1, "positive multiple of 65536"},
		{"4 GiB", 1, 4 << 30, "above the maximum of 4294901760"},
		{"product overflows", math.MaxInt, page, "more than this machine can address"},
		{"product overflows to a small number", math.MaxInt/page + 2, page, "more than this machine can address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := slab.Open(c.slots, c.slotBytes)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestSlotsAreDisjointZeroAndAligned(t *testing.T) {
	s := open(t, 5, 2*slab.PageBytes)
	var slots []*slab.Slot
	for i := range 5 {
		slot := acquire(t, s)
		require.Equal(t, slab.SlotID(i), slot.ID())
		require.Len(t, slot.Bytes(), 2*slab.PageBytes)
		require.Equal(t, len(slot.Bytes()), cap(slot.Bytes()), "an append must not reach the neighbour")
		for _, b := range slot.Bytes() {
			require.Zero(t, b)
		}
		slots = append(slots, slot)
	}
	for i, slot := range slots {
		fill(slot.Bytes(), byte(i+1))
	}
	for i, slot := range slots {
		b := slot.Bytes()
		require.Equal(t, byte(i+1), b[0])
		require.Equal(t, byte(i+1), b[len(b)-1])
		clear(b)
		s.Release(slot)
	}
	require.NoError(t, s.Close())
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

func TestAcquireIsLastInFirstOutAndNeverWaits(t *testing.T) {
	s := open(t, 3, slab.PageBytes)
	a, b, c := acquire(t, s), acquire(t, s), acquire(t, s)
	_, ok := s.Acquire()
	require.False(t, ok)
	require.Equal(t, slab.Stats{Slots: 3, Free: 0, SlotBytes: slab.PageBytes}, s.Stats())
	s.Release(b)
	s.Release(c)
	s.Release(a)
	require.Equal(t, 3, s.Stats().Free)
	address := &a.Bytes()[0]
	require.Same(t, a, acquire(t, s))
	require.Same(t, address, &a.Bytes()[0], "the address of a slot never changes")
	require.Same(t, c, acquire(t, s))
	require.Same(t, b, acquire(t, s))
}

func TestReleasePanicsOnMisuse(t *testing.T) {
	s, other := open(t, 2, slab.PageBytes), open(t, 2, slab.PageBytes)
	slot := acquire(t, s)
	require.PanicsWithValue(t, "slab: slot 0 released to a slab that it is not from", func() { other.Release(slot) })
	s.Release(slot)
	slot.Dirty = true
	require.PanicsWithValue(t, "slab: slot 0 released without being wiped", func() { s.Release(slot) })
	slot.Dirty = false
	require.PanicsWithValue(t, "slab: slot 0 released twice", func() { s.Release(slot) })
	require.Equal(t, 2, s.Stats().Free, "a refused release changes nothing")
}

func TestCloseReportsLeaks(t *testing.T) {
	s := open(t, 4, slab.PageBytes)
	kept := acquire(t, s)
	leaked := acquire(t, s)
	s.Release(kept)
	require.ErrorContains(t, s.Close(), "1 of 4 slots were not released, the first is slot 1")
	leaked.Bytes()[0] = 1 // still mapped: it may be in use
	leaked.Bytes()[0] = 0
	s.Release(leaked)
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Close(), slab.ErrClosed)
	_, ok := s.Acquire()
	require.False(t, ok, "a closed slab hands out nothing")
}

// TestHammer detects slots with two concurrent owners: each owner writes its number and must read it back.
func TestHammer(t *testing.T) {
	const slots, holders, rounds = 4, 8, 2000
	s := open(t, slots, slab.PageBytes)
	var wg sync.WaitGroup
	for h := range holders {
		wg.Go(func() {
			for range rounds {
				slot, ok := s.Acquire()
				if !ok {
					continue
				}
				b := slot.Bytes()
				if b[0] != 0 {
					t.Errorf("holder %d got slot %d unwiped or in use by holder %d", h, slot.ID(), b[0]-1)
				}
				b[0] = byte(h + 1)
				if b[0] != byte(h+1) {
					t.Errorf("slot %d is held twice", slot.ID())
				}
				b[0] = 0
				s.Release(slot)
			}
		})
	}
	wg.Wait()
	require.Equal(t, slots, s.Stats().Free)
	require.NoError(t, s.Close())
}

func BenchmarkAcquireRelease(b *testing.B) {
	s, err := slab.Open(64, slab.PageBytes)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		slot, _ := s.Acquire()
		s.Release(slot)
	}
	require.NoError(b, s.Close())
}
