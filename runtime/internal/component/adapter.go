package component

import "strings"

// adapterReset is a function of the adapter that makes it forget what it has allocated. Without the adapter there is nothing to do.
const adapterReset = "reset_adapter_state"

// preview1Prefixes begin the names of the functions of WASI preview 1.
var preview1Prefixes = []string{"args_", "environ_", "clock_", "fd_", "path_", "poll_oneoff", "proc_", "sched_yield", "random_get", "sock_", "adapter_", adapterReset}

// adapter reports whether a module is an adapter of WASI preview 1: all functions that it exports are those of
// preview 1 or allocators, and it imports functions of WASI interfaces and of the program, and the program's memory. The
// host has the functions of preview 1, so the adapter is not needed.
func (d *decoder) adapter(m *module) bool {
	is, ok := d.adapters[m]
	if !ok {
		is = m.adapter()
		d.adapters[m] = is
	}
	return is
}

func (m *module) adapter() bool {
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
	for i := range m.imports {
		im := &m.imports[i]
		if im.sort == coreSortFunc && !strings.HasPrefix(im.module, "wasi:") && im.module != "__main_module__" && im.module != rootInterface {
			return false
		}
	}
	return functions > 0
}

// adapts reports whether an instance is an adapter, and shares memory with the program alone.
func (p *plan) adapts(in *coreInstance) bool {
	for i := range in.module.imports {
		im := &in.module.imports[i]
		if im.sort == coreSortFunc {
			continue
		}
		if owner, _, err := p.d.owner(in.argument(im), im.sort); err != nil || !p.program.has(owner) {
			return false
		}
	}
	return p.d.adapter(in.module)
}

func preview1(name string) bool {
	for _, prefix := range preview1Prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
