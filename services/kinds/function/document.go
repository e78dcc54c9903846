package function

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/kinds/function/internal/packages"
	"github.com/vespo-dev/vespo/services/schema"
)

// Limits of a document.
const (
	maxLoops      = 1000
	maxArgs       = 256
	maxMemorySize = 10240
	// maxHandlerBytes is Lambda's limit.
	maxHandlerBytes = 128
)

// Document is the configuration of a function: the fields of [Description].
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
	// Package is the SHA-256 of the archive with the program, which is its bootstrap. The archive is the blob
	// FieldPackage. Versions of earlier releases lack it, but have their code unpacked in Config.Packages.
	Package string `json:"package,omitempty"`
	// Processes is the maximum number of concurrent processes. 0 is 4.
	Processes int `json:"processes,omitempty"`
	// MemorySize is passed to the program as
	// AWS_LAMBDA_FUNCTION_MEMORY_SIZE, in MiB. 0 is 128. It is not enforced.
	MemorySize int `json:"memory_size,omitempty"`
	// Handler is passed to the program as _HANDLER. The default is the name of the program's file.
	Handler string `json:"handler,omitempty"`
	// Config is the environment of the program, besides the variables that the server sets.
	Config  map[string]string `json:"config,omitempty"`
	Timeout schema.Period     `json:"timeout,omitempty"`
}

// Description describes the kind. A function has workers that are started outside of the server, or a program.
func Description() schema.Kind {
	return schema.Kind{
		Name:  KindName,
		Title: "a function",
		Forms: []schema.Form{
			{Requires: []string{FieldFunction}, Fields: workerFields()},
			{Requires: []string{fieldExec}, Permits: []string{FieldFunction}, Fields: programFields()},
		},
	}
}

// FieldFunction is the field that selects functions.
const FieldFunction = "function"

// FieldPackage is the field of the digest of the archive, and that of the archive itself among the blobs.
const FieldPackage = "package"

// Names of fields that violations are about.
const (
	fieldRuntimePort = "runtime_port"
	fieldLoops       = "worker_concurrency"
	fieldExec        = "exec"
	fieldArgs        = "exec_arg"
	fieldProcesses   = "processes"
	fieldMemorySize  = "memory_size"
	fieldHandler     = "handler"
	fieldConfig      = "config"
)

// Mark describes the field that selects functions.
func Mark() schema.Field {
	return schema.Field{
		Name: FieldFunction,
		Type: schema.Mark,
		Help: "Let processes answer that speak the Lambda Runtime API: they find it at the address that is shown, given to them as AWS_LAMBDA_RUNTIME_API. " +
			"With a module: a command that reads the event from standard input and prints what it returns.",
	}
}

// ModulesDescription describes the kind of functions that are modules, which a kind of modules runs.
func ModulesDescription(modules schema.Kind) schema.Kind {
	forms := make([]schema.Form, 0, len(modules.Forms))
	for _, form := range modules.Forms {
		form.Requires = append(slices.Clone(form.Requires), FieldFunction)
		form.Fields = append(slices.Clone(form.Fields), Mark())
		forms = append(forms, form)
	}
	modules.Forms = forms
	return modules
}

// commonFields returns the fields of both forms.
func commonFields() []schema.Field {
	return []schema.Field{
		Mark(),
		{
			Name:    fieldLoops,
			Type:    schema.Count,
			Form:    "N",
			Help:    "Number of events that one process takes at a time, if it was started with AWS_LAMBDA_MAX_CONCURRENCY.",
			Default: "1",
		},
		schema.Timeout("Deadline of an invocation.", "the server's --timeout"),
	}
}

func workerFields() []schema.Field {
	return append(commonFields(), schema.Field{
		Name:   fieldRuntimePort,
		Type:   schema.Count,
		Form:   "PORT",
		Help:   "Port of the Runtime API on 127.0.0.1.",
		Absent: "a free one",
	})
}

