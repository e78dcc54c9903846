package cgi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/abi/wasip1"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// command is a guest whose code is defined by the test.
type command struct {
	t        *testing.T
	bench    *abitest.Bench
	in       *engine.Instance
	response *abitest.Response // of the last request
	log      []string
}

func newCommand(t *testing.T, mounts ...abi.Mount) *command {
	t.Helper()
	b, err := abitest.Open(wasip1.HostModule())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	c := &command{t: t, bench: b}
	c.in, err = b.Puppet(ABI{}, &abi.Environment{Mounts: mounts})
	require.NoError(t, err)
	return c
}

// serve serves a request with the given code.
func (c *command) serve(x *abi.Exchange, main func()) engine.Outcome {
	c.response, c.log = &abitest.Response{}, nil
	x.Response, x.Context, x.Deadline = c.response, context.Background(), abitest.Soon()
	x.Log = func(_ abi.Level, line []byte) { c.log = append(c.log, string(line)) }
	c.bench.Act = func(*engine.Instance, abitest.Entry, uint32, uint32) int64 { main(); return 0 }
	return ABI{}.Serve(c.in, x)
}

// Addresses that the command uses.
const (
	vectorAt = 0x10
	resultAt = 0x20
	bufferAt = 0x100
)

// vector writes a vector for a buffer and returns the
// parameters of fd_read and fd_write after the descriptor.
func (c *command) vector(length int) []uint64 {
	binary.LittleEndian.PutUint32(c.in.Memory()[vectorAt:], bufferAt)
	binary.LittleEndian.PutUint32(c.in.Memory()[vectorAt+4:], uint32(length))
	return []uint64{vectorAt, 1, resultAt}
}

// print writes to a descriptor and reports whether the write succeeded.
func (c *command) print(fd uint64, text string) bool {
	copy(c.in.Memory()[bufferAt:], text)
	return c.bench.Call(c.in, "fd_write", append([]uint64{fd}, c.vector(len(text))...)...) == 0
}

// readAll reads standard input.
func (c *command) readAll() string {
	var all strings.Builder
	for {
		require.Zero(c.t, c.bench.Call(c.in, "fd_read", append([]uint64{0}, c.vector(100)...)...))
		n := binary.LittleEndian.Uint32(c.in.Memory()[resultAt:])
		if n == 0 {
			return all.String()
		}
		all.Write(c.in.Memory()[bufferAt : bufferAt+n])
	}
}

func (c *command) exit(code uint64) { c.bench.Call(c.in, "proc_exit", code) }

const plainText = "Content-Type: text/plain\n\n"

func TestCommandsAnswer(t *testing.T) {
	c := newCommand(t)
	for _, exit := range []bool{false, true} {
		x := newExchange()
		x.Body, x.ContentLength = abi.Arrived(strings.NewReader("hello")), 5
		out := c.serve(x, func() {
			c.print(1, plainText)
			c.print(1, c.readAll())
			if exit {
				c.exit(0)
			}
		})
		require.Equal(t, engine.OK, out.Kind, "returning and exiting are the same: %v", out.Err)
		require.Equal(t, 200, c.response.Status)
		require.Equal(t, "hello", c.response.Body.String())
	}
}

func TestCommandsThatFail(t *testing.T) {
	c := newCommand(t)
	for _, main := range []func(){
		func() { c.exit(1) },
		func() { c.print(1, plainText+"all of it"); c.exit(3) },
	} {
		out := c.serve(newExchange(), main)
		require.Equal(t, engine.Exit, out.Kind)
		require.NotZero(t, out.ExitCode)
		require.Zero(t, c.response.Status, "the caller can still answer for it")
	}
	for _, main := range []func(){
		func() {},
		func() { c.print(1, "\n") },
		func() { c.print(1, "X: y\n\n") },
		func() { c.print(1, "X") },
		func() { c.print(1, "Status: 1\n\n"); t.Error("it goes on") },
	} {
		out := c.serve(newExchange(), main)
		require.Equal(t, engine.BadAnswer, out.Kind, "%v", out.Err)
		require.Zero(t, c.response.Status)
	}
}

func TestStandardErrorIsLogged(t *testing.T) {
	c := newCommand(t)
	out := c.serve(newExchange(), func() {
		c.print(2, "one\ntwo\nno ")
		c.print(1, "Status: 204\n\n")
		c.print(2, "newline")
	})
	require.Equal(t, engine.OK, out.Kind)
	require.Equal(t, []string{"one", "two", "no newline"}, c.log)
	c.serve(newExchange(), func() {})
	require.Empty(t, c.log)
}

// TestStreamsOfTheNextRequest checks that changes to the streams do not affect the next request.
func TestStreamsOfTheNextRequest(t *testing.T) {
	c := newCommand(t)
	for _, spoil := range []func(){
		func() { c.bench.Call(c.in, "fd_close", 1) },
		func() { c.bench.Call(c.in, "fd_close", 0); c.bench.Call(c.in, "fd_close", 2) },
		func() { c.bench.Call(c.in, "fd_renumber", 2, 1) },
		func() { c.print(1, "half a hea") },
		func() { c.print(2, "half a line") },
	} {
		c.serve(newExchange(), spoil)
		x := newExchange()
		x.Body, x.ContentLength = abi.Arrived(strings.NewReader("in")), 2
		out := c.serve(x, func() {
			require.True(t, c.print(1, plainText+c.readAll()))
			require.True(t, c.print(2, "err\n"))
		})
		require.Equal(t, engine.OK, out.Kind, "%v", out.Err)
		require.Equal(t, "in", c.response.Body.String())
		require.Equal(t, []string{"err"}, c.log)
	}
}

