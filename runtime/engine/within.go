package engine

import "fmt"

// CallWithin calls the entry with the given index from inside a host function, such as the allocator of a component. The
// stack is that of Call. The call belongs to the outer one: it has the same fuel, depth and deadline, and a trap or an exit in it
// ends the outer call, so CallWithin does not return then. Meanwhile the guest can call only the host modules that
// allow it. It does not allocate.
func (in *Instance) CallWithin(index int, stack []uint64) {
	e := &in.entries[index]
	switch {
	case e.fn == nil:
		panic(Fault{Reason: fmt.Sprintf("a host function needs the guest's function %q, which it does not export", e.name)})
	case in.run.within || in.run.entry == index: // wazero's call stack of a function serves one call
		panic(Fault{Reason: fmt.Sprintf("the guest's function %q is called within itself", e.name)})
	}
	in.run.within = true
	if err := e.fn.CallWithStack(&in.context, stack); err != nil {
		panic(err)
	}
	in.run.within = false
	in.run.hostWork += callWork
	if in.stacks.bytes(e.fn) > keepStackBytes {
		e.fn = in.mod.ExportedFunction(e.name)
	}
}
