package abi

import (
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// FuncExport returns the exported function of this name.
func FuncExport(info *engine.Info, name string) (e rewrite.Export, ok bool) {
	for _, e := range info.Exports {
		if e.Kind == rewrite.KindFunction && e.Name == name {
			return e, true
		}
	}
	return rewrite.Export{}, false
}

// Imports reports whether a module imports anything from a host module.
func Imports(info *engine.Info, module string) bool {
	for _, im := range info.Imports {
		if im.Module == module {
			return true
		}
	}
	return false
}

// HasSignature reports whether an exported function has this type. Types compare by their encodings.
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

// WASIInit returns the function that initialises a WASI reactor, or nil. For older guests it is
// _start: TinyGo before it supported reactors built commands whose _start is the initialisation.
func WASIInit(info *engine.Info) []string {
	for _, name := range []string{"_initialize", "_start"} {
		if ExportsFunc(info, name) {
			return []string{name}
		}
	}
	return nil
}
