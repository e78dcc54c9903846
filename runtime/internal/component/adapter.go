package component

import "strings"

// preview1Prefixes begin the names of the functions of WASI preview 1.
var preview1Prefixes = []string{"args_", "environ_", "clock_", "fd_", "path_", "poll_oneoff", "proc_", "sched_yield", "random_get", "sock_", "adapter_"}

// adapter reports whether an instance is an adapter of WASI preview 1: all functions that it exports are those of
// preview 1 or allocators, and it imports functions of WASI interfaces, the guest's memory, and the guest's own functions. The
// host has the functions of preview 1, so the adapter is not needed.
func (d *decoder) adapter(in, guest *coreInstance) bool {
	functions := 0
	for name, e := range in.module.exports {
		switch {
		case e.sort != coreSortFunc:
		case preview1(name):
			functions++
		case !strings.HasPrefix(name, "cabi_") && !strings.HasPrefix(name, "wasi:"):
			return false
		}
	}
	for i := range in.module.imports {
		im := &in.module.imports[i]
		if im.sort != coreSortFunc && in.argument(im).from != guest {
			return false
		}
		if im.sort == coreSortFunc && !strings.HasPrefix(im.module, "wasi:") && im.module != "__main_module__" && im.module != rootInterface {
			return false
		}
	}
	return functions > 0
}

func preview1(name string) bool {
	for _, prefix := range preview1Prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
