package function

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/services/internal/document"
)

// Limits of a document.
const (
	maxLoops      = 1000
	maxArgs       = 256
	maxMemorySize = 10240
	// maxHandlerBytes is Lambda's limit.
	maxHandlerBytes = 128
)

// Document configures a function. The catalogue stores it as JSON: see [Document.Encode].
type Document struct {
	// RuntimePort is the port of the Runtime API on 127.0.0.1. 0 chooses a free one.
	RuntimePort int `json:"runtime_port,omitempty"`
	// Loops is the number of events that one worker processes
	// concurrently, its AWS_LAMBDA_MAX_CONCURRENCY. 0 is 1.
	Loops int `json:"worker_concurrency,omitempty"`
	// Exec is the absolute path of the worker program, which the server starts.
	// Without Exec and Package, workers are started outside of the server.
	Exec string   `json:"exec,omitempty"`
	Args []string `json:"exec_arg,omitempty"`
	// Package is the name of a directory below Config.Packages: the SHA-256 of the archive that was unpacked
	// into it. The program is its bootstrap. Unlike Exec, it stays valid when the data directory moves.
	Package string `json:"package,omitempty"`
	// Processes is the maximum number of concurrent processes. 0 is 4.
	Processes int `json:"processes,omitempty"`
	// MemorySize is passed to the program as
	// AWS_LAMBDA_FUNCTION_MEMORY_SIZE, in MiB. 0 is 128. It is not enforced.
	MemorySize int `json:"memory_size,omitempty"`
	// Handler is passed to the program as _HANDLER. The default is the name of the program's file.
	Handler string `json:"handler,omitempty"`
}

// Bootstrap is the name of a package's program.
const Bootstrap = "bootstrap"

// Program reports whether the server starts the workers.
func (d Document) Program() bool { return d.Exec != "" || d.Package != "" }

// Encode returns the canonical JSON, so that equal documents have equal digests.
func (d Document) Encode() []byte {
	if d.Loops == 1 {
		d.Loops = 0
	}
	return document.Encode(d)
}

// Decode parses a document. It checks the syntax only. Values are checked
// when the function is deployed. The error may be sent to the client.
func Decode(text []byte) (Document, error) {
	var d Document
	err := document.Decode(text, &d, "a function")
	return d, err
}

// check returns all violations.
func (d Document) check() (violations []string) {
	refuse := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }
	if d.RuntimePort < 0 || d.RuntimePort > 65535 {
		refuse("runtime_port is %d: it must be a port, or 0 for a free one", d.RuntimePort)
	}
	if d.Loops < 0 || d.Loops > maxLoops {
		refuse("worker_concurrency is %d: it must be between 1 and %d", d.Loops, maxLoops)
	}
	switch digest, err := hex.DecodeString(d.Package); {
	case !d.Program() && (len(d.Args) > 0 || d.Processes != 0 || d.MemorySize != 0 || d.Handler != ""):
		refuse("exec_arg, processes, memory_size and handler are options of exec, which is not given")
	case !d.Program():
		return violations
	case d.Exec != "" && d.Package != "":
		refuse("exec and package are given: a function has one program")
	case d.Package != "" && (err != nil || len(digest) != sha256.Size || strings.ToLower(d.Package) != d.Package):
		refuse("package is %.100q: it must be a SHA-256 in lower-case hexadecimal digits", d.Package)
	case d.Exec != "" && !filepath.IsAbs(d.Exec) || strings.ContainsRune(d.Exec, 0):
		refuse("exec is %.200q: it must be the absolute path of a program on the server's machine", d.Exec)
	case d.RuntimePort != 0:
		refuse("runtime_port is for workers that the server does not start: each process of exec has a port of its own")
	}
	if len(d.Handler) > maxHandlerBytes || strings.ContainsRune(d.Handler, 0) {
		refuse("handler has %d bytes: it must have at most %d, without NUL", len(d.Handler), maxHandlerBytes)
	}
	if d.MemorySize < 0 || d.MemorySize > maxMemorySize {
		refuse("memory_size is %d: it must be between 1 and %d", d.MemorySize, maxMemorySize)
	}
	if d.Processes < 0 || d.Processes > maxProcesses {
		refuse("processes is %d: it must be between 1 and %d", d.Processes, maxProcesses)
	}
	if len(d.Args) > maxArgs || strings.ContainsRune(strings.Join(d.Args, ""), 0) {
		refuse("exec_arg: at most %d can be given, without NUL", maxArgs)
	}
	return violations
}
