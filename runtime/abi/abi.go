package abi

import (
	"io/fs"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// ABI is a way for a guest to take requests. One value serves all instances.
type ABI interface {
	// Name is what listings call it: "http-wasm", "cgi".
	Name() string
	// Match tells whether a module speaks this ABI. An error says what the module lacks if it almost does.
	Match(info *engine.Info) (bool, error)
	// Functions names what the engine calls: init before the snapshot, entries for each request.
	Functions(info *engine.Info) (init, entries []string)
	// Bind gives a new instance what host functions need from it.
	Bind(in *engine.Instance, env *Environment)
	// Serve lets the instance answer one exchange.
	Serve(in *engine.Instance, x *Exchange) engine.Outcome
}

// Environment is what all instances of a service share. It is immutable.
type Environment struct {
	// Log takes what the guest prints or logs while it initialises; an Exchange has its own.
	Log func(Level, []byte)
	// Enabled reports whether lines of a level are kept; nil: all are.
	Enabled func(Level) bool
	// Mounts are the directories that the guest can read.
	Mounts []Mount
	// FileKey keeps what the host calls its files from the guest: device and inode numbers are hashed with it.
	FileKey [16]byte
}

// Mount is a directory that a guest can read, and nothing else. FS must not lead out of it: os.Root's does not.
type Mount struct {
	GuestPath string // absolute, "/content"
	FS        fs.FS
	// Pin, if set, stands in for FS. It returns the directory as it is now, which a request sees from its first use of the mount to its end, and
	// the function that gives it back.
	Pin func() (now fs.FS, release func())
}

// Detect finds the ABI that a module speaks. The error is a *engine.ModuleError.
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

// ExportsFunc tells whether a module exports a function of this name.
func ExportsFunc(info *engine.Info, name string) bool {
	_, ok := FuncExport(info, name)
	return ok
}
