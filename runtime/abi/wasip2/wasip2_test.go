package wasip2

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/files"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// system is an ABI with nothing but WASI 0.2.
type system struct {
	abi.ABI
	stdout, stderr *bytes.Buffer
}

func (system) Functions(*engine.Info) (init, entries []string) {
	return nil, []string{"handle_request", canonical.Allocator}
}

func (s system) Bind(in *engine.Instance, env *abi.Environment) {
	Bind(canonical.Bind(in, 1), env, s.stdout, s.stderr)
}

const (
	result  = 1024
	scratch = 2048
)

// Flags of open-at, and of descriptors.
const (
	openCreate    = 1 << 0
	openDirectory = 1 << 1
	openTruncate  = 1 << 3
	flagWrite     = 1 << 1
	flagMutate    = 1 << 5
)

// guest is a guest whose code is a function of the test.
type guest struct {
	t      *testing.T
	bench  *abitest.Bench
	in     *engine.Instance
	next   uint32
	system system
	looked int // for name servers
}

func newGuest(t *testing.T, mounts ...abi.Mount) *guest {
	b, err := abitest.Open(HostModules()...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	g := &guest{t: t, bench: b, system: system{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)}}
	env := &abi.Environment{
		Settings: abi.NewSettings(map[string]string{"B": "2", "A": "1", "bad=name": "x", "NUL": "\x00"}),
		Mounts:   mounts,
		Resolves: func() { g.looked++ },
	}
	g.in, err = b.Puppet(g.system, env)
	require.NoError(t, err)
	return g
}

// do runs code as a request of the guest.
func (g *guest) do(code func()) engine.Outcome {
	g.t.Helper()
	g.next = 8192
	g.bench.Act = func(_ *engine.Instance, at abitest.Entry, align, size uint32) int64 {
		if at == abitest.Allocate {
			at := (g.next + align - 1) &^ (align - 1)
			g.next = at + size
			return int64(at)
		}
		code()
		return 0
	}
	c := canonical.Of(g.in)
	c.Begin()
	out := g.in.Call(g.t.Context(), abitest.Soon(), 0, make([]uint64, 1))
	c.End()
	c.System.(*State).End()
	require.Zero(g.t, c.System.(*State).mounts.Open(), "all files are closed")
	return out
}

func (g *guest) ok(code func()) {
	g.t.Helper()
	out := g.do(code)
	require.Equal(g.t, engine.OK, out.Kind, "%v", out.Err)
}

// call calls a function, named like "io/poll#poll".
func (g *guest) call(name string, params ...uint64) uint64 {
	g.t.Helper()
	module, function, _ := strings.Cut(name, "#")
	return g.bench.Call(g.in, fmt.Sprintf("wasi:%s@0.2#%s", module, function), params...)
}

// file calls a method of a descriptor.
func (g *guest) file(name string, params ...uint64) {
	g.t.Helper()
	g.call("filesystem/types#[method]descriptor."+name, params...)
}

func (g *guest) u8(at uint32) byte       { return g.in.View(at, 1)[0] }
func (g *guest) u32(at uint32) uint32    { return canonical.Uint32(g.in.View(at, 4), 0) }
func (g *guest) string(at uint32) string { return string(g.in.View(g.u32(at), g.u32(at+4))) }

func (g *guest) text(s string) (at, length uint64) {
	copy(g.in.View(scratch, uint32(len(s))), s)
	return scratch, uint64(len(s))
}

func TestEnvironment(t *testing.T) {
	g := newGuest(t)
	g.ok(func() {
		g.call("cli/environment#get-environment", result)
		require.EqualValues(t, 2, g.u32(result+4))
		at := g.u32(result)
		require.Equal(t, "A=1 B=2", g.string(at)+"="+g.string(at+8)+" "+g.string(at+16)+"="+g.string(at+24))
		g.call("cli/environment#get-arguments", result)
		require.Zero(t, g.u32(result+4))
		g.call("cli/environment#initial-cwd", result)
		require.Zero(t, g.u8(result))
		g.call("cli/terminal-stdout#get-terminal-stdout", result)
		require.Zero(t, g.u8(result))

		for name, to := range map[string]*bytes.Buffer{"stdout": g.system.stdout, "stderr": g.system.stderr} {
			out := g.call("cli/" + name + "#get-" + name)
			g.call("io/streams#[method]output-stream.check-write", out, result)
			at, length := g.text("printed")
			g.call("io/streams#[method]output-stream.write", out, at, length, result)
			require.Zero(t, g.u8(result))
			g.call("io/streams#[method]output-stream.write-zeroes", out, 2, result)
			g.call("io/streams#[method]output-stream.blocking-flush", out, result)
			require.Equal(t, "printed\x00\x00", to.String())
		}
		in := g.call("cli/stdin#get-stdin")
		g.call("io/streams#[method]input-stream.blocking-read", in, 10, result)
		require.Equal(t, []byte{1, closed}, []byte{g.u8(result), g.u8(result + 4)})
		g.call("io/streams#[method]output-stream.blocking-splice", g.call("cli/stdout#get-stdout"), in, 10, result)
		require.Equal(t, []byte{1, closed}, []byte{g.u8(result), g.u8(result + 8)})
	})
	require.Equal(t, engine.Exit, g.do(func() { g.call("cli/exit#exit", 1) }).Kind)
}

