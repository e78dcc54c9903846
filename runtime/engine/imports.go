package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// Limits of the texts about imports.
const (
	maxNamedImports = 20  // imports in one violation, and violations of other imports
	maxNameBytes    = 100 // of an import
)

// CheckImports returns the violations of a module's imports: all that no host module offers with this type.
func (e *Engine) CheckImports(info *Info) []string { return e.host.check(info) }

// check returns the violations of a module's imports. There is one for all missing functions of a host module.
func (t hostTable) check(info *rewrite.Info) (violations []string) {
	missing := make(map[string][]string) // by host module
	var modules []string                 // with missing functions, in the order of the imports
	more := 0
	for _, im := range info.Imports {
		text := t.checkOne(im)
		switch {
		case im.Kind == rewrite.KindFunction && !t.has(im):
			if missing[im.Module] == nil {
				modules = append(modules, im.Module)
			}
			missing[im.Module] = append(missing[im.Module], importName(im))
		case text != "" && len(violations) == maxNamedImports:
			more++
		case text != "":
			violations = append(violations, text)
		}
	}
	if more > 0 {
		violations = append(violations, fmt.Sprintf("has %d more imports that the host does not offer", more))
	}
	for i, module := range modules {
		if i == maxNamedImports {
			return append(violations, fmt.Sprintf("imports from %d more modules that the host does not have", len(modules)-i))
		}
		violations = append(violations, "imports "+listed(missing[module])+": "+t.absent(module))
	}
	return violations
}

func (t hostTable) has(im rewrite.Import) bool {
	_, ok := t[im.Module][im.Name]
	return ok
}

// checkOne returns the violation of an import other than a missing function, or "".
func (t hostTable) checkOne(im rewrite.Import) string {
	sig := t[im.Module][im.Name]
	switch {
	case im.Kind != rewrite.KindFunction:
		return fmt.Sprintf("imports the %s %s: the host offers functions only", im.Kind, importName(im))
	case !sameTypes(sig.params, im.Signature.Params) || !sameTypes(sig.results, im.Signature.Results):
		return fmt.Sprintf("imports %s as %s, the host has it as %s", importName(im), im.Signature, sig)
	}
	return ""
}

// absent says why imports from a module are missing, and what to do if the module is a known one.
func (t hostTable) absent(module string) string {
	if strings.Contains(module, ":") {
		return t.absentInterface(module)
	}
	if t[module] != nil {
		return fmt.Sprintf("the host's module %q has no such function", module)
	}
	text := fmt.Sprintf("the host has no module %.*q", maxNameBytes, module)
	switch module {
	case "env":
		return text + "; linkers import from it what the program calls and does not define: link the library that defines it, or remove the call"
	case "wasi_unstable":
		return text + "; it is of WASI preview 0: build with a toolchain for preview 1"
	case "go", "gojs":
		return text + "; it is for browsers: build with GOOS=wasip1"
	case "wbg", "__wbindgen_placeholder__":
		return text + "; it is for JavaScript: build without wasm-bindgen"
	}
	return text
}

// absentInterface is absent for a module that is an interface of the component model.
func (t hostTable) absentInterface(module string) string {
	if t[module] != nil {
		return "the host's interface has no such function"
	}
	base, given, _ := strings.Cut(module, "@")
	var others []string
	for name := range t {
		other, version, ok := strings.Cut(name, "@")
		if !ok || other != base {
			continue
		}
		// In a component, the version would be the one that the host offers.
		if strings.HasPrefix(given, version+".") && !strings.Contains(given, "-") {
			return "this is the core module of a component: make the component of it, as jco new or wasm-tools component new do, and add that"
		}
		others = append(others, version)
	}
	if len(others) == 0 {
		return "the host does not offer this interface: remove the call, or the library that makes it"
	}
	return "the host offers this interface in the version " + listed(others) + ": build with that one"
}

// importName returns the name of an import: MODULE.NAME, and INTERFACE#NAME for an interface of the component model.
func importName(im rewrite.Import) string {
	separator := "."
	if strings.Contains(im.Module, ":") {
		separator = "#"
	}
	return clipped(im.Module) + separator + clipped(im.Name)
}

func clipped(name string) string {
	if len(name) <= maxNameBytes {
		return name
	}
	return strings.ToValidUTF8(name[:maxNameBytes], "") + "..."
}

// listed joins names, each once, as "a, b and c".
func listed(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if more := len(names) - maxNamedImports; more > 0 {
		names = append(names[:maxNamedImports:maxNamedImports], fmt.Sprintf("%d more", more))
	}
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
