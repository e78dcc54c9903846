package wasip1

import (
	"bytes"
	"io"
	"testing"

	"github.com/vespo-dev/vespo/runtime/abi/abitest"
)

// TestNoFunctionGrowsTheHeap uses each function of the
// system interface a hundred thousand times in one request.
func TestNoFunctionGrowsTheHeap(t *testing.T) {
	const (
		stdin, stdout, mounted = 0, 1, 3
		name                   = buffer + 0x1000
	)
	g := newGuest(t, tree())
	g.state.Args, g.state.Env = []string{"name"}, []string{"A=b"}
	file := uint64(0)
	begin := func() { // for each function
		g.state.Begin(bytes.NewReader(nil), io.Discard, io.Discard)
		g.put(name, []byte("a.txt"))
		g.putVectors(table, buffer, 16)
		fd, _ := g.open(mounted, "a.txt", 0)
		file = uint64(fd)
	}
	call := func(f string, params ...uint64) func() { return func() { g.call(f, params...) } }
	onFile := func(f string, params ...uint64) func() {
		return func() { g.call(f, append([]uint64{file}, params...)...) }
	}
	abitest.NothingGrows(t, HostModule().Funcs, map[string]func(){
		"args_get":                call("args_get", table+64, buffer),
		"args_sizes_get":          call("args_sizes_get", result, result+4),
		"environ_get":             call("environ_get", table+64, buffer),
		"environ_sizes_get":       call("environ_sizes_get", result, result+4),
		"clock_res_get":           call("clock_res_get", 0, result),
		"clock_time_get":          call("clock_time_get", 0, 0, result),
		"fd_advise":               onFile("fd_advise", 0, 0, 0),
		"fd_allocate":             onFile("fd_allocate", 0, 10),
		"fd_close":                func() { fd, _ := g.open(mounted, "a.txt", 0); g.call("fd_close", uint64(fd)) },
		"fd_datasync":             onFile("fd_datasync"),
		"fd_fdstat_get":           onFile("fd_fdstat_get", result),
		"fd_fdstat_set_flags":     onFile("fd_fdstat_set_flags", 0),
		"fd_fdstat_set_rights":    onFile("fd_fdstat_set_rights", 0, 0),
		"fd_filestat_get":         onFile("fd_filestat_get", buffer),
		"fd_filestat_set_size":    onFile("fd_filestat_set_size", 0),
		"fd_filestat_set_times":   onFile("fd_filestat_set_times", 0, 0, 0),
		"fd_pread":                onFile("fd_pread", table, 1, 0, result),
		"fd_prestat_get":          call("fd_prestat_get", mounted, result),
		"fd_prestat_dir_name":     call("fd_prestat_dir_name", mounted, buffer, 8),
		"fd_pwrite":               onFile("fd_pwrite", table, 1, 0, result),
		"fd_read":                 onFile("fd_read", table, 1, result),
		"fd_readdir":              call("fd_readdir", mounted, buffer, 512, 0, result),
		"fd_renumber":             func() { fd, _ := g.open(mounted, "a.txt", 0); g.call("fd_renumber", uint64(fd), file) },
		"fd_seek":                 onFile("fd_seek", 1, 0, result),
		"fd_sync":                 onFile("fd_sync"),
		"fd_tell":                 onFile("fd_tell", result),
		"fd_write":                call("fd_write", stdout, table, 1, result),
		"path_create_directory":   call("path_create_directory", mounted, name, 5),
		"path_filestat_get":       call("path_filestat_get", mounted, 0, name, 5, buffer),
		"path_filestat_set_times": call("path_filestat_set_times", mounted, 0, name, 5, 0, 0, 0),
		"path_link":               call("path_link", mounted, 0, name, 5, mounted, name, 5),
		"path_open":               func() { g.open(mounted, "a.txt", 0) }, // never closed: descriptors are bounded
		"path_readlink":           call("path_readlink", mounted, name, 5, buffer, 100, result),
		"path_remove_directory":   call("path_remove_directory", mounted, name, 5),
		"path_rename":             call("path_rename", mounted, name, 5, mounted, name, 5),
		"path_symlink":            call("path_symlink", name, 5, mounted, name, 5),
		"path_unlink_file":        call("path_unlink_file", mounted, name, 5),
		"poll_oneoff": func() {
			g.putSubscriptions(table, []subscription{{mark: 7, clock: clockMonotonic}})
			g.call("poll_oneoff", table, buffer, 1, result)
		},
		"proc_exit":     func() { g.bench.Call(g.in, "proc_exit", 0) }, // ends the guest
		"proc_raise":    call("proc_raise", 9),
		"sched_yield":   call("sched_yield"),
		"random_get":    call("random_get", buffer, 16),
		"sock_accept":   call("sock_accept", stdin, 0, result),
		"sock_recv":     call("sock_recv", stdin, table, 1, 0, result, result+4),
		"sock_send":     call("sock_send", stdin, table, 1, 0, result),
		"sock_shutdown": call("sock_shutdown", stdin, 0),
	}, func(code func()) { g.run(t.Context(), func() { begin(); code() }) })
}
