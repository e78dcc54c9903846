package patience

import (
	"context"
	"errors"
	"sync"
	"time"
)

// vigil ends one request if the server is silent for too long while the client waits for it.
type vigil struct {
	ctx     context.Context            // immutable; of the request
	end     context.CancelCauseFunc    // immutable; of ctx
	silence time.Duration              // immutable; until the header
	pause   time.Duration              // immutable; between parts of the answer
	server  string                     // immutable
	method  string                     // immutable
	probe   func(context.Context) bool // immutable; nil: none

	mu    sync.Mutex
	timer *time.Timer // guarded by mu; nil: the client does not wait
	turn  uint64      // guarded by mu; of the timer, as one that was stopped may run all the same
	begun bool        // guarded by mu; the header of the answer has arrived
}

// wait begins to wait for the header of the answer, or for the server to take a part of the body. After the header, it does
// nothing.
func (v *vigil) wait() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.begun {
		v.start(v.silence, v.probe)
	}
}

// await begins to wait for a part of the answer's body.
func (v *vigil) await() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.start(v.pause, nil)
}

// rest ends the wait.
func (v *vigil) rest() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stop()
}

// answered ends the wait for the header.
func (v *vigil) answered() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.begun = true
	v.stop()
}

// close ends the request.
func (v *vigil) close() {
	v.answered()
	v.end(nil)
}

// start starts the timer for a bound. The caller holds mu.
func (v *vigil) start(bound time.Duration, probe func(context.Context) bool) {
	v.stop()
	turn, since, waiting := v.turn, time.Now(), bound
	if probe != nil {
		waiting /= 2
	}
	v.timer = time.AfterFunc(waiting, func() {
		if probe != nil && time.Since(since) < longest && v.ask(probe) {
			v.again(turn, waiting)
			return
		}
		v.expire(turn, bound)
	})
}

// ask reports whether the server answers the probe within the rest of the time.
func (v *vigil) ask(probe func(context.Context) bool) bool {
	ctx, stop := context.WithTimeout(v.ctx, v.silence-v.silence/2)
	defer stop()
	return probe(ctx)
}

// again starts the timer of a turn anew.
func (v *vigil) again(turn uint64, waiting time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.timer != nil && v.turn == turn {
		v.timer.Reset(waiting)
	}
}

// expire ends the request, if the client still waits.
func (v *vigil) expire(turn uint64, bound time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.timer != nil && v.turn == turn {
		v.end(&SilentError{Server: v.server, Silence: bound, Method: v.method, Begun: v.begun})
	}
}

// stop stops the timer. The caller holds mu.
func (v *vigil) stop() {
	v.turn++
	if v.timer != nil {
		v.timer.Stop()
		v.timer = nil
	}
}

// explain returns the error of a request that was ended, or else err.
func (v *vigil) explain(err error) error {
	var silent *SilentError
	if errors.As(context.Cause(v.ctx), &silent) {
		return silent
	}
	return err
}
