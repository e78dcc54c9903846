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
	for _, line := range async { // the same parameters, and the state of the subtask
		line = strings.ReplaceAll(strings.Replace(line, "-> (i32)", "-> ()", 1), "[async-lower]", "")
		require.True(t, slices.Contains(lines, line), line)
	}
	require.Len(t, async, 2)
}
