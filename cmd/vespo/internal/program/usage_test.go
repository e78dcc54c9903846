package program

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/shell"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// output runs a command that succeeds and returns its output.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	require.Equal(t, ExitOK, run(t.Context(), args, stdio.Streams{Out: &out, Err: io.Discard}))
	return out.String()
}

// flagsIn returns the long flags of a help text.
func flagsIn(help string) (flags []string) {
	for line := range strings.Lines(help) {
		for word := range strings.FieldsSeq(line) {
			indented := len(line) - len(strings.TrimLeft(line, " ")) // less than the text of a flag
			if indented <= 6 && strings.HasPrefix(strings.TrimLeft(line, " "), "-") && strings.HasPrefix(word, "--") {
				flag, _, _ := strings.Cut(word, "=")
				flags = append(flags, flag)
				break
			}
		}
	}
	return flags
}

// TestNothingOfTheHelpIsMissing checks that completion and the manual page know each command and each flag of the help.
func TestNothingOfTheHelpIsMissing(t *testing.T) {
	page := strings.ReplaceAll(output(t, "man"), `\-`, "-")
	commands := strings.Split(strings.TrimSpace(output(t, shell.Command, "")), "\n")
	require.Greater(t, len(commands), 12)
	for _, line := range commands {
		command, help, _ := strings.Cut(line, "\t")
		require.NotEmpty(t, help, command)
		require.Contains(t, page, ".SS "+command, command)
		completed := output(t, shell.Command, command, "--")
		all := flagsIn(output(t, command, "--help"))
		require.NotEmpty(t, all, command)
		for _, flag := range all {
			if name, negatable := strings.CutPrefix(flag, "--[no-]"); negatable {
				require.Contains(t, completed, "--no-"+name+"\t", command)
				flag = "--" + name
				all = append(all, "--no-"+name)
			}
			require.Contains(t, completed, flag+"\t", command)
			if flag != "--help" {
				require.Contains(t, page, strings.TrimPrefix(flag, "--"), command)
			}
		}
		require.Len(t, strings.Split(strings.TrimSpace(completed), "\n"), len(all), command)
	}
}

func TestNegativeValues(t *testing.T) {
	var grammar struct {
		Run struct {
			Count int    `short:"n"`
			Quiet bool   `short:"q"`
			Name  string `arg:"" optional:""`
		} `cmd:""`
	}
	parser, err := kong.New(&grammar)
	require.NoError(t, err)
	for given, want := range map[string]string{
		"run --count -1":          "run --count=-1",
		"run -n -1":               "run -n-1",
		"run --count -1.5s x":     "run --count=-1.5s x",
		"run --count=1 -1":        "run --count=1 -1",
		"run --quiet -1":          "run --quiet -1",
		"run -q -1":               "run -q -1",
		"run --count -x":          "run --count -x",
		"run --count - 1":         "run --count - 1",
		"run -- --count -1":       "run -- --count -1",
		"-1":                      "-1",
		"run --count -1 -n -2 -3": "run --count=-1 -n-2 -3",
	} {
		require.Equal(t, strings.Fields(want), withNegativeValues(parser.Model, strings.Fields(given)), given)
	}
}

// FuzzComplete checks that no line ends completion, whatever it is.
func FuzzComplete(f *testing.F) {
	for _, line := range []string{"", "add --me", "list --format = j", "= =", "-- --", "add - -", "help help x", "add --match=a=b"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for found := range strings.Lines(output(t, append([]string{shell.Command}, strings.Split(line, " ")...)...)) {
			require.NotEqual(t, "\n", found)
		}
	})
}
