package wasip3

import (
	"math"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/concurrent"
	"github.com/vespo-dev/vespo/runtime/engine"
)

func clockModules() []engine.HostModule {
	now := func(c *canonical.State, p []uint64) { p[0] = uint64(time.Since(c.In.Epoch())) }
	resolution := func(_ *canonical.State, p []uint64) { p[0] = 1 }
	until := func(c *canonical.State, mark uint64) time.Duration {
		return time.Until(c.In.Epoch().Add(duration(mark)))
	}
	length := func(_ *canonical.State, ns uint64) time.Duration { return duration(ns) }
	return []engine.HostModule{
		module("wasi:clocks/monotonic-clock",
			canonical.Func("now", i64, now),
			canonical.Func("get-resolution", i64, resolution),
			canonical.Func("wait-until", none, sleep(until, false), i64),
			canonical.Func("[async-lower]wait-until", i32, sleep(until, true), i64),
			canonical.Func("wait-for", none, sleep(length, false), i64),
			canonical.Func("[async-lower]wait-for", i32, sleep(length, true), i64),
		),
		module("wasi:clocks/system-clock",
			canonical.Func("now", none, func(c *canonical.State, p []uint64) {
				m, t := c.Area(p[0], 16, 8), time.Now()
				canonical.PutUint64(m, 0, uint64(t.Unix()))
				canonical.PutUint64(m, 8, uint64(t.Nanosecond()))
			}, i32),
			canonical.Func("get-resolution", i64, resolution),
		),
	}
}

// duration returns a duration of the guest, at most some centuries.
func duration(ns uint64) time.Duration { return time.Duration(min(ns, math.MaxInt64/2)) }

// sleep returns a host function that waits.
func sleep(length func(c *canonical.State, v uint64) time.Duration, async bool) func(c *canonical.State, p []uint64) {
	return func(c *canonical.State, p []uint64) {
		a := &alarm{over: make(chan struct{})}
		if d := min(length(c, p[0]), time.Until(c.In.Deadline())); d > 0 { // then the guest is stopped
			a.timer = time.AfterFunc(d, func() { close(a.over) })
		} else {
			close(a.over)
		}
		if status := concurrent.Of(c).Call(a, async); async {
			p[0] = uint64(status)
		}
	}
}

// alarm is a wait for a time. It is a concurrent.Operation.
type alarm struct {
	over  chan struct{} // closed by timer
	timer *time.Timer   // nil if the time was over at once
}

// Poll implements concurrent.Operation.
func (a *alarm) Poll() (returned bool) { return closed(a.over) }

// Ready implements concurrent.Operation.
func (a *alarm) Ready() <-chan struct{} { return a.over }

// Cancel implements concurrent.Operation.
func (a *alarm) Cancel() {
	if a.timer != nil {
		a.timer.Stop()
	}
}
