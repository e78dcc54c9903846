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
	// firstSliceFuel is what a request starts with: short requests end before it is used up and never yield.
	firstSliceFuel = 20_000
	// A slice is to last sliceTarget: long enough to cost nothing, short enough that a garbage collection, which
	// waits for every goroutine several times, does not notice. What a unit of fuel is worth in time differs
	// between guests by orders of magnitude, so each refill is corrected by what the last slice took.
	// The correction comes too late for a guest that turns from cheap units to dear ones; maxSliceFuel bounds what that can cost.
	sliceTarget          = 100 * time.Microsecond
	minSliceFuel         = 500
	maxSliceFuel         = 64_000
	maxSliceChangeFactor = 4
	// The fuel of a slice is for the guest's own code and knows nothing of what host functions cost. So their calls are counted, and
	// the bytes that they were given: after so much of both together the clock is read.
	callWork    = 4 << 10 // what a call counts besides its bytes
	workPerLook = 32 << 10
	// keepStackBytes is how large a call stack may stay with an idle instance. wazero never shrinks them.
	keepStackBytes = 256 << 10
)

var hostPageBytes = os.Getpagesize()

// run is the state of the current call.
type run struct {
	ctx       context.Context
	deadline  time.Time
	counted   time.Time     // until when the guest's time is in sliceTook and guestTime
	sliceTook time.Duration // without pauses, or a guest could make its slices look short by many of them
	sliceFuel int64
	turnStart time.Time
	hasTurn   bool
	watching  bool // the goroutine is locked to its thread, which had so many faults:
	faults    int64
	hostWork  int64         // of host functions since the clock was read for it, in bytes
	ended     time.Time     // of the last call
	guestTime time.Duration // in the guest and in host functions that do not wait, whole request
}

// Call runs the entry with this index. stack holds its parameters, and then its results. The guest is stopped at the
// deadline or when ctx is done. The call itself allocates nothing.
func (in *Instance) Call(ctx context.Context, deadline time.Time, index int, stack []uint64) Outcome {
	e := &in.entries[index]
	in.begin(ctx, deadline)
	out := in.end(e.fn.CallWithStack(&in.context, stack))
	if in.stacks.bytes(e.fn) > keepStackBytes {
		e.fn = in.mod.ExportedFunction(e.name)
	}
	return out
}

func (in *Instance) begin(ctx context.Context, deadline time.Time) {
	r := &in.run
	r.ctx, r.deadline, r.sliceFuel, r.sliceTook, r.counted = ctx, deadline, firstSliceFuel, 0, time.Now()
	in.depth.Set(uint64(in.module.engine.cfg.StackBytes))
	if in.module.watchFaults {
		goruntime.LockOSThread()
		r.watching, r.faults = true, snapshot.ThreadFaults()
	} else {
		in.faulted = true
	}
}

// endWatch finds out whether pages of memory can have become private since begin: not if the thread had no fault.
func (in *Instance) endWatch() {
	if r := &in.run; r.watching {
		r.watching = false
		in.faulted = in.faulted || snapshot.ThreadFaults() != r.faults
		goruntime.UnlockOSThread()
	}
}

// giveUpWatch lets the goroutine go to other threads, because it is to wait, or takes long.
func (in *Instance) giveUpWatch() {
	if r := &in.run; r.watching {
		r.watching, in.faulted = false, true
		goruntime.UnlockOSThread()
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

// Ended is when the last call ended; zero before the first. It saves callers a look at the clock.
func (in *Instance) Ended() time.Time { return in.run.ended }

// TakeGuestTime returns the time that calls have spent in the guest since it was last asked.
func (in *Instance) TakeGuestTime() time.Duration {
	t := in.run.guestTime
	in.run.guestTime = 0
	return t
}

// Deadline is when the current call is stopped.
func (in *Instance) Deadline() time.Time { return in.run.deadline }

// Context is done when the current call is to be given up.
func (in *Instance) Context() context.Context { return in.run.ctx }

// Epoch is the origin of the guests' monotonic clock. It is older than every snapshot.
func (in *Instance) Epoch() time.Time { return in.module.engine.epoch }

// yield is what the injected checks call: with no fuel left, or with no call stack left. It is where Go can schedule and
// collect, and where deadlines are read. It returns the fuel for the next slice.
func (in *Instance) yield(stack []uint64) {
	if uint32(stack[0]) == rewrite.YieldStackOverflow {
		panic(errStackOverflow)
	}
	in.look()
	r := &in.run
	r.sliceFuel = nextSlice(r.sliceFuel, r.sliceTook)
	r.sliceTook = 0
	stack[0] = uint64(r.sliceFuel)
}

// look ends the call if its time is over, and makes it take turns if it runs for long.
func (in *Instance) look() {
	r, now := &in.run, time.Now()
	in.checkAt(now)
	r.count(now)
	if r.guestTime > turns.LongAfter {
		in.giveUpWatch()
		in.takeTurn(now)
		r.counted = time.Now()
	}
}

// count adds the time since the last count to the guest's.
func (r *run) count(now time.Time) {
	took := now.Sub(r.counted)
	r.guestTime += took
	r.sliceTook += took
	r.counted = now
}

// Check ends the call if its time is over or if nobody waits for it any more. Host functions that wait or loop call it.
func (in *Instance) Check() { in.checkAt(time.Now()) }

func (in *Instance) checkAt(now time.Time) {
	if !now.Before(in.run.deadline) {
		panic(errDeadline)
	}
	if in.run.ctx.Err() != nil || in.module.stopped.Load() {
		panic(errCanceled)
	}
}

// workDone looks at the time if host functions have done much since they last did.
func (in *Instance) workDone() {
	if in.run.hostWork += callWork; in.run.hostWork >= workPerLook {
		in.run.hostWork = 0
		in.look()
	}
}

// nextSlice corrects the fuel of a slice by the time the last one took.
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

func (in *Instance) dropTurn() {
	if in.run.hasTurn {
		in.run.hasTurn = false
		in.module.engine.turns.Release()
	}
}

// Pause is called by host functions before they wait for something outside, Resume after: the time in between is not the
// guest's, and others may use the processor.
func (in *Instance) Pause() {
	if in.OnPause != nil {
		in.OnPause()
	}
	in.giveUpWatch()
	in.run.count(time.Now())
	in.dropTurn()
}

// Resume ends a Pause. It does not return if the call's time is over.
func (in *Instance) Resume() {
	in.run.counted = time.Now()
	in.Check()
}

// Wait pauses the guest for d, or until its time is over: then it does not return. Only for host functions.
func (in *Instance) Wait(d time.Duration) {
	in.Pause()
	timer := time.NewTimer(min(d, time.Until(in.run.deadline)))
	select {
	case <-timer.C:
	case <-in.run.ctx.Done():
		timer.Stop()
	}
	in.Resume()
}

// GiveUp ends the call because nobody can be served any more: the client has gone, or its body cannot be read. Only for
// host functions.
func (in *Instance) GiveUp(cause error) { panic(fmt.Errorf("%w: %w", errCanceled, cause)) }

// ExitGuest unwinds the guest as proc_exit does. Only for host functions.
func (in *Instance) ExitGuest(code uint32) { panic(exitError{code}) }
