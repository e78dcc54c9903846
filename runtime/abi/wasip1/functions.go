package wasip1

import (
	"github.com/vespo-dev/vespo/runtime/engine"
)

const (
	i32 = engine.I32
	i64 = engine.I64
)

// function implements a WASI function. It takes the parameters and returns an error number.
type function func(in *engine.Instance, s *State, p []uint64) errno

func define(name string, f function, params ...engine.ValueType) engine.HostFunc {
	return engine.HostFunc{
		Name:    name,
		Params:  params,
		Results: []engine.ValueType{i32},
		Call:    func(in *engine.Instance, stack []uint64) { stack[0] = uint64(f(in, state(in), stack)) },
	}
}

// fixed returns a function that always returns e, for functions that are not supported.
func fixed(e errno) function {
	return func(*engine.Instance, *State, []uint64) errno { return e }
}

// onDescriptor returns a function that returns errBadf for a closed
// descriptor and e for an open one. The descriptor is the first parameter.
func onDescriptor(e errno) function {
	return func(_ *engine.Instance, s *State, p []uint64) errno {
		if _, bad := s.descriptor(p[0]); bad != success {
			return bad
		}
		return e
	}
}

// inDirectory is like onDescriptor, but returns errNotdir
// unless the descriptor is a directory. Mounts are read-only.
func inDirectory(e errno) function {
	return func(_ *engine.Instance, s *State, p []uint64) errno {
		d, bad := s.descriptor(p[0])
		switch {
		case bad != success:
			return bad
		case !d.isDir:
			return errNotdir
		}
		return e
	}
}

// fdAdvise accepts any advice about a file and ignores it.
func fdAdvise(_ *engine.Instance, s *State, p []uint64) errno {
	d, bad := s.descriptor(p[0])
	if bad == success && d.fsys == nil {
		bad = errSpipe
	}
	return bad
}

// HostModule returns the functions of the system interface. Every
// instance whose module imports one of them needs a *State as its System.
func HostModule() engine.HostModule {
	return engine.HostModule{
		Name:   ModuleName,
		Within: true, // the runtime of Go reads clocks in its allocator
		Funcs: []engine.HostFunc{
			define("args_get", argsGet, i32, i32),
			define("args_sizes_get", argsSizesGet, i32, i32),
			define("environ_get", environGet, i32, i32),
			define("environ_sizes_get", environSizesGet, i32, i32),
			define("clock_res_get", clockResGet, i32, i32),
			define("clock_time_get", clockTimeGet, i32, i64, i32),
			define("fd_advise", fdAdvise, i32, i64, i64, i32),
			define("fd_allocate", onDescriptor(errSpipe), i32, i64, i64),
			define("fd_close", fdClose, i32),
			define("fd_datasync", onDescriptor(success), i32),
			define("fd_fdstat_get", fdFdstatGet, i32, i32),
			define("fd_fdstat_set_flags", onDescriptor(success), i32, i32),
			define("fd_fdstat_set_rights", onDescriptor(success), i32, i64, i64),
			define("fd_filestat_get", fdFilestatGet, i32, i32),
			define("fd_filestat_set_size", onDescriptor(errInval), i32, i64),
			define("fd_filestat_set_times", onDescriptor(errInval), i32, i64, i64, i32),
			define("fd_pread", fdPread, i32, i32, i32, i64, i32),
			define("fd_prestat_get", fdPrestatGet, i32, i32),
			define("fd_prestat_dir_name", fdPrestatDirName, i32, i32, i32),
			define("fd_pwrite", onDescriptor(errSpipe), i32, i32, i32, i64, i32),
			define("fd_read", fdRead, i32, i32, i32, i32),
			define("fd_readdir", fdReaddir, i32, i32, i32, i64, i32),
			define("fd_renumber", fdRenumber, i32, i32),
			define("fd_seek", fdSeek, i32, i64, i32, i32),
			define("fd_sync", onDescriptor(success), i32),
			define("fd_tell", fdTell, i32, i32),
			define("fd_write", fdWrite, i32, i32, i32, i32),
			define("path_create_directory", inDirectory(errRofs), i32, i32, i32),
			define("path_filestat_get", pathFilestatGet, i32, i32, i32, i32, i32),
			define("path_filestat_set_times", inDirectory(errRofs), i32, i32, i32, i32, i64, i64, i32),
			define("path_link", inDirectory(errRofs), i32, i32, i32, i32, i32, i32, i32),
			define("path_open", pathOpen, i32, i32, i32, i32, i32, i64, i64, i32, i32),
			define("path_readlink", inDirectory(errInval), i32, i32, i32, i32, i32, i32),
			define("path_remove_directory", inDirectory(errRofs), i32, i32, i32),
			define("path_rename", inDirectory(errRofs), i32, i32, i32, i32, i32, i32),
			define("path_symlink", fixed(errBadf), i32, i32, i32, i32, i32),
			define("path_unlink_file", inDirectory(errRofs), i32, i32, i32),
			define("poll_oneoff", pollOneoff, i32, i32, i32, i32),
			{Name: "proc_exit", Params: []engine.ValueType{i32}, Call: procExit},
			define("proc_raise", fixed(errNotsup), i32),
			define("sched_yield", schedYield),
			define("random_get", randomGet, i32, i32),
			define("sock_accept", onDescriptor(errNotsock), i32, i32, i32),
			define("sock_recv", onDescriptor(errNotsock), i32, i32, i32, i32, i32, i32),
			define("sock_send", onDescriptor(errNotsock), i32, i32, i32, i32, i32),
			define("sock_shutdown", onDescriptor(errNotsock), i32, i32),
		},
	}
}

func procExit(in *engine.Instance, stack []uint64) { in.ExitGuest(uint32(stack[0])) }

func schedYield(in *engine.Instance, _ *State, _ []uint64) errno {
	in.Check()
	return success
}
