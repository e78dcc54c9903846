package wasm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamesOfComponentsAreBounded(t *testing.T) {
	require.Nil(t, shownNames(nil))
	require.Equal(t, []string{"wasi:io/poll@0.2.0"}, shownNames([]string{"wasi:io/poll@0.2.0"}))
	names := make([]string, 1000)
	for i := range names {
		names[i] = strings.Repeat("\u00e9", 5000) + "x"
	}
	names[0] = "x" + names[0] // cut within a character
	shown := shownNames(names)
	require.Len(t, shown, 101)
	require.Equal(t, "900 more", shown[100])
	require.Equal(t, "x"+strings.Repeat("\u00e9", 99), shown[0])
	require.Len(t, shown[1], 200)
}
