package abitest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// Signatures returns the functions of host modules, sorted, each as a line "module function (i32, i64) -> (i32)".
func Signatures(hosts []engine.HostModule) []string {
	names := map[engine.ValueType]string{engine.I32: "i32", engine.I64: "i64", engine.F32: "f32", engine.F64: "f64"}
	text := func(types []engine.ValueType) string {
		var all []string
		for _, t := range types {
			all = append(all, names[t])
		}
		return "(" + strings.Join(all, ", ") + ")"
	}
	var lines []string
	for _, m := range hosts {
		for _, f := range m.Funcs {
			lines = append(lines, fmt.Sprintf("%s %s %s -> %s", m.Name, f.Name, text(f.Params), text(f.Results)))
		}
	}
	slices.Sort(lines)
	return lines
}
