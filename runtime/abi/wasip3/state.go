package wasip3

import (
	"io"
	"slices"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/concurrent"
	"github.com/vespo-dev/vespo/runtime/abi/files"
	"github.com/vespo-dev/vespo/runtime/engine"
)

const (
	i32 = engine.I32
	i64 = engine.I64
)

// none is the result of a function that returns nothing, or by its last parameter.
const none engine.ValueType = 0

// State is the state of the interfaces for an instance.
type State struct {
	Environment    [][2]string // name and value
	Stdout, Stderr io.Writer   // writes must not block
	Mounts         *files.Mounts
}

// HostModules returns the functions of all interfaces. of returns the State of an instance, whose canonical.State also needs
// Tasks.
func HostModules(of func(c *canonical.State) *State) []engine.HostModule {
	return slices.Concat(clockModules(), randomModules(), cliModules(of), fileModules(of))
}

// Types returns the types of streams and futures in the interfaces, besides those of bytes.
func Types() []concurrent.Type { return []concurrent.Type{streamEnd(), fileEnd(), entryType()} }

func module(name string, funcs ...engine.HostFunc) engine.HostModule {
	return engine.HostModule{Name: name + "@0.3", Funcs: funcs}
}

// closed reports whether a channel is closed.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