func programFields() []schema.Field {
	return append(commonFields(),
		schema.Field{
			Name:    fieldExec,
			Type:    schema.Program,
			Form:    "PROGRAM",
			Help:    "A function whose worker the server starts and stops itself. The server must have been started with --allow-exec. The settings of config are its environment.",
			Example: "/usr/local/bin/worker",
		},
		schema.Field{
			Name:       fieldArgs,
			Type:       schema.Texts,
			Form:       "ARG",
			Help:       "An argument of the program.",
			Secret:     true,
			EmptyItems: true,
		},
		schema.Field{
			Name:    fieldProcesses,
			Type:    schema.Count,
			Form:    "N",
			Help:    "Number of processes that may run at a time.",
			Default: strconv.Itoa(defaultProcesses),
		},
		schema.Field{Name: fieldConfig, Type: schema.Pairs, Form: "NAME=VALUE", Help: "A setting or secret that the service can ask for.", Secret: true},
		schema.Field{Name: FieldPackage, Type: schema.Text, Internal: true, Help: "SHA-256 of the archive with the program."},
		schema.Field{Name: fieldMemorySize, Type: schema.Count, Internal: true, Help: "AWS_LAMBDA_FUNCTION_MEMORY_SIZE, in MiB."},
		schema.Field{Name: fieldHandler, Type: schema.Text, Internal: true, Help: "_HANDLER of the program."},
	)
}

// fields returns the fields of both forms, each once.
func fields() []schema.Field {
	all := programFields()
	return append(all, workerFields()[len(commonFields()):]...)
}

// Bootstrap is the name of a package's program.
const Bootstrap = packages.Bootstrap

// Program reports whether the server starts the workers.
func (d Document) Program() bool { return d.Exec != "" || d.Package != "" }

// Encode returns the manifest. Equal documents have equal manifests.
func (d Document) Encode() registry.Manifest { return schema.Encode(fields(), d) }

// Decode reads a manifest. It checks the syntax only. Values are checked
// when the function is deployed. The error may be sent to the client.
func Decode(m registry.Manifest) (Document, error) { return schema.Decode[Document](m) }

// check returns all violations.
func (d Document) check() (violations problem.Violations) {
	if d.RuntimePort < 0 || d.RuntimePort > 65535 {
		violations.Add(fieldRuntimePort, "is %d: it must be a port, or 0 for a free one", d.RuntimePort)
	}
	if d.Loops < 0 || d.Loops > maxLoops {
		violations.Add(fieldLoops, "is %d: it must be between 1 and %d", d.Loops, maxLoops)
	}
	if timeout := time.Duration(d.Timeout); timeout < 0 || timeout > MaxTimeout {
		violations.Add(schema.FieldTimeout, "is %s: it must be more than 0 and at most %s", timeout, MaxTimeout)
	}
	if !d.Program() {
		return append(violations, d.checkNoProgram()...)
	}
	return append(violations, d.checkProgram()...)
}

// checkNoProgram refuses the fields of a program.
func (d Document) checkNoProgram() (violations problem.Violations) {
	for _, x := range [...]struct {
		field string
		given bool
	}{
		{fieldArgs, len(d.Args) > 0},
		{fieldProcesses, d.Processes != 0},
		{fieldMemorySize, d.MemorySize != 0},
		{fieldHandler, d.Handler != ""},
		{fieldConfig, len(d.Config) > 0},
	} {
		if x.given {
			violations.Add(x.field, "is a field of exec, which is not given")
		}
	}
	return violations
}

// checkProgram checks the fields of a program.
func (d Document) checkProgram() (violations problem.Violations) {
	switch {
	case d.Exec != "" && d.Package != "":
		violations.Add(fieldExec, "and package are given: a function has one program")
	case d.Package != "" && !packages.Digest(d.Package).Valid():
		violations.Add(FieldPackage, "is %.100q: it must be a SHA-256 in lower-case hexadecimal digits", d.Package)
	case d.Exec != "" && !filepath.IsAbs(d.Exec) || strings.ContainsRune(d.Exec, 0):
		violations.Add(fieldExec, "is %.200q: it must be the absolute path of a program on the server's machine", d.Exec)
	case d.RuntimePort != 0:
		violations.Add(fieldRuntimePort, "is for workers that the server does not start: each process of exec has a port of its own")
	}
	if len(d.Handler) > maxHandlerBytes || strings.ContainsRune(d.Handler, 0) {
		violations.Add(fieldHandler, "has %d bytes: it must have at most %d, without NUL", len(d.Handler), maxHandlerBytes)
	}
	if d.MemorySize < 0 || d.MemorySize > maxMemorySize {
		violations.Add(fieldMemorySize, "is %d: it must be between 1 and %d", d.MemorySize, maxMemorySize)
	}
	if d.Processes < 0 || d.Processes > maxProcesses {
		violations.Add(fieldProcesses, "is %d: it must be between 1 and %d", d.Processes, maxProcesses)
	}
	if len(d.Args) > maxArgs || strings.ContainsRune(strings.Join(d.Args, ""), 0) {
		violations.Add(fieldArgs, "is given %d times: at most %d arguments are accepted, without NUL", len(d.Args), maxArgs)
	}
	return append(violations, checkEnvironment(d.Config)...)
}
