package wasip3

import (
	_ "embed"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi/abitest"
)

// functions are the flat types of all functions of the interfaces 0.3.0, as wit-component makes them.
//
//go:embed testdata/functions.txt
var functions string

func TestFunctionsAreThoseOfTheInterfaces(t *testing.T) {
	var lines, async []string
	for _, line := range abitest.Signatures(HostModules(nil)) {
		if strings.Contains(line, "[async-lower]") {
			async = append(async, line)
		} else {
			lines = append(lines, line)
		}
	}
	require.Equal(t, strings.Split(strings.TrimSpace(functions), "\n"), lines)
	var want []string
	for _, line := range lines {
		if waits(line) {
			want = append(want, lowered(line))
		}
	}
	slices.Sort(want)
	require.Equal(t, want, async)
}

// waits reports whether the function is asynchronous in the interface.
func waits(line string) bool {
	method := strings.Contains(line, "[method]descriptor.") && !strings.Contains(line, "-via-stream") && !strings.Contains(line, ".read-directory ")
	return method || strings.Contains(line, " wait-")
}

// lowered returns the type of the asynchronous form: a result is always in memory, and so are more than four parameters.
func lowered(line string) string {
	name, types, _ := strings.Cut(line, " (")
	params, result, _ := strings.Cut(types, ") -> ")
	if result == "(i32)" {
		params += ", i32"
	}
	if strings.Count(params, ",") > 4 {
		params = "i32, i32"
	}
	from, function, _ := strings.Cut(name, " ")
	return from + " [async-lower]" + function + " (" + params + ") -> (i32)"
}
