package function

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/services/internal/document"
)

// Bounds of a document.
const (
	maxLoops = 1000
	maxArgs  = 256
)

// Document says what a prefix is bound to. It is what the catalogue keeps, as JSON; see [Document.Encode].
type Document struct {
	// RuntimePort is the port of the Runtime API on 127.0.0.1; 0: a free one.
	RuntimePort int `json:"runtime_port,omitempty"`
	// Loops is how many events one worker takes at a time, as its AWS_LAMBDA_MAX_CONCURRENCY says; 0 is 1.
	Loops int `json:"worker_concurrency,omitempty"`
	// Exec is the absolute path of the program that the server starts as the worker; empty: somebody else starts workers.
	Exec string   `json:"exec,omitempty"`
	Args []string `json:"exec_arg,omitempty"`
	// Processes is how many of them may run at a time; 0 is 4.
	Processes int `json:"processes,omitempty"`
}

// Encode gives the canonical form: the same binding is always the same bytes, and so has one digest.
func (d Document) Encode() []byte {
	if d.Loops == 1 {
		d.Loops = 0
	}
	return document.Encode(d)
}

// Decode reads a document. It looks at the form alone: what the members say is checked when it is deployed. The error is fit for
// the client.
func Decode(text []byte) (Document, error) {
	var d Document
	err := document.Decode(text, &d, "a function")
	return d, err
}

// check lists all that is wrong.
func (d Document) check() (violations []string) {
	refuse := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }
	if d.RuntimePort < 0 || d.RuntimePort > 65535 {
		refuse("runtime_port is %d: it must be a port, or 0 for a free one", d.RuntimePort)
	}
	if d.Loops < 0 || d.Loops > maxLoops {
		refuse("worker_concurrency is %d: it must be between 1 and %d", d.Loops, maxLoops)
	}
	switch {
	case d.Exec == "" && (len(d.Args) > 0 || d.Processes != 0):
		refuse("exec_arg and processes are options of exec, which is not given")
	case d.Exec == "":
		return violations
	case !filepath.IsAbs(d.Exec) || strings.ContainsRune(d.Exec, 0):
		refuse("exec is %.200q: it must be the absolute path of a program on the server's machine", d.Exec)
	case d.RuntimePort != 0:
		refuse("runtime_port is for workers that the server does not start: each process of exec has a port of its own")
	}
	if d.Processes < 0 || d.Processes > maxProcesses {
		refuse("processes is %d: it must be between 1 and %d", d.Processes, maxProcesses)
	}
	if len(d.Args) > maxArgs || strings.ContainsRune(strings.Join(d.Args, ""), 0) {
		refuse("exec_arg: at most %d can be given, without NUL", maxArgs)
	}
	return violations
}
