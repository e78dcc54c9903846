package wasip1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
)

func TestArgumentsAndEnvironment(t *testing.T) {
	for _, c := range []struct {
		name string
		list []string
	}{
		{"none", nil},
		{"one", []string{"a=b"}},
		{"empty strings", []string{"", "x", ""}},
		{"many", strings.Split(strings.Repeat("NAME=value ", 1000), " ")},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuest(t)
			g.state.Args, g.state.Env = c.list, append([]string{"FIRST=1"}, c.list...)
			g.do(func() {
				require.Equal(t, c.list, g.list("args_sizes_get", "args_get"))
				require.Equal(t, g.state.Env, g.list("environ_sizes_get", "environ_get"))
			})
		})
	}
}

// list reads a list of strings as a C library does: sizes first.
func (g *guest) list(sizes, get string) (list []string) {
	require.Equal(g.t, success, g.call(sizes, result, result+4))
	count, total := g.u32(result), g.u32(result+4)
	require.Equal(g.t, success, g.call(get, table, table+uint64(4*count)))
	for i := range count {
		at := g.u32(table + 4*i)
		require.GreaterOrEqual(g.t, at, table+4*count)
		require.LessOrEqual(g.t, at, table+4*count+total)
		list = append(list, string(bytes.SplitN(g.in.Memory()[at:], []byte{0}, 2)[0]))
	}
	return list
}

func TestClocks(t *testing.T) {
	g := newGuest(t)
	g.do(func() {
		before := time.Now()
		require.Equal(t, success, g.call("clock_time_get", clockRealtime, 1, result))
		require.WithinRange(t, time.Unix(0, int64(g.u64(result))), before, time.Now())

		require.Equal(t, success, g.call("clock_time_get", clockMonotonic, 1, result))
		first := g.u64(result)
		require.Equal(t, success, g.call("clock_time_get", clockMonotonic, 1, result))
		require.GreaterOrEqual(t, g.u64(result), first)

		for _, id := range []uint64{clockRealtime, clockMonotonic} {
			require.Equal(t, success, g.call("clock_res_get", id, result))
			require.EqualValues(t, 1, g.u64(result))
		}
		for _, id := range []uint64{2, 3, 4, 1<<32 - 1} {
			require.Equal(t, errInval, g.call("clock_time_get", id, 1, result), "CPU clocks are not offered")
			require.Equal(t, errInval, g.call("clock_res_get", id, result))
		}
	})
}

func TestRandom(t *testing.T) {
	g := newGuest(t)
	g.do(func() {
		require.Equal(t, success, g.call("random_get", buffer, 0))
		require.Equal(t, make([]byte, 64), g.bytes(buffer, 64))
		require.Equal(t, success, g.call("random_get", buffer, 32))
		require.NotEqual(t, make([]byte, 32), g.bytes(buffer, 32))
		require.Equal(t, make([]byte, 32), g.bytes(buffer+32, 32), "not a byte more")
		require.Equal(t, success, g.call("random_get", 0, size))
		require.Less(t, bytes.Count(g.in.Memory(), []byte{0}), size/64)
	})
}

func TestRead(t *testing.T) {
	failure := errors.New("broken")
	for _, c := range []struct {
		name    string
		stdin   io.Reader
		vectors []uint32
		want    []string // bytes read by each call
		errno   errno    // of the last call
	}{
		{"to the end", strings.NewReader("hello"), []uint32{buffer, 100}, []string{"hello", "", ""}, success},
		{"in pieces", strings.NewReader("hello"), []uint32{buffer, 2}, []string{"he", "ll", "o", ""}, success},
		{"the first vector that holds anything", strings.NewReader("hello"), []uint32{0, 0, buffer, 3, 0x4000, 3}, []string{"hel", "lo"}, success},
		{"no vectors", strings.NewReader("hello"), nil, []string{""}, success},
		{"empty vectors", strings.NewReader("hello"), []uint32{0, 0, 0, 0}, []string{""}, success},
		{"one byte at a time", iotest.OneByteReader(strings.NewReader("ab")), []uint32{buffer, 100}, []string{"a", "b", ""}, success},
		{"data with the end", iotest.DataErrReader(strings.NewReader("ab")), []uint32{buffer, 100}, []string{"ab", ""}, success},
		{"nothing at first", &hesitant{strings.NewReader("ab"), 3}, []uint32{buffer, 100}, []string{"ab", ""}, success},
		{"broken", io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(failure)), []uint32{buffer, 100}, []string{"ab", ""}, errIO},
		{"closed", nil, []uint32{buffer, 100}, []string{""}, errBadf},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuest(t)
			g.state.Begin(c.stdin, nil, nil)
			g.do(func() {
				g.putVectors(table, c.vectors...)
				for i, want := range c.want {
					g.putVectors(result, 0)
					e := g.call("fd_read", 0, table, uint64(len(c.vectors)/2), result)
					if i == len(c.want)-1 {
						require.Equal(t, c.errno, e)
					}
					require.Equal(t, want, string(g.bytes(buffer, g.u32(result))))
				}
			})
		})
	}
}

