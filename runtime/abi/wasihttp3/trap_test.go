package wasihttp3

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// uploaded is an abi.Outbound that records the bodies of its calls.
type uploaded struct {
	sent   strings.Builder
	ended  int
	closed int
}

func (u *uploaded) Open(context.Context, string, string) (abi.OutboundCall, error) {
	return uploadedCall{&answered{Reader: strings.NewReader("")}, u}, nil
}

type uploadedCall struct {
	*answered
	to *uploaded
}

func (c uploadedCall) Write(p []byte) error { c.to.sent.Write(p); return nil }
func (c uploadedCall) End() error           { c.to.ended++; return nil }
func (c uploadedCall) Close() error         { c.to.closed++; return nil }

// A request whose body the guest has not finished is broken off at the end of the guest, also if its trailers are known.
func TestUnfinishedBodyIsBrokenOff(t *testing.T) {
	for name, c := range map[string]struct {
		last  func(state *call, stream uint32)
		want  engine.Kind
		ended int
	}{
		"the guest traps":       {func(*call, uint32) { canonical.Trap("an end") }, engine.Trap, 0},
		"the guest returns":     {func(*call, uint32) {}, engine.OK, 0},
		"the body was finished": {func(state *call, stream uint32) { state.tasks.Drop(bytesType(), true, stream) }, engine.OK, 1},
	} {
		t.Run(name, func(t *testing.T) {
			to := &uploaded{}
			out := run(t, func(state *call, call func(name string, params ...uint64) uint64) {
				state.x.Outbound = to
				contents, trailers := state.tasks.New(bytesType()), state.tasks.New(trailersType())
				r := &request{
					method:    "PUT",
					authority: some("h"),
					fields:    state.newFields(),
					body:      state.lift(1, contents, trailers),
					sent:      newSent(),
				}
				call(clientModule+"#[async-lower]send", uint64(state.state.Handles.Add(r, 0)), 1024)
				state.tasks.Copy(trailersType(), true, true, uint32(trailers>>32), 2048, 1)
				copy(state.in.View(4096, 4), "part")
				state.tasks.Copy(bytesType(), true, true, uint32(contents>>32), 4096, 4)
				c.last(state, uint32(contents>>32))
			})
			require.Equal(t, c.want, out.Kind, "%v", out.Err)
			require.Equal(t, "part", to.sent.String())
			require.Equal(t, c.ended, to.ended)
			require.Equal(t, 1, to.closed)
		})
	}
}

// opens is a file system that counts its open files.
type opens struct {
	fs.FS
	count *int
}

func (o opens) Open(name string) (fs.File, error) {
	f, err := o.FS.Open(name)
	if err == nil {
		*o.count++
	}
	return closes{f, o.count}, err
}

func (o opens) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(o.FS, name) }

type closes struct {
	fs.File
	count *int
}

func (c closes) Close() error { *c.count--; return c.File.Close() }

func (closes) ReadAt([]byte, int64) (int, error) { return 0, fs.ErrInvalid }

// A function that traps at the address of its result, or because there are too many handles, leaves no file open.
func TestTrapClosesFiles(t *testing.T) {
	const bad, path, result = 3, 4096, 1024
	for name, act := range map[string]func(state *call, call func(name string, params ...uint64) uint64, dir, file uint64){
		"open-at": func(_ *call, call func(name string, params ...uint64) uint64, dir, _ uint64) {
			call("wasi:filesystem/types@0.3#[method]descriptor.open-at", dir, 0, path, 5, 0, 1, bad)
		},
		"open-at without a handle": func(state *call, call func(name string, params ...uint64) uint64, dir, _ uint64) {
			for state.state.Handles.Open() < canonical.MaxHandles {
				state.state.Handles.Add(&options{}, 0)
			}
			call("wasi:filesystem/types@0.3#[method]descriptor.open-at", dir, 0, path, 5, 0, 1, result)
		},
		"read-via-stream": func(_ *call, call func(name string, params ...uint64) uint64, _, file uint64) {
			call("wasi:filesystem/types@0.3#[method]descriptor.read-via-stream", file, 0, bad)
		},
		"read-directory": func(_ *call, call func(name string, params ...uint64) uint64, dir, _ uint64) {
			call("wasi:filesystem/types@0.3#[method]descriptor.read-directory", dir, bad)
		},
	} {
		t.Run(name, func(t *testing.T) {
			open, reached := 0, false
			env := &abi.Environment{
				Log:    func(abi.Level, []byte) {},
				Mounts: []abi.Mount{{FS: opens{fstest.MapFS{"a.txt": {Data: []byte("hello")}}, &open}}},
			}
			var mounts interface{ Open() int }
			out := runIn(t, env, func(state *call, call func(name string, params ...uint64) uint64) {
				mounts = state.older.Mounts()
				copy(state.in.View(path, 5), "a.txt")
				call("wasi:filesystem/preopens@0.3#get-directories", result)
				dir := uint64(canonical.Uint32(state.in.View(canonical.Uint32(state.in.View(result, 4), 0), 4), 0))
				call("wasi:filesystem/types@0.3#[method]descriptor.open-at", dir, 0, path, 5, 0, 1, result)
				require.Zero(t, state.in.View(result, 1)[0])
				file := uint64(canonical.Uint32(state.in.View(result+4, 4), 0))
				reached = true
				act(state, call, dir, file)
			})
			require.Equal(t, engine.Trap, out.Kind, "%v", out.Err)
			require.True(t, reached)
			require.Zero(t, open)
			require.Zero(t, mounts.Open())
		})
	}
}
