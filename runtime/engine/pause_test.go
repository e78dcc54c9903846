package engine

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPagesWrittenInPauses lets a host function write to its buffer while the guest is paused, from another thread.
// Each reset is verified: it fails if a written page would have been missed.
func TestPagesWrittenInPauses(t *testing.T) {
	e := open(t, Config{VerifyResets: true, SlotBytes: 100 * PageBytes})
	in := prepare(t, compile(t, e, "state", stateOptions))
	memory := bytes.Clone(in.Memory())
	random := rand.New(rand.NewPCG(3, 4))
	watched, known := in.module.watchFaults, 0
	for n := range 300 {
		in.Exchange = func(uint32) {
			buf := in.View(uint32(random.IntN(len(memory)/2)), uint32(random.IntN(2*maxTouchedBytes)))
			in.PauseFor(buf)
			var other sync.WaitGroup
			other.Go(func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				for i := range buf {
					buf[i] = byte(n) | 1
				}
			})
			other.Wait()
			in.Resume()
		}
		call(t, in, note, 0)
		if !in.faulted {
			known++
		}
		_, err := in.Reset()
		require.NoError(t, err)
		require.True(t, bytes.Equal(memory, in.Memory()))
	}
	if watched {
		require.NotZero(t, known, "some pauses need no scan")
		require.Less(t, known, 300, "large buffers do")
	}
}

// TestPausesEndWatches has a call that ends in its pause, and one that pauses without naming its buffer.
func TestPausesEndWatches(t *testing.T) {
	e := open(t, Config{VerifyResets: true})
	in := prepare(t, compile(t, e, "state", stateOptions))
	if !in.module.watchFaults {
		t.Skip("page faults are not counted on this machine")
	}
	run := func(code func()) Outcome {
		in.Exchange = func(uint32) { code() }
		return in.Call(t.Context(), soon(), note, make([]uint64, 1))
	}
	reset := func() {
		_, err := in.Reset()
		require.NoError(t, err)
	}
	for range 3 {
		require.Equal(t, Exit, run(func() { in.PauseFor(nil); in.ExitGuest(0) }).Kind)
		require.False(t, in.run.watching, "the goroutine is not locked to its thread")
		reset()
		require.Equal(t, OK, run(func() { in.PauseFor(nil); in.Resume() }).Kind)
		require.False(t, in.run.watching)
		reset()
		for _, forgets := range []func(){
			func() { in.Pause(); in.Resume() },
			func() { in.PauseFor(nil); in.Pause(); in.Resume(); in.Resume() },
			func() { in.PauseFor(nil); in.PauseFor(in.Memory()[:10]); in.Resume(); in.Resume() },
			func() { in.PauseFor(nil); in.View(0, 10); in.Resume() },
		} {
			require.Equal(t, OK, run(forgets).Kind)
			require.True(t, in.faulted)
			require.False(t, in.run.watching)
			reset()
		}
	}
	for name, keeps := range map[string]func(){
		"nested": func() { in.PauseFor(nil); in.PauseFor(nil); in.Resume(); in.Resume() },
		"wait":   func() { in.Wait(time.Microsecond) },
		"await":  func() { in.Await(time.Microsecond) },
	} {
		kept := 0
		for range 50 { // the Go heap may cause faults, too
			require.Equal(t, OK, run(keeps).Kind)
			require.False(t, in.run.watching)
			if !in.faulted {
				kept++
			}
			reset()
		}
		require.NotZero(t, kept, name)
	}
}
