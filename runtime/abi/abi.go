package abi

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// ABI is an interface between guests and the host. One value serves all instances. It brings all that the
// host needs: the functions that guests import, their state, and the abilities of the guests. What a guest
// can do is what the ABI implements besides: a [Server] serves requests, a [Runner] runs events.
type ABI interface {
	// Traits returns the description of the ABI. It is always the same.
	Traits() Traits
	// HostModules returns the functions that guests can import. The engine is opened with those of all ABIs.
	HostModules() []engine.HostModule
	// Match reports whether a module implements this ABI. If only a part is missing or has a wrong type, it
	// returns an error that names the part.
	Match(info *engine.Info) (bool, error)
	// Functions returns the names of the exports that the engine
	// calls: init before the snapshot, entries for each call.
	Functions(info *engine.Info) (init, entries []string)
	// Bind sets up the host state of a new instance, for all host modules of the ABI.
	Bind(in *engine.Instance, env *Environment)
}

// Server is an ABI whose guests serve requests.
type Server interface {
	ABI
	// Serve runs the instance for one exchange.
	Serve(in *engine.Instance, x *Exchange) engine.Outcome
}

// Runner is an ABI whose guests run events.
type Runner interface {
	ABI
	// Run runs the instance for one event.
	Run(in *engine.Instance, e *Event) engine.Outcome
}

// TextReader is an ABI whose guests can read settings that are one text.
type TextReader interface {
	ABI
	// ReadsText reports whether a module imports the function for it.
	ReadsText(info *engine.Info) bool
}

// Traits describe an ABI.
type Traits struct {
	Name     string // shown in listings, such as "http-wasm" or "cgi"
	Export   string // the function that Match looks for, such as "handle_request"
	Guest    string // what exports it, such as "an http-wasm handler"
	Build    string // how to build one, as the end of "build a Go guest with GOOS=wasip1 GOARCH=wasm"
	Forwards bool   // a guest can pass its request on to Exchange.Next: it can be middleware
	// ForwardsBy is the host module that a guest imports to pass a request on; empty if it needs none.
	ForwardsBy string
	Lingers    bool // a guest may go on after its response is complete: the ABI calls Exchange.Complete
	Ends       bool // a guest ends with its request: it cannot serve another one before a reset
	QueryArgs  bool // a guest has arguments: Exchange.QueryArgs has an effect
}

// Environment is the state shared by all instances of a service. It is immutable.
type Environment struct {
	// Log receives the guest's output and log lines during initialisation; each Invocation has its own Log.
	Log func(Level, []byte)
	// Enabled reports whether lines of a level are kept. If it is nil, all are.
	Enabled func(Level) bool
	// Settings are the service's settings for the guest.
	Settings Settings
	// Mounts are the directories that the guest can read.
	Mounts []Mount
	// Resolves, if set, is called when a guest looks for the addresses of name servers, as Go's library does before it
	// makes a connection to a host name, and finds none.
	Resolves func()
	// FileKey is hashed into the inode numbers that guests
	// see, which hides the host's device and inode numbers.
	FileKey [16]byte
}

// Mount is a read-only directory of the guest. FS must not resolve
// paths outside of its root; the FS of an os.Root does not.
type Mount struct {
	GuestPath string // absolute, "/content"
	FS        fs.FS
	// Pin, if set, replaces FS. It returns the current state of the directory and a function that
	// releases it. A request uses that state from its first access to the mount until it ends.
	Pin func() (now fs.FS, release func())
}

// Servers returns the ABIs whose guests serve requests, in the same order.
func Servers(all []ABI) []Server { return those[Server](all) }

// Runners returns the ABIs whose guests run events, in the same order.
func Runners(all []ABI) []Runner { return those[Runner](all) }

// those returns the ABIs that implement A.
func those[A ABI](all []ABI) (found []A) {
	for _, a := range all {
		if f, ok := a.(A); ok {
			found = append(found, f)
		}
	}
	return found
}

// Detect returns the first of the ABIs that the module implements. The error is a *engine.ModuleError.
func Detect[A ABI](info *engine.Info, all []A) (found A, err error) {
	for _, a := range all {
		switch ok, err := a.Match(info); {
		case err != nil:
			return found, &engine.ModuleError{Violations: []string{"is refused: " + err.Error()}}
		case ok:
			return a, foreign(info, a, all)
		}
	}
	return found, &engine.ModuleError{Violations: []string{noneOf(all)}}
}

// foreign returns an error if a module imports what only guests of another one of the ABIs can.
func foreign[A ABI](info *engine.Info, a A, all []A) error {
	offers := func(a A) map[string]bool {
		modules := map[string]bool{}
		for _, m := range a.HostModules() {
			modules[m.Name] = true
		}
		return modules
	}
	own, others := offers(a), map[string]string{}
	if !slices.ContainsFunc(info.Imports, func(im rewrite.Import) bool { return !own[im.Module] }) {
		return nil // the others have thousands of functions
	}
	for _, other := range all {
		for name := range offers(other) {
			others[name] = other.Traits().Guest
		}
	}
	var violations []string
	for _, im := range info.Imports {
		if guest := others[im.Module]; guest != "" && !own[im.Module] {
			own[im.Module] = true // one violation for each module
			violations = append(violations, fmt.Sprintf("imports %s, which %s can, and is %s", im.Module, guest, a.Traits().Guest))
		}
	}
	if violations != nil {
		return &engine.ModuleError{Violations: violations}
	}
	return nil
}

// noneOf returns the violation of a module that implements none of the ABIs.
func noneOf[A ABI](all []A) string {
	var exports, builds []string
	for _, a := range all {
		t := a.Traits()
		exports = append(exports, fmt.Sprintf("%s (%s)", t.Export, t.Guest))
		builds = append(builds, t.Build)
	}
	missing := "no "
	if len(all) > 1 {
		missing = "neither "
	}
	return "exports " + missing + strings.Join(exports, " nor ") + ": build a Go guest with GOOS=wasip1 GOARCH=wasm " + strings.Join(builds, ", or ")
}

// HostModules returns the host modules of all ABIs. ABIs can share a module.
// Two modules of the same name with different functions are an error.
func HostModules(all []ABI) (modules []engine.HostModule, err error) {
	for _, a := range all {
		for _, m := range a.HostModules() {
			i := slices.IndexFunc(modules, func(other engine.HostModule) bool { return other.Name == m.Name })
			switch {
			case i < 0:
				modules = append(modules, m)
			case !modules[i].Same(m):
				return nil, fmt.Errorf("abi: %s has a host module %q that differs from that of another ABI", a.Traits().Name, m.Name)
			}
		}
	}
	return modules, nil
}

// ExportsFunc reports whether a module exports a function of this name.
func ExportsFunc(info *engine.Info, name string) bool {
	_, ok := FuncExport(info, name)
	return ok
}
