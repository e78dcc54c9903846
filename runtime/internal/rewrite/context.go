package rewrite

import "strconv"

// contextSlots is the number of values that a task of WASI 0.3 has.
const contextSlots = 2

// slotAccess is an imported function that reads or writes a value of the task.
type slotAccess struct {
	slot int
	set  bool
}

// contextImports returns the imports of a module that are context.get and context.set, by function index. There are none if a
// reference can name one of them: then all of them stay calls of the host, which sees all values.
func (m *module) contextImports(module string) map[uint32]slotAccess {
	var found map[uint32]slotAccess
	function := uint32(0)
	for _, imp := range m.imports {
		if imp.Kind != KindFunction {
			continue
		}
		if access, ok := contextAccess(imp, module); ok {
			if m.referenced != nil && m.referenced[function] {
				return nil
			}
			if found == nil {
				found = make(map[uint32]slotAccess, 2*contextSlots)
			}
			found[function] = access
		}
		function++
	}
	return found
}

func contextAccess(imp Import, module string) (slotAccess, bool) {
	if module == "" || imp.Module != module {
		return slotAccess{}, false
	}
	params, results := string(typeBytes(imp.Signature.Params)), string(typeBytes(imp.Signature.Results))
	for slot := range contextSlots {
		switch suffix := "-" + strconv.Itoa(slot); imp.Name {
		case "context.get" + suffix:
			return slotAccess{slot: slot}, params == "" && results == string(byte(I32))
		case "context.set" + suffix:
			return slotAccess{slot: slot, set: true}, params == string(byte(I32)) && results == ""
		}
	}
	return slotAccess{}, false
}

// contextGlobal returns the index of the global of a slot. These globals follow those of references.
func (w *writer) contextGlobal(slot int) uint32 {
	return w.references + uint32(len(w.m.refFuncs)) + uint32(slot)
}

// accessContext replaces a call of context.get or context.set, and reports whether the callee is one.
func (b *bodyWriter) accessContext(callee uint32, tail bool) bool {
	access, ok := b.w.context[callee]
	if !ok {
		return false
	}
	global := b.w.contextGlobal(access.slot)
	if access.set {
		b.out.globalSet(global)
	} else {
		b.out.globalGet(global)
	}
	if tail {
		b.out.op(opReturn)
	}
	return true
}
