package engine

import (
	"context"
	"fmt"
	"os"
	goruntime "runtime"
	"time"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
	"github.com/vespo-dev/vespo/runtime/internal/snapshot"
	"github.com/vespo-dev/vespo/runtime/internal/turns"
)

const (
	// firstSliceFuel is the initial fuel of a request. Short requests end before it is used up
	// and never yield.
	firstSliceFuel = 20_000
	// sliceTarget is the intended duration of a slice. It makes yields cheap, but is short
	// enough for a garbage collection, which waits for every goroutine several times. The time
	// for a unit of fuel differs between guests by orders of magnitude, so each refill is
	// corrected by the duration of the last slice. The correction is late if a guest changes
	// from cheap units to expensive ones; maxSliceFuel limits the effect.
	sliceTarget          = 100 * time.Microsecond
	minSliceFuel         = 500
	maxSliceFuel         = 64_000
	maxSliceChangeFactor = 4
	// Fuel does not cover the cost of host functions. Their calls and the bytes passed to them
	// are counted separately, and the clock is read after a total of workPerLook.
	callWork    = 4 << 10 // cost of a call besides its bytes
	workPerLook = 32 << 10
	// keepStackBytes is the largest call stack that an idle instance may keep. wazero never shrinks stacks.
	keepStackBytes = 256 << 10
)

var hostPageBytes = os.Getpagesize()

// run is the state of the current call.
type run struct {
	ctx         context.Context
	deadline    time.Time
	counted     time.Time     // end of the time included in sliceTook and guestTime
	sliceTook   time.Duration // without pauses; otherwise a guest could shorten its slices with many of them
	sliceFuel   int64
	given       int64 // the fuel global when it was last set
	work        int64 // units taken before that, of the whole request
	workLimit   int64 // of the whole request; 0: none
	turnStart   time.Time
	hasTurn     bool
	entry       int  // index of the entry that Call has called, or -1
	within      bool // CallWithin is in progress
	sending     bool // send is in progress
	send        turns.Send
	watching    bool // the goroutine is locked to its thread, and faults is valid
	faults      int64
	interrupted bool          // watching goes on with Resume
	hostWork    int64         // work of host functions since the last check of the clock, in bytes
	ended       time.Time     // end of the last call
	guestTime   time.Duration // whole request, in the guest and in host functions that do not wait
}

// Call calls the entry with the given index. stack contains its parameters, and afterwards its
// results. The guest is stopped at the deadline or when ctx is done. Call itself does not allocate. It waits for its turn
// if earlier calls for the same request have run for long.
func (in *Instance) Call(ctx context.Context, deadline time.Time, index int, stack []uint64) Outcome {
	e := &in.entries[index]
	in.begin(ctx, deadline)
	in.ration()
	in.run.entry = index
	if err := in.resumeTurns(); err != nil {
		return in.end(err)
	}
	out := in.end(e.fn.CallWithStack(&in.context, stack))
	if in.stacks.bytes(e.fn) > keepStackBytes {
		e.fn = in.mod.ExportedFunction(e.name)
	}
	return out
}

func (in *Instance) begin(ctx context.Context, deadline time.Time) {
	r := &in.run
	r.ctx, r.deadline, r.sliceFuel, r.sliceTook, r.counted = ctx, deadline, firstSliceFuel, 0, time.Now()
	r.entry, r.within, r.workLimit = -1, false, 0 // within may be left by a call that ended in CallWithin
	r.interrupted = false                         // and this by one that ended in a pause
	in.depth.Set(uint64(in.module.engine.cfg.StackBytes))
	if in.module.watchFaults {
		in.beginWatch()
	} else {
		in.faulted = true
	}
}

// beginWatch locks the goroutine to its thread, and counts its page faults from now on.
func (in *Instance) beginWatch() {
	goruntime.LockOSThread()
	in.run.watching, in.run.faults = true, snapshot.ThreadFaults()
}

// endWatch checks whether pages of memory can have become private since begin. They cannot
// if the thread had no fault.
func (in *Instance) endWatch() {
	if r := &in.run; r.watching {
		r.watching = false
		in.faulted = in.faulted || snapshot.ThreadFaults() != r.faults
		goruntime.UnlockOSThread()
	}
}

// giveUpWatch unlocks the goroutine from its thread, because the guest is about to wait or has run for long.
func (in *Instance) giveUpWatch() {
	switch r := &in.run; {
	case r.watching:
		r.watching, in.faulted = false, true
		goruntime.UnlockOSThread()
	case r.interrupted:
		r.interrupted, in.faulted = false, true
	}
}

func (in *Instance) end(err error) Outcome {
	r := &in.run
	in.endWatch()
	now := time.Now()
	r.count(now)
	r.ended = now
	if r.guestTime < turns.LongAfter {
		in.module.engine.turns.NoteShort(now)
	}
	in.dropTurn()
	r.ctx = nil
	if err == nil {
		return Outcome{}
	}
	return classify(err, in.refused.Get() != 0)
}

// Ended returns the end of the last call; zero before the first. It saves callers from reading the clock.
func (in *Instance) Ended() time.Time { return in.run.ended }

// TakeGuestTime returns the time spent in calls since the last TakeGuestTime.
func (in *Instance) TakeGuestTime() time.Duration {
	t := in.run.guestTime
	in.run.guestTime = 0
	return t
}

// Deadline returns the deadline of the current call.
func (in *Instance) Deadline() time.Time { return in.run.deadline }

// Context returns the context of the current call.
func (in *Instance) Context() context.Context { return in.run.ctx }

