package abi

import (
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// FuncExport finds an exported function by name.
func FuncExport(info *engine.Info, name string) (e rewrite.Export, ok bool) {
	for _, e := range info.Exports {
		if e.Kind == rewrite.KindFunction && e.Name == name {
			return e, true
		}
	}
	return rewrite.Export{}, false
}

// Imports tells whether a module imports anything from a host module.
func Imports(info *engine.Info, module string) bool {
	for _, im := range info.Imports {
		if im.Module == module {
			return true
		}
	}
	return false
}

// HasSignature tells whether an export's type is the one given, by the types' encodings.
func HasSignature(e rewrite.Export, params, results []engine.ValueType) bool {
	return equalTypes(e.Signature.Params, params) && equalTypes(e.Signature.Results, results)
}

func equalTypes(a []rewrite.ValueType, b []engine.ValueType) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if byte(a[i]) != b[i] {
			return false
		}
	}
	return true
}

// WASIInit names the function that initialises a WASI reactor, or an older guest that is a command whose _start is its
// initialisation (TinyGo before it knew reactors); nothing if there is none.
func WASIInit(info *engine.Info) []string {
	for _, name := range []string{"_initialize", "_start"} {
		if ExportsFunc(info, name) {
			return []string{name}
		}
	}
	return nil
}
