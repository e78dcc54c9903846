package component

import "strings"

// preview1Prefixes begin the names of the functions of WASI preview 1.
var preview1Prefixes = []string{"args_", "environ_", "clock_", "fd_", "path_", "poll_oneoff", "proc_", "sched_yield", "random_get", "sock_", "adapter_"}

// adapterKey is a question for adapter. guest may be nil.
type adapterKey struct{ in, guest *coreInstance }

// adapter reports whether an instance is an adapter of WASI preview 1: all functions that it exports are those of
// preview 1 or allocators, and it imports functions of WASI interfaces, the guest's memory, and the guest's own functions. The
// host has the functions of preview 1, so the adapter is not needed.
func (d *decoder) adapter(in, guest *coreInstance) bool {
	key := adapterKey{in, guest}
	is, known := d.adapters[key]
	if !known {
		is = d.preview1Exports(in.module) && in.preview1Imports(guest)
		d.adapters[key] = is
	}
	return is
}

// preview1Exports reports whether a module exports what an adapter does.
func (d *decoder) preview1Exports(m *module) bool {
	is, known := d.likeAdapter[m]
	if !known {
		is = m.preview1Exports()
		d.likeAdapter[m] = is
	}
	return is
}

func (m *module) preview1Exports() bool {
	functions := 0
	for name, e := range m.exports {
		switch {
		case e.sort != coreSortFunc:
		case preview1(name):
			functions++
		case !strings.HasPrefix(name, "cabi_") && !strings.HasPrefix(name, "wasi:"):
			return false
		}
	}
	return functions > 0
}

// preview1Imports reports whether an instance imports what an adapter does.
func (in *coreInstance) preview1Imports(guest *coreInstance) bool {
	for i := range in.module.imports {
		im := &in.module.imports[i]
		if im.sort != coreSortFunc && in.argument(im).from != guest {
			return false
		}
		if im.sort == coreSortFunc && !strings.HasPrefix(im.module, "wasi:") && im.module != "__main_module__" && im.module != rootInterface {
			return false
		}
	}
	return true
}

func preview1(name string) bool {
	for _, prefix := range preview1Prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
