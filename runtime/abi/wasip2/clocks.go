package wasip2

import (
	"math"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// forever is a wait that only the deadline of the request ends.
const forever = time.Duration(math.MaxInt64)

func clockModules() []engine.HostModule {
	return []engine.HostModule{
		module("wasi:clocks/monotonic-clock",
			define("now", i64, func(s *State, p []uint64) { p[0] = uint64(time.Since(s.In.Epoch())) }),
			define("resolution", i64, func(_ *State, p []uint64) { p[0] = 1 }),
			define("subscribe-instant", i32, func(s *State, p []uint64) { p[0] = s.alarm(s.In.Epoch(), p[0]) }, i64),
			define("subscribe-duration", i32, func(s *State, p []uint64) { p[0] = s.alarm(time.Now(), p[0]) }, i64),
		),
		module("wasi:clocks/wall-clock",
			define("now", none, func(s *State, p []uint64) { putDatetime(s.Area(p[0], 16, 8), time.Now()) }, i32),
			define("resolution", none, func(s *State, p []uint64) { putDatetime(s.Area(p[0], 16, 8), time.Unix(0, 1)) }, i32),
		),
		module("wasi:clocks/timezone",
			define("display", none, timezone, i64, i32, i32),
			define("utc-offset", i32, func(_ *State, p []uint64) { p[0] = 0 }, i64, i32),
		),
	}
}

// alarm returns the handle of a pollable that is ready after ns nanoseconds from a time.
func (s *State) alarm(from time.Time, ns uint64) uint64 {
	p := &Pollable{at: from.Add(time.Duration(min(ns, math.MaxInt64/2)))} // centuries
	return Subscribe(s.State, p, 0)
}

// putDatetime writes seconds and nanoseconds.
func putDatetime(m []byte, t time.Time) {
	canonical.PutUint64(m, 0, uint64(t.Unix()))
	canonical.PutUint32(m, 8, uint32(t.Nanosecond()))
}

// timezone: datetime -> (offset, name, daylight saving). The time zone of guests is UTC.
func timezone(s *State, p []uint64) {
	m := s.Area(p[2], 16, 4)
	clear(m)
	s.PutString(m, 4, "UTC")
}
