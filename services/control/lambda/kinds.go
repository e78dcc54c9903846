package lambda

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schema"
)

// Kinds are the kinds of services that the API makes of packages. The API knows them by their names and the fields of
// their descriptions alone.
type Kinds struct {
	Program  string      // name of the kind for packages with a program, and for workers outside of the server
	Function string      // name of the kind for modules that take events
	Module   schema.Kind // for modules that take requests; Function has the same fields
}

// Fields of programs.
const (
	fieldExec       = "exec"    // of a program that is not in a package
	fieldPackage    = "package" // the digest of a package, and the package itself among the blobs
	fieldMemorySize = "memory_size"
	fieldHandler    = "handler"
)

// Fields that programs and modules have.
const (
	fieldMemory = "memory" // of modules: a limit
	fieldConfig = "config" // environment variables
)

// bootstrap is the name of the program within a package.
const bootstrap = "bootstrap"

// maxTimeout is the limit of the kinds. Lambda's is 15 minutes.
const maxTimeout = time.Hour

// programFields returns the names of the fields of a program.
func programFields() []string {
	return []string{
		fieldExec,
		"exec_arg",
		fieldPackage,
		"processes",
		"worker_concurrency",
		fieldMemorySize,
		fieldHandler,
	}
}

// takesEvents reports whether services of this kind take events unchanged.
func (k Kinds) takesEvents(kind string) bool {
	return kind != "" && (kind == k.Program || kind == k.Function)
}

// isProgram reports whether a manifest is that of a function with a program.
func (k Kinds) isProgram(kind string, m registry.Manifest) bool {
	return kind == k.Program && schema.Pick(m, fieldExec, fieldPackage) != registry.EmptyManifest
}

// packageOf returns the digest of the package that a manifest names, "" if it names none.
func packageOf(m registry.Manifest) registry.Digest {
	var own struct {
		Package string `json:"package"`
	}
	if err := json.Unmarshal([]byte(m), &own); err != nil || own.Package == "" {
		return ""
	}
	return registry.Digest("sha256:" + own.Package)
}

// hasVariables reports whether the settings in a manifest can be environment variables. Modules can have one text in their
// place.
func hasVariables(m registry.Manifest) bool {
	var own struct {
		Config schema.Settings `json:"config"`
	}
	return json.Unmarshal([]byte(m), &own) == nil && own.Config.Text == ""
}

// ofModules returns the kinds for a module in order of preference: a service stays a service, even if its new module
// could be a function.
func (k Kinds) ofModules(before string) []string {
	kinds := []string{k.Function, k.Module.Name}
	if before == k.Module.Name {
		slices.Reverse(kinds)
	}
	return kinds
}
