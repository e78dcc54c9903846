package wasip3

import (
	"io"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/concurrent"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// terminal is a resource that no guest has.
type terminal interface {
	canonical.Resource
	terminal()
}

func cliModules(of func(c *canonical.State) *State) []engine.HostModule {
	output := func(w func(s *State) io.Writer) engine.HostFunc {
		return canonical.Func("write-via-stream", i32, func(c *canonical.State, p []uint64) {
			tasks, out := concurrent.Of(c), &output{to: w(of(c)), over: make(chan struct{})}
			tasks.Lift(uint32(p[0]), bytesType()).Attach(out)
			p[0] = uint64(tasks.NewReadable(streamEnd(), ended{out.over, true}))
		}, i32)
	}
	return []engine.HostModule{
		module("wasi:cli/environment",
			canonical.Func("get-environment", none, func(c *canonical.State, p []uint64) {
				c.PutPairs(c.Area(p[0], 8, 4), 0, of(c).Environment)
			}, i32),
			canonical.Func("get-arguments", none, func(c *canonical.State, p []uint64) { c.PutStrings(c.Area(p[0], 8, 4), 0, nil) }, i32),
			canonical.Func("get-initial-cwd", none, func(c *canonical.State, p []uint64) { c.Area(p[0], 12, 4)[0] = 0 }, i32),
		),
		module("wasi:cli/exit",
			canonical.Func("exit", none, func(c *canonical.State, p []uint64) { c.In.ExitGuest(canonical.Case(p[0], 2)) }, i32),
			canonical.Func("exit-with-code", none, func(c *canonical.State, p []uint64) { c.In.ExitGuest(uint32(uint8(p[0]))) }, i32),
		),
		module("wasi:cli/stdin", canonical.Func("read-via-stream", none, func(c *canonical.State, p []uint64) {
			tasks, over := concurrent.Of(c), make(chan struct{})
			close(over)
			m := c.Area(p[0], 8, 4)
			canonical.PutUint32(m, 0, tasks.NewReadable(bytesType(), ended{over, false}))
			canonical.PutUint32(m, 4, tasks.NewReadable(streamEnd(), ended{over, true}))
		}, i32)),
		module("wasi:cli/stdout", output(func(s *State) io.Writer { return s.Stdout })),
		module("wasi:cli/stderr", output(func(s *State) io.Writer { return s.Stderr })),
		module("wasi:cli/terminal-input", canonical.DropFunc[terminal]("terminal-input")),
		module("wasi:cli/terminal-output", canonical.DropFunc[terminal]("terminal-output")),
		module("wasi:cli/terminal-stdin", canonical.Func("get-terminal-stdin", none, noTerminal, i32)),
		module("wasi:cli/terminal-stdout", canonical.Func("get-terminal-stdout", none, noTerminal, i32)),
		module("wasi:cli/terminal-stderr", canonical.Func("get-terminal-stderr", none, noTerminal, i32)),
	}
}

func noTerminal(c *canonical.State, p []uint64) { c.Area(p[0], 8, 4)[0] = 0 }

func bytesType() concurrent.Type {
	return concurrent.Type{Elem: "u8", Size: 1, Align: 1, Plain: true}
}

// streamEnd is the type of the future that tells how a standard stream has ended.
func streamEnd() concurrent.Type {
	return concurrent.Type{Future: true, Elem: "result<_,enum<io,illegal-byte-sequence,pipe>>", Size: 2, Align: 1}
}

// output is the Peer that takes what the guest prints.
type output struct {
	to   io.Writer
	over chan struct{} // closed when the guest has dropped its end
}

// Copy implements concurrent.Peer.
func (o *output) Copy(p []byte, n uint32) (moved uint32, done bool) {
	_, _ = o.to.Write(p[:n]) // what is printed is logged, which never fails for the guest
	return n, false
}

// Ready implements concurrent.Peer.
func (o *output) Ready() <-chan struct{} { return now() }

// Drop implements concurrent.Peer.
func (o *output) Drop() { close(o.over) }

// ended is the Peer of an empty stream, or of a future with an ok, when a channel is closed.
type ended struct {
	over   chan struct{}
	future bool
}

// Copy implements concurrent.Peer.
func (e ended) Copy(p []byte, _ uint32) (moved uint32, done bool) {
	if !closed(e.over) {
		return 0, false
	}
	if e.future {
		clear(p)
		return 1, false
	}
	return 0, true
}

// Ready implements concurrent.Peer.
func (e ended) Ready() <-chan struct{} { return e.over }

// Drop implements concurrent.Peer.
func (ended) Drop() {}
