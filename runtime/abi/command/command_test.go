package command

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/abi/wasip1"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/testdata/guests"
)

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		module []byte
		wrong  string
	}{
		{guests.Go(t, "gofunction"), ""},
		{guests.Go(t, "gocmd"), ""},
		{guests.Go(t, "gohello"), "exports no _start (a command that reads its event from standard input): " +
			"build a Go guest with GOOS=wasip1 GOARCH=wasm as a plain command"},
	} {
		module, err := engine.Decode(c.module)
		require.NoError(t, err)
		_, err = abi.Detect(module.Info(), []abi.Runner{ABI{}})
		if c.wrong == "" {
			require.NoError(t, err)
			continue
		}
		var invalid *engine.ModuleError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, []string{c.wrong}, invalid.Violations)
	}
}

// Addresses that the command uses.
const (
	vectorAt = 0x10
	resultAt = 0x20
	bufferAt = 0x100
)

// command is a guest whose code is defined by the test.
type command struct {
	t     *testing.T
	bench *abitest.Bench
	in    *engine.Instance
	log   []string
}

func newCommand(t *testing.T, env abi.Environment) *command {
	t.Helper()
	b, err := abitest.Open(wasip1.HostModule())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	c := &command{t: t, bench: b}
	c.in, err = b.Puppet(ABI{}, &env)
	require.NoError(t, err)
	return c
}

// run runs an event with the given code.
func (c *command) run(payload io.Reader, output io.Writer, main func()) engine.Outcome {
	c.log = nil
	c.bench.Act = func(*engine.Instance, abitest.Entry, uint32, uint32) int64 { main(); return 0 }
	return ABI{}.Run(c.in, &abi.Event{
		Payload: payload,
		Output:  output,
		Invocation: abi.Invocation{
			Prefix:    "/fn",
			RequestID: "id",
			Context:   context.Background(),
			Deadline:  abitest.Soon(),
			Log:       func(_ abi.Level, line []byte) { c.log = append(c.log, string(line)) },
		},
	})
}

// stream calls fd_read or fd_write for a buffer and returns the number of bytes.
func (c *command) stream(function string, fd uint64, length int) uint32 {
	binary.LittleEndian.PutUint32(c.in.Memory()[vectorAt:], bufferAt)
	binary.LittleEndian.PutUint32(c.in.Memory()[vectorAt+4:], uint32(length))
	require.Zero(c.t, c.bench.Call(c.in, function, fd, vectorAt, 1, resultAt))
	return binary.LittleEndian.Uint32(c.in.Memory()[resultAt:])
}

func (c *command) print(fd uint64, text string) {
	copy(c.in.Memory()[bufferAt:], text)
	require.EqualValues(c.t, len(text), c.stream("fd_write", fd, len(text)))
}

func (c *command) readAll() string {
	var all strings.Builder
	for n := c.stream("fd_read", 0, 100); n > 0; n = c.stream("fd_read", 0, 100) {
		all.Write(c.in.Memory()[bufferAt : bufferAt+n])
	}
	return all.String()
}

// strings returns the arguments or the environment.
func (c *command) strings(function string) []string {
	require.Zero(c.t, c.bench.Call(c.in, function+"_sizes_get", resultAt, resultAt+4))
	n := binary.LittleEndian.Uint32(c.in.Memory()[resultAt+4:])
	require.Zero(c.t, c.bench.Call(c.in, function+"_get", bufferAt, 0x1000))
	return strings.Split(strings.TrimSuffix(string(c.in.Memory()[0x1000:0x1000+n]), "\x00"), "\x00")
}

func TestEventsAreRun(t *testing.T) {
	c := newCommand(t, abi.Environment{Settings: abi.NewSettings(map[string]string{"GREETING": "hi", "VESPO_SERVICE": "forged", "": "x"})})
	for _, exit := range []bool{false, true} {
		var output bytes.Buffer
		out := c.run(strings.NewReader("hello"), &output, func() {
			require.Equal(t, []string{"/fn"}, c.strings("args"))
			require.Equal(t, []string{"GREETING=hi", "VESPO_REQUEST_ID=id", "VESPO_SERVICE=/fn"}, c.strings("environ"))
			c.print(1, "got "+c.readAll())
			c.print(2, "a line")
			if exit {
				c.bench.Call(c.in, "proc_exit", 0)
			}
		})
		require.Equal(t, engine.Outcome{}, out, "for a command, returning is the same as exit code 0")
		require.Equal(t, "got hello", output.String())
		require.Equal(t, []string{"a line"}, c.log)
	}
}

func TestFailedEvents(t *testing.T) {
	failure := errors.New("no more")
	for _, run := range []struct {
		payload io.Reader
		output  io.Writer
		main    func(c *command)
		want    engine.Kind
	}{
		{strings.NewReader(""), io.Discard, func(c *command) { c.bench.Call(c.in, "proc_exit", 3) }, engine.Exit},
		{strings.NewReader(""), io.Discard, func(*command) { panic(engine.Fault{Reason: "a bad pointer"}) }, engine.Trap},
		{strings.NewReader(""), failing{failure}, func(c *command) { c.print(1, "x") }, engine.Canceled},
		{iotest.ErrReader(failure), io.Discard, func(c *command) { c.readAll() }, engine.Canceled},
	} {
		c := newCommand(t, abi.Environment{})
		out := c.run(run.payload, run.output, func() { run.main(c) })
		require.Equal(t, run.want, out.Kind)
		if run.want == engine.Canceled {
			require.ErrorIs(t, out.Err, failure)
		}
	}
}

// failing is a writer that takes nothing.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
