package abi

import (
	"io/fs"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// ABI is an interface between guests and the host for serving requests. One value serves all instances.
type ABI interface {
	// Name returns the name shown in listings, such as "http-wasm" or "cgi".
	Name() string
	// Match reports whether a module implements this ABI. If only a part is missing or has a wrong type, it
	// returns an error that names the part.
	Match(info *engine.Info) (bool, error)
	// Functions returns the names of the exports that the engine
	// calls: init before the snapshot, entries for each request.
	Functions(info *engine.Info) (init, entries []string)
	// Bind sets up the host state of a new instance.
	Bind(in *engine.Instance, env *Environment)
	// Serve runs the instance for one exchange.
	Serve(in *engine.Instance, x *Exchange) engine.Outcome
}

// Environment is the state shared by all instances of a service. It is immutable.
type Environment struct {
	// Log receives the guest's output and log lines during initialisation; each Exchange has its own Log.
	Log func(Level, []byte)
	// Enabled reports whether lines of a level are kept. If it is nil, all are.
	Enabled func(Level) bool
	// Mounts are the directories that the guest can read.
	Mounts []Mount
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

// Detect returns the first of the ABIs that the module implements. The error is a *engine.ModuleError.
func Detect(info *engine.Info, all []ABI) (ABI, error) {
	for _, a := range all {
		switch ok, err := a.Match(info); {
		case err != nil:
			return nil, &engine.ModuleError{Violations: []string{err.Error()}}
		case ok:
			return a, nil
		}
	}
	return nil, &engine.ModuleError{Violations: []string{"exports neither handle_request (an http-wasm handler) nor " +
		"_start (a CGI command): build a Go guest with GOOS=wasip1 GOARCH=wasm and -buildmode=c-shared, or as a plain " +
		"command that speaks CGI on its standard streams"}}
}

// ExportsFunc reports whether a module exports a function of this name.
func ExportsFunc(info *engine.Info, name string) bool {
	_, ok := FuncExport(info, name)
	return ok
}
