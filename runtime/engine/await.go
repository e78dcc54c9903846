package engine

import (
	"reflect"
	"time"
)

// MaxAwaited is the most channels that Await accepts.
const MaxAwaited = 1 << 10

// Await pauses the guest until one of the channels is closed, or for d. It does not return
// if the call's time is over before. Only for host functions.
func (in *Instance) Await(d time.Duration, ready ...<-chan struct{}) {
	if len(ready) > MaxAwaited {
		panic(Fault{Reason: "the guest waits for too many things at a time"})
	}
	in.PauseFor(nil)
	timer := time.NewTimer(min(d, time.Until(in.run.deadline)))
	defer timer.Stop()
	if len(ready) <= 1 { // the most frequent case needs no reflection
		var only <-chan struct{}
		if len(ready) == 1 {
			only = ready[0]
		}
		select {
		case <-only:
		case <-timer.C:
		case <-in.run.ctx.Done():
		}
		in.Resume()
		return
	}
	cases := make([]reflect.SelectCase, 0, len(ready)+2)
	for _, c := range ready {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c)})
	}
	cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(timer.C)},
		reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(in.run.ctx.Done())})
	_, _, _ = reflect.Select(cases)
	in.Resume()
}
