package concurrent

import (
	"slices"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// ModuleName is the name that guests import the built-ins from.
const ModuleName = "vespo:canon"

const (
	i32 = engine.I32
	i64 = engine.I64
)

// Of returns the state of an instance for a host function.
func Of(c *canonical.State) *State { return c.Tasks.(*State) }

// HostModule returns the built-ins for these types of streams and futures, and further ones. A built-in that exists in
// a synchronous and an asynchronous form has the name of the second with the prefix "[async]".
func HostModule(types []Type, more ...engine.HostFunc) engine.HostModule {
	funcs := slices.Concat(builtins(), more)
	for _, t := range types {
		funcs = append(funcs, t.builtins()...)
	}
	return engine.HostModule{Name: ModuleName, Funcs: funcs}
}

// call returns a built-in that returns an i32 if result is set.
func call(name string, result bool, f func(s *State, p []uint64) uint32, params ...engine.ValueType) engine.HostFunc {
	var kind engine.ValueType
	if result {
		kind = i32
	}
	return canonical.Func(name, kind, func(c *canonical.State, p []uint64) {
		if v := f(Of(c), p); result {
			p[0] = uint64(v)
		}
	}, params...)
}

// action returns a built-in without a result.
func action(name string, f func(s *State, p []uint64), params ...engine.ValueType) engine.HostFunc {
	return call(name, false, func(s *State, p []uint64) uint32 { f(s, p); return 0 }, params...)
}

// builtins returns the built-ins that do not depend on a type.
func builtins() []engine.HostFunc {
	return []engine.HostFunc{
		action("task.cancel", func(s *State, _ []uint64) { s.CancelTask() }),
		action("backpressure.set", func(s *State, p []uint64) { s.SetBackpressure(uint32(p[0]) != 0) }, i32),
		action("backpressure.inc", func(s *State, _ []uint64) { s.IncBackpressure() }),
		action("backpressure.dec", func(s *State, _ []uint64) { s.DecBackpressure() }),
		call("context.get-0", true, func(s *State, _ []uint64) uint32 { return s.Context[0] }),
		call("context.get-1", true, func(s *State, _ []uint64) uint32 { return s.Context[1] }),
		action("context.set-0", func(s *State, p []uint64) { s.Context[0] = uint32(p[0]) }, i32),
		action("context.set-1", func(s *State, p []uint64) { s.Context[1] = uint32(p[0]) }, i32),
		call("thread.yield", true, func(s *State, _ []uint64) uint32 { s.Poll(); return 0 }),
		call("subtask.cancel", true, func(s *State, p []uint64) uint32 { return s.CancelSubtask(uint32(p[0])) }, i32),
		action("subtask.drop", func(s *State, p []uint64) { s.DropSubtask(uint32(p[0])) }, i32),
		call("waitable-set.new", true, func(s *State, _ []uint64) uint32 { return s.NewSet() }),
		call("waitable-set.wait", true, waitSet, i32, i32),
		call("waitable-set.poll", true, func(s *State, p []uint64) uint32 { return s.putEvent(s.PollSet(uint32(p[0])), p[1]) }, i32, i32),
		action("waitable-set.drop", func(s *State, p []uint64) { s.DropSet(uint32(p[0])) }, i32),
		action("waitable.join", func(s *State, p []uint64) { s.Join(uint32(p[0]), uint32(p[1])) }, i32, i32),
		call("error-context.new", true, func(s *State, _ []uint64) uint32 { return s.NewErrorContext() }, i32, i32),
		action("error-context.debug-message", func(s *State, p []uint64) { s.ErrorMessage(uint32(p[0]), uint32(p[1])) }, i32, i32),
		action("error-context.drop", func(s *State, p []uint64) { s.DropErrorContext(uint32(p[0])) }, i32),
	}
}

func waitSet(s *State, p []uint64) uint32 {
	e, err := s.WaitSet(uint32(p[0]), s.await)
	if err != nil {
		panic(err)
	}
	return s.putEvent(e, p[1])
}

// putEvent stores the payloads of an event, and returns its code.
func (s *State) putEvent(e Event, at uint64) uint32 {
	if at%4 != 0 {
		trap("an event is to be stored at %d, which is not aligned", uint32(at))
	}
	to := s.mem.View(uint32(at), 8)
	canonical.PutUint32(to, 0, e.P1)
	canonical.PutUint32(to, 4, e.P2)
	return uint32(e.Code)
}

// builtins returns the built-ins for a type, such as "stream.read<u8>".
func (t Type) builtins() (funcs []engine.HostFunc) {
	base, suffix := "stream.", ""
	if t.Future {
		base = "future."
	}
	if t.Elem != "" {
		suffix = "<" + t.Elem + ">"
	}
	funcs = append(funcs, canonical.Func(base+"new"+suffix, i64, func(c *canonical.State, p []uint64) { p[0] = Of(c).New(t) }))
	for _, writable := range []bool{false, true} {
		copyName, dropName := "read", "drop-readable"
		if writable {
			copyName, dropName = "write", "drop-writable"
		}
		funcs = append(funcs, action(base+dropName+suffix, func(s *State, p []uint64) { s.Drop(t, writable, uint32(p[0])) }, i32),
			call(base+"cancel-"+copyName+suffix, true, func(s *State, p []uint64) uint32 { return s.Cancel(t, writable, uint32(p[0])) }, i32))
		for _, async := range []bool{false, true} {
			name := base + copyName + suffix
			if async {
				name = "[async]" + name
			}
			funcs = append(funcs, t.copyFunc(name, writable, async))
		}
	}
	return funcs
}

func (t Type) copyFunc(name string, writable, async bool) engine.HostFunc {
	if t.Future {
		return call(name, true, func(s *State, p []uint64) uint32 {
			return s.Copy(t, writable, async, uint32(p[0]), uint32(p[1]), 1)
		}, i32, i32)
	}
	return call(name, true, func(s *State, p []uint64) uint32 {
		return s.Copy(t, writable, async, uint32(p[0]), uint32(p[1]), uint32(p[2]))
	}, i32, i32, i32)
}