// Epoch returns the origin of the guests' monotonic clock. It is before every snapshot.
func (in *Instance) Epoch() time.Time { return in.module.engine.epoch }

// yield is called by the injected checks when the fuel or the call stack is used up. It lets
// Go schedule and collect, and checks the deadline. It returns the fuel for the next slice.
func (in *Instance) yield(stack []uint64) {
	if uint32(stack[0]) == rewrite.YieldStackOverflow {
		panic(errStackOverflow)
	}
	in.countWork()
	in.look()
	r := &in.run
	r.sliceFuel = in.rationed(nextSlice(r.sliceFuel, r.sliceTook))
	r.sliceTook = 0
	r.given = r.sliceFuel
	stack[0] = uint64(r.given)
}

// look ends the call if its time is over, and makes it take turns if it has run for long.
func (in *Instance) look() {
	r, now := &in.run, time.Now()
	in.checkAt(now)
	r.count(now)
	if r.guestTime > turns.LongAfter {
		in.giveUpWatch()
		if in.code.interpreted && r.guestTime > slowTime {
			in.module.engine.noteSlow()
		}
		in.takeTurn(now)
		r.counted = time.Now()
	}
}

// count adds the time since the last count to the guest's time.
func (r *run) count(now time.Time) {
	took := now.Sub(r.counted)
	r.guestTime += took
	r.sliceTook += took
	r.counted = now
}

// Check ends the call if its time is over or its client is gone. Host functions that wait
// or loop must call it.
func (in *Instance) Check() { in.checkAt(time.Now()) }

func (in *Instance) checkAt(now time.Time) {
	if !now.Before(in.run.deadline) {
		panic(errDeadline)
	}
	if in.run.ctx.Err() != nil || in.module.stopped.Load() {
		panic(errCanceled)
	}
}

// workDone counts a call of a host function, and checks the clock after enough work.
func (in *Instance) workDone() {
	if in.run.hostWork += callWork; in.run.hostWork >= workPerLook {
		in.run.hostWork = 0
		in.look()
	}
}

// nextSlice corrects the fuel of a slice by the duration of the last one.
func nextSlice(fuel int64, took time.Duration) int64 {
	next := fuel * maxSliceChangeFactor
	if took > sliceTarget/maxSliceChangeFactor {
		next = int64(float64(fuel) * float64(sliceTarget) / float64(took))
	}
	return min(max(next, minSliceFuel), maxSliceFuel)
}

// takeTurn makes a call that has run for long wait for its turn.
func (in *Instance) takeTurn(now time.Time) {
	r, t := &in.run, in.module.engine.turns
	var err error
	switch {
	case !r.hasTurn:
		err = t.Acquire(r.ctx, r.deadline)
	case now.Sub(r.turnStart) >= turns.Period:
		err = t.Pass(r.ctx, r.deadline)
	default:
		return
	}
	r.hasTurn = err == nil
	if err != nil {
		panic(err)
	}
	r.turnStart = time.Now()
}

// resumeTurns makes a call wait for its turn if earlier calls for the same request have run for long: a guest with many
// short calls must not go on between the turns of others.
func (in *Instance) resumeTurns() error {
	r := &in.run
	if r.guestTime <= turns.LongAfter {
		return nil
	}
	in.giveUpWatch()
	if err := in.module.engine.turns.Acquire(r.ctx, r.deadline); err != nil {
		return err
	}
	r.hasTurn, r.turnStart = true, time.Now()
	r.counted = r.turnStart
	return nil
}

func (in *Instance) dropTurn() {
	in.endSend() // in progress if it has panicked
	if in.run.hasTurn {
		in.run.hasTurn = false
		in.module.engine.turns.Release()
	}
}

// Pause must be called by host functions before they wait for an external event, and Resume afterwards. PauseFor is faster.
// The time in between does not count as the guest's, and other guests may use the processor.
func (in *Instance) Pause() {
	in.giveUpWatch()
	in.pause()
}

// Resume ends a Pause. It does not return if the call's time is over.
func (in *Instance) Resume() {
	in.resumeWatch()
	in.run.counted = time.Now()
	in.Check()
}

// BeginSend must be called by host functions before they write to the client, and EndSend afterwards. The time in
// between does not count as the guest's. If the write blocks, other guests may use the processor. Between calls of the
// guest, they have no effect.
func (in *Instance) BeginSend() {
	if in.run.ctx == nil {
		return
	}
	in.run.count(time.Now())
	if in.run.hasTurn {
		in.run.sending = true
		in.module.engine.turns.BeginSend(&in.run.send)
	}
}

// EndSend ends a BeginSend.
func (in *Instance) EndSend() {
	in.endSend()
	in.run.counted = time.Now()
}

func (in *Instance) endSend() {
	if in.run.sending {
		in.run.sending = false
		in.run.hasTurn = in.module.engine.turns.EndSend(&in.run.send)
	}
}

// Wait pauses the guest for d. It does not return if the call's time is over before. Only for host functions.
func (in *Instance) Wait(d time.Duration) {
	in.PauseFor(nil)
	timer := time.NewTimer(min(d, time.Until(in.run.deadline)))
	select {
	case <-timer.C:
	case <-in.run.ctx.Done():
		timer.Stop()
	}
	in.Resume()
}

// GiveUp ends the call because no response is possible: the client is gone, or its body
// cannot be read. Only for host functions.
func (in *Instance) GiveUp(cause error) { panic(fmt.Errorf("%w: %w", errCanceled, cause)) }

// ExitGuest unwinds the guest, like proc_exit. Only for host functions.
func (in *Instance) ExitGuest(code uint32) { panic(exitError{code}) }