// hesitant returns 0 bytes at first, as io.Reader permits.
type hesitant struct {
	io.Reader
	times int
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.times--; h.times >= 0 {
		return 0, nil
	}
	return h.Reader.Read(p)
}

func TestWrite(t *testing.T) {
	g := newGuest(t)
	var stdout, stderr bytes.Buffer
	g.state.Begin(nil, &stdout, &stderr)
	g.do(func() {
		g.put(buffer, []byte("hello, world"))
		g.putVectors(table, buffer, 5, 0, 0, buffer+5, 7)
		require.Equal(t, success, g.call("fd_write", 1, table, 3, result))
		require.EqualValues(t, 12, g.u32(result))
		require.Equal(t, success, g.call("fd_write", 2, table, 1, result))
		require.EqualValues(t, 5, g.u32(result))
		require.Equal(t, success, g.call("fd_write", 2, table, 0, result))
		require.EqualValues(t, 0, g.u32(result))
		require.Equal(t, errInval, g.call("fd_write", 1, table, maxVectors+1, result))
		require.Equal(t, errBadf, g.call("fd_write", 0, table, 1, result), "not writable")
		require.Equal(t, errBadf, g.call("fd_read", 1, table, 1, result), "not readable")
	})
	require.Equal(t, "hello, world", stdout.String())
	require.Equal(t, "hello", stderr.String())
	g.state.Begin(nil, failing{}, nil)
	g.do(func() { require.Equal(t, errIO, g.call("fd_write", 1, table, 1, result)) })
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestDescriptorsBelongToARequest(t *testing.T) {
	g := newGuest(t)
	var stdout, stderr bytes.Buffer
	write := func(fd uint64, text string) errno {
		g.put(buffer, []byte(text))
		g.putVectors(table, buffer, uint32(len(text)))
		return g.call("fd_write", fd, table, 1, result)
	}
	for range 2 { // changes by the first request must not affect the second one
		stdout.Reset()
		stderr.Reset()
		g.state.Begin(strings.NewReader(""), &stdout, &stderr)
		g.do(func() {
			require.Equal(t, success, write(1, "out"))
			require.Equal(t, success, g.call("fd_renumber", 2, 2), "onto itself")
			require.Equal(t, success, write(2, "error"))
			require.Equal(t, success, g.call("fd_renumber", 2, 1))
			require.Equal(t, success, write(1, " by stdout"))
			require.Equal(t, errBadf, write(2, "x"), "it has another number now")
			require.Equal(t, success, g.call("fd_close", 1))
			require.Equal(t, errBadf, g.call("fd_close", 1))
			require.Equal(t, errBadf, g.call("fd_close", 3))
			require.Equal(t, errBadf, g.call("fd_close", 1<<32-1))
			require.Equal(t, errBadf, g.call("fd_renumber", 0, 1), "no number that is not in use")
			require.Equal(t, errBadf, g.call("fd_renumber", 1, 0))
		})
		require.Equal(t, "out", stdout.String())
		require.Equal(t, "error by stdout", stderr.String())
	}
}

// TestStreamsAreNoFiles calls functions that only work on files.
func TestStreamsAreNoFiles(t *testing.T) {
	for _, c := range []struct {
		name   string
		params []uint64
		open   errno // for an open standard stream
		closed errno
	}{
		{"fd_advise", []uint64{0, 0, 0}, errSpipe, errBadf},
		{"fd_allocate", []uint64{0, 0}, errSpipe, errBadf},
		{"fd_datasync", nil, success, errBadf},
		{"fd_fdstat_get", []uint64{result}, success, errBadf},
		{"fd_fdstat_set_flags", []uint64{4}, success, errBadf},
		{"fd_fdstat_set_rights", []uint64{0, 0}, success, errBadf},
		{"fd_filestat_get", []uint64{result}, success, errBadf},
		{"fd_filestat_set_size", []uint64{0}, errInval, errBadf},
		{"fd_filestat_set_times", []uint64{0, 0, 0}, errInval, errBadf},
		{"fd_pread", []uint64{table, 1, 0, result}, errSpipe, errBadf},
		{"fd_prestat_get", []uint64{result}, errBadf, errBadf},
		{"fd_prestat_dir_name", []uint64{result, 10}, errBadf, errBadf},
		{"fd_pwrite", []uint64{table, 1, 0, result}, errSpipe, errBadf},
		{"fd_readdir", []uint64{buffer, 100, 0, result}, errNotdir, errBadf},
		{"fd_seek", []uint64{0, 1, result}, errSpipe, errBadf},
		{"fd_sync", nil, success, errBadf},
		{"fd_tell", []uint64{result}, errSpipe, errBadf},
		{"path_create_directory", []uint64{buffer, 1}, errNotdir, errBadf},
		{"path_filestat_get", []uint64{0, buffer, 1, result}, errNotdir, errBadf},
		{"path_filestat_set_times", []uint64{0, buffer, 1, 0, 0, 0}, errNotdir, errBadf},
		{"path_link", []uint64{0, buffer, 1, 0, buffer, 1}, errNotdir, errBadf},
		{"path_open", []uint64{0, buffer, 1, 0, 0, 0, 0, result}, errNotdir, errBadf},
		{"path_readlink", []uint64{buffer, 1, buffer, 1, result}, errNotdir, errBadf},
		{"path_remove_directory", []uint64{buffer, 1}, errNotdir, errBadf},
		{"path_rename", []uint64{buffer, 1, 0, buffer, 1}, errNotdir, errBadf},
		{"path_unlink_file", []uint64{buffer, 1}, errNotdir, errBadf},
		{"sock_accept", []uint64{0, result}, errNotsock, errBadf},
		{"sock_recv", []uint64{table, 1, 0, result, result}, errNotsock, errBadf},
		{"sock_send", []uint64{table, 1, 0, result}, errNotsock, errBadf},
		{"sock_shutdown", []uint64{3}, errNotsock, errBadf},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuest(t)
			g.state.Begin(strings.NewReader(""), io.Discard, nil)
			g.do(func() {
				require.Equal(t, c.open, g.call(c.name, append([]uint64{1}, c.params...)...))
				for _, fd := range []uint64{2, 3, 1 << 31, 1<<32 - 1} {
					require.Equal(t, c.closed, g.call(c.name, append([]uint64{fd}, c.params...)...))
				}
			})
		})
	}
}