func TestClosedStandardOutput(t *testing.T) {
	c := newCommand(t)
	out := c.serve(newExchange(), func() {
		c.print(1, "Status: 204\n\n")
		c.bench.Call(c.in, "fd_close", 1)
		require.False(t, c.print(1, "more"))
	})
	require.Equal(t, engine.OK, out.Kind)
	require.Equal(t, 204, c.response.Status)
}

// TestBodiesOfUnknownLength checks that CONTENT_LENGTH is set for bodies of unknown length.
func TestBodiesOfUnknownLength(t *testing.T) {
	for _, body := range []string{"", "hello", strings.Repeat("x", 100_000)} {
		c := newCommand(t)
		x := newExchange()
		x.Body, x.ContentLength = abi.Arrived(iotest.OneByteReader(strings.NewReader(body))), -1
		out := c.serve(x, func() {
			length := ""
			for _, v := range c.in.System.(*wasip1.State).Env {
				if value, ok := strings.CutPrefix(v, "CONTENT_LENGTH="); ok {
					length = value
				}
			}
			got := c.readAll()
			require.Equal(t, body, got)
			c.print(1, plainText+length)
		})
		require.Equal(t, engine.OK, out.Kind, "%v", out.Err)
		want := fmt.Sprint(len(body))
		if body == "" {
			want = "" // empty body
		}
		require.Equal(t, want, c.response.Body.String())
	}
}

func TestBodiesThatBreakOff(t *testing.T) {
	failure := errors.New("the connection is gone")
	for _, length := range []int64{-1, 100} {
		c := newCommand(t)
		x := newExchange()
		x.Body, x.ContentLength = abi.Arrived(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(failure))), length
		out := c.serve(x, func() {
			c.print(1, plainText+c.readAll())
			t.Error("the command takes half a body for a whole one")
		})
		require.Equal(t, engine.Canceled, out.Kind)
		require.ErrorIs(t, out.Err, failure)
	}
}

func TestClientsThatLeave(t *testing.T) {
	for _, c := range []struct {
		failure error
		want    engine.Kind
	}{{io.ErrClosedPipe, engine.Canceled}, {engine.Unusable{Reason: "longer than its length"}, engine.BadAnswer}} {
		command := newCommand(t)
		out := command.serve(newExchange(), func() {
			command.response.Failure = c.failure
			command.print(1, plainText+strings.Repeat("x", 2*abi.HoldBytes))
			t.Error("the command goes on")
		})
		require.Equal(t, c.want, out.Kind)
	}
}

func TestTheAnswerIsFlushedBeforeAWait(t *testing.T) {
	c := newCommand(t)
	x := newExchange()
	x.Body, x.ContentLength = abi.Arrived(iotest.OneByteReader(strings.NewReader("ab"))), 2
	c.serve(x, func() {
		c.print(1, plainText)
		c.bench.Call(c.in, "fd_read", append([]uint64{0}, c.vector(1)...)...)
		c.print(1, "body")
		require.Equal(t, "b", c.readAll())
		c.print(1, " with nothing to wait for")
		require.Empty(t, c.readAll())
		c.print(1, ", so that it is sent at the end")
	})
	require.Equal(t, []int{0, 4}, c.response.Flushed)
	require.Equal(t, "body with nothing to wait for, so that it is sent at the end", c.response.Body.String())
}

// countedFS counts the files that are open.
type countedFS struct {
	fstest.MapFS
	open int
}

type countedFile struct {
	fs.File
	fs *countedFS
}

func (f *countedFS) Open(name string) (fs.File, error) {
	file, err := f.MapFS.Open(name)
	if err == nil {
		f.open++
	}
	return countedFile{file, f}, err
}

func (f countedFile) Close() error { f.fs.open--; return f.File.Close() }

func TestFilesAreClosedAtTheEnd(t *testing.T) {
	files := &countedFS{MapFS: fstest.MapFS{"a": {}}}
	c := newCommand(t, abi.Mount{GuestPath: "/", FS: files})
	for _, end := range []func(){func() {}, func() { c.exit(1) }, func() { panic(engine.Fault{Reason: "a trap"}) }} {
		c.serve(newExchange(), func() {
			for range 3 {
				c.in.Memory()[bufferAt] = 'a'
				require.Zero(t, c.bench.Call(c.in, "path_open", 3, 0, bufferAt, 1, 0, 0, 0, 0, resultAt))
			}
			require.Equal(t, 3, files.open)
			end()
		})
		require.Zero(t, files.open)
	}
}

func TestMatch(t *testing.T) {
	require.Equal(t, "cgi", ABI{}.Traits().Name)
	c := newCommand(t)
	ok, err := ABI{}.Match(c.in.Module().Info())
	require.False(t, ok)
	require.ErrorContains(t, err, "could not answer", "the puppet has a _start and imports nothing to print with")
}
