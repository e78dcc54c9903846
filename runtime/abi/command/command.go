// Package command serves guests that are functions in the simplest form: WASI
// programs that read an event from standard input and print the result. The
// event is the body of the Exchange; the output is the body of its response.
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
	"github.com/vespo-dev/vespo/runtime/abi/wasip1"
	"github.com/vespo-dev/vespo/runtime/engine"
)

const entryStart = "_start"

// ABI implements abi.ABI. The zero value is ready.
type ABI struct{}

// Name implements abi.ABI.
func (ABI) Name() string { return "command" }

// Match implements abi.ABI.
func (ABI) Match(info *engine.Info) (bool, error) {
	start, ok := abi.FuncExport(info, entryStart)
	switch {
	case !ok:
		return false, errors.New("exports no _start: a function is a command that reads its event from standard input, " +
			"in Go a program built with GOOS=wasip1 GOARCH=wasm")
	case !abi.HasSignature(start, nil, nil):
		return false, fmt.Errorf("exports %s with a wrong type: a command has it as () -> ()", entryStart)
	case !abi.Imports(info, wasip1.ModuleName):
		return false, fmt.Errorf("exports %s but imports nothing from %s: a function could not return anything", entryStart, wasip1.ModuleName)
	}
	return true, nil
}

// Functions implements abi.ABI. The snapshot is the state before _start.
func (ABI) Functions(*engine.Info) (init, entries []string) { return nil, []string{entryStart} }

// call is the state of one instance's current exchange.
type call struct {
	system wasip1.State
	stderr abi.Lines
	input  input
	output output
}

// Bind implements abi.ABI.
func (ABI) Bind(in *engine.Instance, env *abi.Environment) {
	c := &call{input: input{in: in}, output: output{in: in}}
	c.stderr.Reset(env.Log, abi.LevelError)
	c.system.Use(env)
	c.system.Begin(nil, nil, &c.stderr)
	in.Exchange, in.System = c, &c.system
}

// Serve implements abi.ABI.
func (ABI) Serve(in *engine.Instance, x *abi.Exchange) engine.Outcome {
	c := in.Exchange.(*call)
	c.stderr.Reset(x.Log, abi.LevelInfo)
	c.input.body, c.input.ended, c.output.to = x.Body, false, x.Response
	c.system.Args, c.system.Env = []string{x.Prefix}, environment(x)
	c.system.Begin(&c.input, &c.output, &c.stderr)
	out := in.Call(x.Context, x.Deadline, 0, nil)
	c.stderr.Flush()
	if out.Clean() { // for a command, returning is the same as exit code 0
		out = engine.Outcome{}
	}
	c.system.End()
	c.input.body, c.output.to, c.system.Args, c.system.Env = nil, nil, nil, nil
	return out
}

// environment returns the service's configuration and the variables that identify the invocation.
func environment(x *abi.Exchange) []string {
	env := make([]string, 0, len(x.Config)+2)
	for name, value := range x.Config {
		if name != "" && !strings.ContainsAny(name, "=\x00") && !strings.ContainsRune(value, 0) && !strings.HasPrefix(name, "VESPO_") {
			env = append(env, name+"="+value)
		}
	}
	env = append(env, "VESPO_REQUEST_ID="+x.RequestID, "VESPO_SERVICE="+x.Prefix)
	slices.Sort(env)
	return env
}

// input is standard input. A read error ends the guest,
// because the program would take it for the end of input.
type input struct {
	in    *engine.Instance // immutable
	body  io.Reader
	ended bool
}

func (i *input) Read(p []byte) (int, error) {
	n, err := i.body.Read(p)
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
	in *engine.Instance // immutable
	to abi.Response
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.to.Write(p)
	if err != nil {
		o.in.GiveUp(err)
	}
	return n, nil
}
