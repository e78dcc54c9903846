package function

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/arn"
)

// Limits of the environment that a service configures for its processes.
const (
	maxVariables     = 256
	maxVariableBytes = 64 << 10
)

// defaultMemorySize is the AWS_LAMBDA_FUNCTION_MEMORY_SIZE in MiB
// of documents without one, as in Lambda. It is not enforced.
const defaultMemorySize = 128

// program is an executable with its arguments and environment.
// It inherits no variable of the server's environment.
type program struct {
	name        string // of the function
	version     string // of the function
	path        string
	args        []string
	environment map[string]string // without the variables specific to one process
}

// newProgram returns the program of a document whose Exec is resolved. It sets the variables
// that Lambda documents for an OS-only runtime, with these exceptions. AWS_EXECUTION_ENV: Lambda
// does not set it for such runtimes. Credentials and AWS_XRAY_DAEMON_ADDRESS: they would refer
// to services that do not exist. _X_AMZN_TRACE_ID: runtimes set it themselves for each event.
func newProgram(s services.Spec, d Document) program {
	name, version := arn.Of(s.Key.String())
	root := filepath.Dir(d.Exec)
	env := map[string]string{
		"PATH": "/usr/local/bin:/usr/bin:/bin", "LD_LIBRARY_PATH": root + ":" + filepath.Join(root, "lib"), "TZ": ":UTC", "LANG": "C.UTF-8",
		"AWS_REGION": arn.Region, "AWS_DEFAULT_REGION": arn.Region, "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
	}
	maps.Copy(env, d.Config)
	memory := d.MemorySize
	if memory == 0 {
		memory = defaultMemorySize
	}
	handler := d.Handler
	if handler == "" {
		handler = filepath.Base(d.Exec)
	}
	maps.Copy(env, map[string]string{
		"AWS_LAMBDA_FUNCTION_NAME":        name,
		"AWS_LAMBDA_FUNCTION_VERSION":     version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(memory),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + name,
		"LAMBDA_TASK_ROOT":                root,
		"LAMBDA_RUNTIME_DIR":              root,
		"_HANDLER":                        handler,
	})
	if d.Loops > 1 {
		env["AWS_LAMBDA_MAX_CONCURRENCY"] = strconv.Itoa(d.Loops)
	}
	return program{name: name, version: version, path: d.Exec, args: d.Args, environment: env}
}

// environmentOf returns the environment of a process that starts now and
// whose Runtime API is at addr. Each process has its own log stream.
func (p *program) environmentOf(addr string, now time.Time) (all []string) {
	env := maps.Clone(p.environment)
	env["AWS_LAMBDA_RUNTIME_API"] = addr
	env["AWS_LAMBDA_LOG_STREAM_NAME"] = now.UTC().Format("2006/01/02/") + "[" + p.version + "]" + strings.ReplaceAll(invocation.NewID(), "-", "")
	for _, variable := range slices.Sorted(maps.Keys(env)) {
		all = append(all, variable+"="+env[variable])
	}
	return all
}

// reserved reports whether only the server may set the variable.
func reserved(variable string) bool {
	switch variable {
	case "_HANDLER", "_X_AMZN_TRACE_ID", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR":
		return true
	}
	return strings.HasPrefix(variable, "AWS_LAMBDA_")
}

// checkEnvironment returns the violations of the option config, which is the environment of the processes.
func checkEnvironment(config map[string]string) (violations problem.Violations) {
	total := 0
	for name, value := range config {
		total += len(name) + len(value)
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			violations.Add(fieldConfig, "has the name %.100q, which no variable can have, or a value with a NUL", name)
		}
		if reserved(name) {
			violations.Add(fieldConfig, "has the name %.100q: _HANDLER, _X_AMZN_TRACE_ID, LAMBDA_TASK_ROOT, "+
				"LAMBDA_RUNTIME_DIR and names that begin with AWS_LAMBDA_ are the server's to set", name)
		}
	}
	if len(config) > maxVariables || total > maxVariableBytes {
		violations.Add(fieldConfig, "has %d settings of %d bytes: at most %d settings of %d bytes are allowed",
			len(config), total, maxVariables, maxVariableBytes)
	}
	slices.SortFunc(violations, func(a, b problem.Violation) int { return strings.Compare(a.Text, b.Text) })
	return violations
}