func TestPoll(t *testing.T) {
	g := newGuest(t)
	g.ok(func() {
		never := g.call("clocks/monotonic-clock#subscribe-duration", 1<<63)
		past := g.call("clocks/monotonic-clock#subscribe-instant", 0)
		soon := g.call("clocks/monotonic-clock#subscribe-duration", uint64(time.Millisecond))
		list := func(handles ...uint64) {
			for i, h := range handles {
				canonical.PutUint32(g.in.View(scratch+uint32(4*i), 4), 0, uint32(h))
			}
			g.call("io/poll#poll", scratch, uint64(len(handles)), result)
		}
		list(never, past, never, past)
		require.EqualValues(t, 2, g.u32(result+4))
		require.Equal(t, []uint32{1, 3}, []uint32{g.u32(g.u32(result)), g.u32(g.u32(result) + 4)})
		list(never, soon)
		require.Equal(t, []uint32{1, 1}, []uint32{g.u32(result + 4), g.u32(g.u32(result))})
		require.EqualValues(t, 1, g.call("io/poll#[method]pollable.ready", soon))
		require.Zero(t, g.call("io/poll#[method]pollable.ready", never))
		g.call("io/poll#[method]pollable.block", soon)
		stream := g.call("cli/stdin#get-stdin")
		p := g.call("io/streams#[method]input-stream.subscribe", stream)
		require.EqualValues(t, 1, g.call("io/poll#[method]pollable.ready", p), "a closed stream is ready")
	})
	require.Equal(t, engine.Trap, g.do(func() { g.call("io/poll#poll", 0, engine.MaxAwaited+1, result) }).Kind)
	require.Equal(t, engine.Trap, g.do(func() { g.call("io/poll#poll", 1<<31, 1<<31, result) }).Kind)
}

func TestClocksAndRandom(t *testing.T) {
	g := newGuest(t)
	g.ok(func() {
		first := g.call("clocks/monotonic-clock#now")
		require.GreaterOrEqual(t, g.call("clocks/monotonic-clock#now"), first)
		before := time.Now().Unix()
		g.call("clocks/wall-clock#now", result)
		require.InDelta(t, before, g.u32(result), 1000)
		g.call("clocks/timezone#display", 0, 0, result)
		require.Equal(t, "UTC", g.string(result+4))

		require.NotEqual(t, g.call("random/random#get-random-u64"), g.call("random/insecure#get-insecure-random-u64"))
		g.call("random/random#get-random-bytes", 32, result)
		require.EqualValues(t, 32, g.u32(result+4))
		require.NotEqual(t, strings.Repeat("\x00", 32), g.string(result))
		g.call("random/insecure-seed#insecure-seed", result)
	})
	require.Equal(t, engine.Trap, g.do(func() { g.call("random/random#get-random-bytes", 1<<40, result) }).Kind)
}

func TestSocketsRefuse(t *testing.T) {
	g := newGuest(t)
	g.ok(func() {
		network := g.call("sockets/instance-network#instance-network")
		at, length := g.text("example.com")
		g.call("sockets/ip-name-lookup#resolve-addresses", network, at, length, result)
		require.Equal(t, []byte{1, accessDenied}, []byte{g.u8(result), g.u8(result + 4)})
		g.call("sockets/tcp-create-socket#create-tcp-socket", 0, result)
		require.Equal(t, []byte{1, accessDenied}, []byte{g.u8(result), g.u8(result + 4)})
	})
	require.Equal(t, 2, g.looked, "the owner of the service is warned")
	require.Equal(t, engine.Trap, g.do(func() { g.call("sockets/tcp#[method]tcp-socket.subscribe", 1) }).Kind)
}

func tree() abi.Mount {
	return abi.Mount{
		GuestPath: "/content",
		FS: fstest.MapFS{
			"a.txt":     {Data: []byte("hello"), ModTime: time.Unix(1e9, 7)},
			"sub/b.txt": {Data: []byte("below")},
			"sub/\xff":  {},
			"pipe":      {Mode: fs.ModeNamedPipe},
		},
	}
}

// open opens a path. It returns the handle, or the error-code.
func (g *guest) open(dir uint64, path string, open, flags uint64) (file uint64, code byte) {
	at, length := g.text(path)
	g.file("open-at", dir, 1, at, length, open, flags, result)
	if g.u8(result) == 1 {
		return 0, g.u8(result + 4)
	}
	return uint64(g.u32(result + 4)), 0
}

