package program

import (
	"bytes"
	"io"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

func TestUnknownCommands(t *testing.T) {
	for given, want := range map[string]string{
		"ad":       `unknown command ad, did you mean "add"?`,
		"lst":      `unknown command lst, did you mean "list"?`,
		"ps":       `unknown command ps, did you mean "list"?`,
		"delete":   `unknown command delete, did you mean "remove"?`,
		"depoly":   `unknown command depoly, did you mean "deploy"?`,
		"surprise": "unknown command surprise",
	} {
		var told bytes.Buffer
		require.Equal(t, ExitUsage, run(t.Context(), []string{given, "x"}, stdio.Streams{Out: io.Discard, Err: &told}))
		require.Contains(t, told.String(), "vespo: "+want+"\n")
	}
	for other, name := range elsewhere() {
		var told bytes.Buffer
		require.Equal(t, ExitUsage, run(t.Context(), []string{other}, stdio.Streams{Out: io.Discard, Err: &told}), other)
		require.Contains(t, told.String(), "did you mean", name)
	}
}

func TestUnknownVariables(t *testing.T) {
	var app struct {
		Token string `env:"VESPO_TOKEN"`
		Sub   struct {
			Store string `env:"VESPO_STORE"`
		} `cmd:""`
	}
	parser, err := kong.New(&app)
	require.NoError(t, err)
	var told bytes.Buffer
	warnOfVariables(&told, parser.Model, []string{
		"VESPO_TOKEN=x", "VESPO_STORE_PASSWORD=x", "VESPO_TOKENS=x", "VESPO_TOKEN_OF_CI=x", "VESPO_MINE=x", "TOKEN=x", "VESPO_=", "=C:", "",
	})
	require.Empty(t, told.String())
	warnOfVariables(&told, parser.Model, []string{"VESPO_TOKNE=secret", "VESPO_STOER=y"})
	require.Equal(t, "vespo: warning: the variable VESPO_TOKNE is unknown, did you mean VESPO_TOKEN?\n"+
		"vespo: warning: the variable VESPO_STOER is unknown, did you mean VESPO_STORE?\n", told.String())
}
