package cgi

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/extension"
	"github.com/vespo-dev/vespo/runtime/abi/wasip1"
	"github.com/vespo-dev/vespo/runtime/engine"
)

const entryStart = "_start"

// ABI implements abi.Server. The zero value is ready.
type ABI struct{}

// Traits implements abi.ABI.
func (ABI) Traits() abi.Traits {
	return abi.Traits{
		Name:      "cgi",
		Export:    entryStart,
		Ends:      true,
		Guest:     "a CGI command",
		Build:     "as a plain command that speaks CGI on its standard streams",
		QueryArgs: true,
	}
}

// HostModules implements abi.ABI.
func (ABI) HostModules() []engine.HostModule {
	return []engine.HostModule{wasip1.HostModule(), extension.HostModule()}
}

// Match implements abi.ABI.
func (ABI) Match(info *engine.Info) (bool, error) {
	start, ok := abi.FuncExport(info, entryStart)
	if !ok {
		return false, nil
	}
	if !abi.HasSignature(start, nil, nil) {
		return false, fmt.Errorf("exports %s with a wrong type: a command has it as () -> ()", entryStart)
	}
	if !abi.Imports(info, wasip1.ModuleName) {
		return false, fmt.Errorf("exports %s but imports nothing from %s: a CGI command could not answer", entryStart, wasip1.ModuleName)
	}
	return true, nil
}

// Functions implements abi.ABI. A command has no separate
// initialisation: the snapshot is its state before _start.
func (ABI) Functions(*engine.Info) (init, entries []string) { return nil, []string{entryStart} }

// call is the state of one instance's current exchange.
type call struct {
	in        *engine.Instance // immutable
	settings  abi.Settings     // immutable
	system    wasip1.State
	extension extension.State
	stderr    abi.Lines
	answer    answer
	body      bodyReader
}

// Bind implements abi.ABI.
func (ABI) Bind(in *engine.Instance, env *abi.Environment) {
	c := &call{in: in, settings: env.Settings}
	c.answer.in = in
	c.stderr.Reset(env.Log, abi.LevelError)
	c.system.Use(env)
	c.system.Begin(nil, nil, &c.stderr)
	c.extension.Use(env)
	in.Exchange, in.System, in.Extension, in.OnPause = c, &c.system, &c.extension, c.answer.flush
}

// Serve implements abi.Server.
func (ABI) Serve(in *engine.Instance, x *abi.Exchange) engine.Outcome {
	c := in.Exchange.(*call)
	if err := measure(x); err != nil {
		return engine.Outcome{Kind: engine.Canceled, Err: err}
	}
	c.stderr.Reset(x.Log, abi.LevelError)
	c.answer.begin(x.Response)
	c.body = bodyReader{in: in, body: x.Body}
	c.system.Args, c.system.Env = arguments(x), environment(x, c.settings.All())
	c.system.Begin(&c.body, &c.answer, &c.stderr)
	c.extension.BeginExchange(x)
	out := in.Call(x.Context, x.Deadline, 0, nil)
	c.stderr.Flush()
	out = c.answer.tail.Panicked(out, &c.stderr)
	if out.Clean() { // for a command, returning is the same as exit code 0
		out = c.answer.finish(x.Method)
	}
	c.answer.begin(nil)
	c.system.End()
	c.extension.End()
	c.body, c.system.Args, c.system.Env = bodyReader{}, nil, nil
	return out
}

// measure reads a body of unknown length into memory, because CGI passes the length
// in the environment before the command starts (RFC 3875, section 4.2). Many programs
// treat a missing length as an empty body. x.Body is bounded by its creator.
func measure(x *abi.Exchange) error {
	if x.ContentLength >= 0 {
		return nil
	}
	body, err := io.ReadAll(x.Body)
	if err != nil {
		return err
	}
	x.Body, x.ContentLength = abi.Arrived(bytes.NewReader(body)), int64(len(body))
	return nil
}

// bodyReader reads the request body. A read error ends the
// guest, because the program would take it for the end of input.
type bodyReader struct {
	in    *engine.Instance
	body  io.Reader
	ended bool
}

func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.in.GiveUp(err)
	}
	b.ended = err != nil
	return n, err
}

// Ended implements wasip1.Ended. Many programs read once more after they have begun to print.
func (b *bodyReader) Ended() bool { return b.ended }