// TestStreamsLookLikePipes keeps C programs from flushing line by line.
func TestStreamsLookLikePipes(t *testing.T) {
	g := newGuest(t)
	g.state.Begin(strings.NewReader(""), io.Discard, io.Discard)
	g.do(func() {
		for fd, right := range []uint64{rightRead, rightWrite, rightWrite} {
			require.Equal(t, success, g.call("fd_fdstat_get", uint64(fd), result))
			require.EqualValues(t, typeUnknown, g.bytes(result, 1)[0])
			require.EqualValues(t, right|rightPoll, g.u64(result+8))
		}
	})
}

func TestExit(t *testing.T) {
	for _, code := range []uint32{0, 1, 255, 1<<32 - 1} {
		g := newGuest(t)
		out := g.run(context.Background(), func() { g.call("proc_exit", uint64(code)) })
		require.Equal(t, engine.Exit, out.Kind)
		require.Equal(t, code, out.ExitCode)
		require.Equal(t, code == 0, out.Clean())
	}
}

func TestWhatThereIsNot(t *testing.T) {
	g := newGuest(t)
	g.do(func() {
		require.Equal(t, errNotsup, g.call("proc_raise", 6))
		require.Equal(t, errBadf, g.call("path_symlink", buffer, 1, 0, buffer, 1))
		require.Equal(t, success, g.call("sched_yield"))
	})
}

// TestBadPointersTrap calls each function with addresses outside of the guest's memory.
func TestBadPointersTrap(t *testing.T) {
	const outside = size - 1
	for name, params := range map[string][]uint64{
		"args_sizes_get": {outside, 0}, "environ_sizes_get": {0, outside}, "args_get": {outside, 0}, "environ_get": {0, outside},
		"clock_res_get": {0, outside}, "clock_time_get": {0, 0, outside}, "random_get": {outside, 2},
		"fd_read": {0, outside, 1, 0}, "fd_write": {1, outside, 1, 0}, "fd_fdstat_get": {1, outside}, "fd_filestat_get": {1, outside},
		"poll_oneoff": {outside, 0, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t)
			g.state.Args, g.state.Env = []string{"a"}, []string{"b"}
			g.state.Begin(strings.NewReader("x"), io.Discard, nil)
			out := g.run(context.Background(), func() { g.call(name, params...) })
			require.Equal(t, engine.Trap, out.Kind, "%v", out.Err)
			require.ErrorContains(t, out.Err, "memory")
		})
	}
}

func TestWritingStopsWhenNobodyWaits(t *testing.T) {
	g := newGuest(t)
	ctx, cancel := context.WithCancel(context.Background())
	g.state.Begin(nil, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }), nil)
	out := g.run(ctx, func() {
		g.putVectors(table, buffer, 1)
		for range 2 {
			g.call("fd_write", 1, table, 1, result)
		}
		t.Error("the guest went on although nobody waits for it")
	})
	require.Equal(t, engine.Canceled, out.Kind)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
