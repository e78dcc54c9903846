package wasip2

import (
	"io"
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/files"
	"github.com/vespo-dev/vespo/runtime/engine"
)

const (
	i32 = engine.I32
	i64 = engine.I64
)

// none is the result of a function that returns nothing, or by its last parameter.
const none engine.ValueType = 0

// State is the state of the system interfaces for the current request. It is a canonical.State's System.
type State struct {
	*canonical.State // immutable

	environment    [][2]string   // immutable
	mounts         *files.Mounts // immutable
	resolves       func()        // immutable; may be nil
	stdout, stderr lines
	space          []byte            // reused; for reads
	awaited        []<-chan struct{} // reused
	ready          []uint32          // reused
	pollables      []*Pollable       // reused
}

// Bind sets up the state of a new instance. What the guest prints goes to stdout and stderr, which must not block.
func Bind(c *canonical.State, env *abi.Environment, stdout, stderr io.Writer) *State {
	s := &State{State: c, mounts: files.NewMounts(env), resolves: env.Resolves}
	s.environment = variables(env.Settings.All())
	s.stdout, s.stderr = lines{stdout}, lines{stderr}
	c.System = s
	return s
}

// Environment returns the environment: name and value of each variable.
func (s *State) Environment() [][2]string { return s.environment }

// Mounts returns the mounts of the guest, which WASI 0.3 has, too.
func (s *State) Mounts() *files.Mounts { return s.mounts }

// Variables returns the environment as preview 1 has it.
func (s *State) Variables() (list []string) {
	for _, v := range s.environment {
		list = append(list, v[0]+"="+v[1])
	}
	return list
}

// End releases the mounts that the request has used. The handles must have been dropped.
func (s *State) End() {
	s.mounts.End()
	clear(s.awaited[:cap(s.awaited)])
	clear(s.pollables[:cap(s.pollables)])
}

// of returns the state for a host function.
func of(c *canonical.State) *State { return c.System.(*State) }

// validText returns text as UTF-8. The host's file system may have names that are not.
func validText(text string) string { return strings.ToValidUTF8(text, "\ufffd") }

// define returns a host function.
func define(name string, result engine.ValueType, call func(s *State, p []uint64), params ...engine.ValueType) engine.HostFunc {
	return canonical.Func(name, result, func(c *canonical.State, p []uint64) { call(of(c), p) }, params...)
}

// track is the version of the interfaces.
const track = "@0.2"

// HostModules returns the functions of all interfaces. Every instance whose module imports one of them needs a *State
// as the System of its canonical.State.
func HostModules() []engine.HostModule {
	all := append(ioModules(), clockModules()...)
	all = append(all, randomModules()...)
	all = append(all, cliModules()...)
	all = append(all, fileModules()...)
	return append(all, socketModules()...)
}

func module(name string, functions ...engine.HostFunc) engine.HostModule {
	return engine.HostModule{Name: name + track, Funcs: functions}
}
