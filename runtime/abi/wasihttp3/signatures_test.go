package wasihttp3

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// functions are the flat types of all functions of the interfaces 0.3.0, as wit-component makes them.
//
//go:embed testdata/functions.txt
var functions string

func TestFunctionsAreThoseOfTheInterfaces(t *testing.T) {
	client := engine.HostModule{Name: clientModule, Funcs: sendFunctions("send", nil)}
	text := strings.Join(abitest.Signatures([]engine.HostModule{typesFunctions(), client}), "\n")
	text = strings.Replace(text, clientModule+" [async-lower]send (i32, i32) -> (i32)\n", "", 1) // not among those of a dummy
	require.Equal(t, strings.TrimSpace(functions), text)
}
