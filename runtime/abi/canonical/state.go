package canonical

import (
	"fmt"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// Allocator is the export by which the host allocates memory of the guest:
// (old address, old size, alignment, new size) -> address.
const Allocator = "cabi_realloc"

// State is the state of the canonical ABI for an instance. It is an engine.Instance's Component.
type State struct {
	In *engine.Instance // immutable
	// System is set by the system interface of the component (WASI 0.2).
	System any
	// Tasks is set by an ABI whose components have asynchronous functions (WASI 0.3).
	Tasks any
	// Cloud is set by package wasicloud.
	Cloud any
	// Handles are the resources that the guest holds.
	Handles Table

	initial   *initial // immutable
	allocator int      // immutable; index of the entry Allocator
	stack     [4]uint64
}

// Bind sets up the state of a new instance. allocator is the index of Allocator in the entries of its module. It uses
// the module's Shared.
func Bind(in *engine.Instance, allocator int) *State {
	m := in.Module()
	if m.Shared == nil {
		m.Shared = new(initial)
	}
	s := &State{In: in, initial: m.Shared.(*initial), allocator: allocator}
	in.Component, in.OnCapture = s, s.capture
	return s
}

// Durable is a resource that may be made while the guest is initialised: the guest keeps the handle in its memory, and so in
// the snapshot. Others do not exist any more in the requests.
type Durable interface {
	Resource
	// Renew returns the resource for a request to an instance with this state.
	Renew(s *State) Resource
}

// capture keeps the durable resources of the initialisation, for each request, and drops all handles.
func (s *State) capture() {
	s.initial.captured = true
	s.initial.entries, s.initial.free = s.Handles.durable(s)
	s.Handles.Close()
}

// Begin sets up the handles of a request: those of the initialisation.
func (s *State) Begin() {
	if s.initial.captured {
		s.Handles.Close()
		s.Handles.fill(s)
	}
}

// End drops all handles. Of a request before the snapshot it keeps the durable ones, which the guest may remember.
func (s *State) End() {
	if s.In.Warming {
		s.capture()
	}
	s.Handles.Close()
}

// Of returns the state of an instance for a host function.
func Of(in *engine.Instance) *State {
	s, ok := in.Component.(*State)
	if !ok {
		Trap("the guest is not a component, but calls functions of components")
	}
	return s
}

// CheckAllocator returns an error if a module exports Allocator with a wrong type.
func CheckAllocator(info *engine.Info) error {
	e, ok := abi.FuncExport(info, Allocator)
	i := engine.I32
	if ok && !abi.HasSignature(e, []engine.ValueType{i, i, i, i}, []engine.ValueType{i}) {
		return fmt.Errorf("exports %s with a wrong type: the canonical ABI has it as (i32, i32, i32, i32) -> (i32)", Allocator)
	}
	return nil
}

// Func returns a host function with the state as its receiver. result is its flat result, or 0. It replaces p[0].
func Func(name string, result engine.ValueType, call func(s *State, p []uint64), params ...engine.ValueType) engine.HostFunc {
	f := engine.HostFunc{Name: name, Params: params, Call: func(in *engine.Instance, p []uint64) { call(Of(in), p) }}
	if result != 0 {
		f.Results = []engine.ValueType{result}
	}
	return f
}

// Trap ends the guest because it violated the ABI or the rules of an interface.
func Trap(format string, args ...any) { panic(engine.Fault{Reason: fmt.Sprintf(format, args...)}) }

// Catch calls f between calls of the guest. A Trap in it is the guest's outcome.
func Catch(f func()) (out engine.Outcome) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case engine.Fault:
			out = engine.Outcome{Kind: engine.Trap, Err: r}
		default:
			panic(r)
		}
	}()
	f()
	return engine.Outcome{}
}

// Allocate lets the guest allocate memory, and returns its address and the memory.
func (s *State) Allocate(align, size uint32) (at uint32, to []byte) {
	s.stack = [4]uint64{2: uint64(align), 3: uint64(size)}
	s.In.CallWithin(s.allocator, s.stack[:])
	at = uint32(s.stack[0])
	return at, s.Area(uint64(at), size, align)
}

// Area returns guest memory at an aligned address.
func (s *State) Area(at uint64, size, align uint32) []byte {
	if uint32(at)&(align-1) != 0 {
		Trap("the address %d is not a multiple of %d", uint32(at), align)
	}
	return s.In.View(uint32(at), size)
}
