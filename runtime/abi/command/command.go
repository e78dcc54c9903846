// Package command serves guests that are functions in the simplest form: WASI
// programs that read an event from standard input and print the result. The
// event is the payload of an abi.Event; the output is its result.
//
// Standard error goes to the log, line by line. A program that exits
// with a code other than 0 has failed, even if it has printed a result.
package command

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/extension"
	"github.com/vespo-dev/vespo/runtime/abi/wasip1"
	"github.com/vespo-dev/vespo/runtime/engine"
)

const entryStart = "_start"

// ABI implements abi.Runner. The zero value is ready.
type ABI struct{}

// Traits implements abi.ABI.
func (ABI) Traits() abi.Traits {
	return abi.Traits{
		Name:   "command",
		Export: entryStart,
		Ends:   true,
		Guest:  "a command that reads its event from standard input",
		Build:  "as a plain command",
	}
}

// HostModules implements abi.ABI.
func (ABI) HostModules() []engine.HostModule {
	return []engine.HostModule{wasip1.HostModule(), extension.HostModule()}
}

// Match implements abi.ABI.
func (ABI) Match(info *engine.Info) (bool, error) {
	start, ok := abi.FuncExport(info, entryStart)
	switch {
	case !ok:
		return false, nil
	case !abi.HasSignature(start, nil, nil):
		return false, fmt.Errorf("exports %s with a wrong type: a command has it as () -> ()", entryStart)
	case !abi.Imports(info, wasip1.ModuleName):
		return false, fmt.Errorf("exports %s but imports nothing from %s: a function could not return anything", entryStart, wasip1.ModuleName)
	}
	return true, nil
}

// Functions implements abi.ABI. The snapshot is the state before _start.
func (ABI) Functions(*engine.Info) (init, entries []string) { return nil, []string{entryStart} }

// call is the state of one instance's current event.
type call struct {
	settings  abi.Settings // immutable
	system    wasip1.State
	extension extension.State
	stderr    abi.Lines
	input     input
	output    output
}

// Bind implements abi.ABI.
func (ABI) Bind(in *engine.Instance, env *abi.Environment) {
	c := &call{settings: env.Settings, input: input{in: in}, output: output{in: in}}
	c.stderr.Reset(env.Log, abi.LevelError)
	c.system.Use(env)
	c.system.Begin(nil, nil, &c.stderr)
	c.extension.Use(env)
	in.Exchange, in.System, in.Extension = c, &c.system, &c.extension
}

// Run implements abi.Runner.
func (ABI) Run(in *engine.Instance, e *abi.Event) engine.Outcome {
	c := in.Exchange.(*call)
	c.stderr.Reset(e.Log, abi.LevelInfo)
	c.input.payload, c.input.ended, c.output.to = e.Payload, false, e.Output
	c.output.tail.Reset()
	c.system.Args, c.system.Env = []string{e.Prefix}, environment(e, c.settings.All())
	c.system.Begin(&c.input, &c.output, &c.stderr)
	c.extension.Begin(&e.Invocation)
	out := in.Call(e.Context, e.Deadline, 0, nil)
	c.stderr.Flush()
	out = c.output.tail.Panicked(out, &c.stderr)
	if out.Clean() { // for a command, returning is the same as exit code 0
		out = engine.Outcome{}
	}
	c.system.End()
	c.extension.End()
	c.input.payload, c.output.to, c.system.Args, c.system.Env = nil, nil, nil, nil
	return out
}

// environment returns the service's settings and the variables that identify the invocation.
func environment(e *abi.Event, settings map[string]string) []string {
	env := make([]string, 0, len(settings)+2)
	for name, value := range settings {
		if name != "" && !strings.ContainsAny(name, "=\x00") && !strings.ContainsRune(value, 0) && !strings.HasPrefix(name, "VESPO_") {
			env = append(env, name+"="+value)
		}
	}
	env = append(env, "VESPO_REQUEST_ID="+e.RequestID, "VESPO_SERVICE="+e.Prefix)
	slices.Sort(env)
	return env
}

// input is standard input. A read error ends the guest,
// because the program would take it for the end of input.
type input struct {
	in      *engine.Instance // immutable
	payload io.Reader
	ended   bool
}

func (i *input) Read(p []byte) (int, error) {
	n, err := i.payload.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		i.in.GiveUp(err)
	}
	i.ended = err != nil
	return n, err
}

// Ended implements wasip1.Ended.
func (i *input) Ended() bool { return i.ended }

// output is standard output. A write error ends the guest.
type output struct {
	in   *engine.Instance // immutable
	to   io.Writer
	tail abi.Tail
}

func (o *output) Write(p []byte) (int, error) {
	o.tail.Add(p)
	n, err := o.to.Write(p)
	if err != nil {
		o.in.GiveUp(err)
	}
	return n, nil
}
