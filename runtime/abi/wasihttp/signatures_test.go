package wasihttp

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// functions are the flat types of all functions of the interfaces 0.2.12, with unstable ones, as wit-component makes them.
//
//go:embed testdata/functions.txt
var functions string

func TestFunctionsAreThoseOfTheInterfaces(t *testing.T) {
	require.Equal(t, strings.Split(strings.TrimSpace(functions), "\n"), abitest.Signatures([]engine.HostModule{typesModule(), outgoingModule()}))
}