// root returns the handle of the first mount.
func (g *guest) root() uint64 {
	g.call("filesystem/preopens#get-directories", result)
	require.Equal(g.t, "/content", g.string(g.u32(result)+4))
	return uint64(g.u32(g.u32(result)))
}

func TestFiles(t *testing.T) {
	g := newGuest(t, tree())
	g.ok(func() {
		root := g.root()
		file, _ := g.open(root, "sub/../a.txt", 0, flagRead)
		g.file("read", file, 4, 1, result)
		require.Equal(t, "ello", g.string(result+4))
		require.Zero(t, g.u8(result+12))
		g.file("read", file, 100, 2, result)
		require.Equal(t, "llo", g.string(result+4))
		require.EqualValues(t, 1, g.u8(result+12), "the end")
		g.file("stat", file, result)
		require.Equal(t, []byte{0, typeRegular, 5}, []byte{g.u8(result), g.u8(result + 8), g.u8(result + 24)})
		require.Equal(t, []uint32{1, 1e9, 7}, []uint32{g.u32(result + 56), g.u32(result + 64), g.u32(result + 72)}, "modified")

		g.file("read-via-stream", file, 2, result)
		stream := uint64(g.u32(result + 4))
		g.call("filesystem/types#[resource-drop]descriptor", file)
		g.call("io/streams#[method]input-stream.read", stream, 100, result)
		require.Equal(t, "llo", g.string(result+4), "the stream outlives the descriptor")
		g.call("io/streams#[method]input-stream.blocking-read", stream, 100, result)
		require.Equal(t, []byte{1, closed}, []byte{g.u8(result), g.u8(result + 4)})

		sub, _ := g.open(root, "sub", openDirectory, flagRead)
		g.file("read-directory", sub, result)
		entries := uint64(g.u32(result + 4))
		var names []string
		for {
			g.call("filesystem/types#[method]directory-entry-stream.read-directory-entry", entries, result)
			require.Zero(t, g.u8(result))
			if g.u8(result+4) == 0 {
				break
			}
			names = append(names, g.string(result+12))
		}
		require.Equal(t, []string{"b.txt", "\ufffd"}, names)
		again, _ := g.open(root, "sub", 0, flagRead)
		require.EqualValues(t, 1, g.call("filesystem/types#[method]descriptor.is-same-object", sub, again))
		require.Zero(t, g.call("filesystem/types#[method]descriptor.is-same-object", sub, root))
		g.file("read-via-stream", sub, 0, result)
		require.Equal(t, []byte{1, codeIsDirectory}, []byte{g.u8(result), g.u8(result + 4)})

		for path, want := range map[string]byte{
			"none": codeNoEntry, "../x": codeNotPermitted, "/a.txt": codeNotPermitted, "pipe": codeAccess, "": codeNoEntry,
			strings.Repeat("x", 5000): codeNameTooLong,
		} {
			_, code := g.open(root, path, 0, flagRead)
			require.Equal(t, want, code, path)
		}
		_, code := g.open(root, "a.txt", openDirectory, flagRead)
		require.EqualValues(t, codeNoDirectory, code)
		for _, flags := range [][2]uint64{{openCreate, flagRead}, {openTruncate, flagRead}, {0, flagWrite}, {0, flagMutate}} {
			_, code := g.open(root, "a.txt", flags[0], flags[1])
			require.EqualValues(t, codeReadOnly, code)
		}
		at, length := g.text("new")
		g.file("create-directory-at", root, at, length, result)
		require.Equal(t, []byte{1, codeReadOnly}, []byte{g.u8(result), g.u8(result + 1)})
	})
}

func TestOpenFilesAreBounded(t *testing.T) {
	g := newGuest(t, tree())
	g.ok(func() {
		root := g.root()
		for range files.MaxOpen {
			_, code := g.open(root, "a.txt", 0, flagRead)
			require.Zero(t, code)
		}
		_, code := g.open(root, "a.txt", 0, flagRead)
		require.EqualValues(t, codeMemory, code)
		g.file("read-directory", root, result)
		require.Equal(t, []byte{1, codeMemory}, []byte{g.u8(result), g.u8(result + 4)})
	})
}

// A mount is pinned at its first use, once per request, and released at its end.
func TestMountsArePinned(t *testing.T) {
	pins, released := 0, 0
	m := tree()
	now := m.FS
	m.FS, m.Pin = nil, func() (fs.FS, func()) {
		pins++
		return now, func() { released++ }
	}
	g := newGuest(t, m)
	g.ok(func() { g.root() })
	require.Zero(t, pins, "it was not used")
	for n := range 2 {
		g.ok(func() {
			root := g.root()
			g.open(root, "a.txt", 0, flagRead)
			g.open(root, "sub", 0, flagRead)
			require.Equal(t, n, released)
		})
		require.Equal(t, []int{n + 1, n + 1}, []int{pins, released})
	}
}
