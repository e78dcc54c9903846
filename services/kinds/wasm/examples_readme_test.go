package wasm_test

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
)

const (
	sourceRoot  = "../../.."
	sdkExamples = sourceRoot + "/guest-sdk/examples"
	rawExamples = sourceRoot + "/examples"
	examplesDoc = sourceRoot + "/docs/guests/examples.md"
	readmeURL   = "http://127.0.0.1:8080"
)

// exampleDirs returns the directories of all examples.
func exampleDirs(t *testing.T) []string {
	t.Helper()
	var dirs []string
	for _, root := range []string{sdkExamples, rawExamples} {
		entries, err := os.ReadDir(root)
		require.NoError(t, err)
		for _, e := range entries {
			if e.IsDir() {
				dirs = append(dirs, filepath.Join(root, e.Name()))
			}
		}
	}
	require.Greater(t, len(dirs), 15)
	return dirs
}

// TestExamplesAreDescribed checks that the READMEs of the SDK's examples contain the
// build command, and that the table in the documentation is complete.
func TestExamplesAreDescribed(t *testing.T) {
	table, err := os.ReadFile(examplesDoc)
	require.NoError(t, err)
	for _, dir := range exampleDirs(t) {
		text, err := os.ReadFile(filepath.Join(dir, "README.md"))
		require.NoError(t, err)
		link, err := filepath.Rel(filepath.Dir(examplesDoc), dir)
		require.NoError(t, err)
		require.Contains(t, string(table), "]("+filepath.ToSlash(link)+")")
		if filepath.Dir(dir) == filepath.Clean(sdkExamples) {
			require.Contains(t, string(text), "\nGOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o "+filepath.Base(dir)+".wasm .\n")
		}
	}
}

// TestExamplesDoWhatTheySay runs the commands of the examples' READMEs and compares the output.
func TestExamplesDoWhatTheySay(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	for _, dir := range exampleDirs(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			if filepath.Base(dir) == "notes" {
				t.Skip("it needs its store beside the server")
			}
			text, err := os.ReadFile(filepath.Join(dir, "README.md"))
			require.NoError(t, err)
			s := newServer(t, wasm.Config{Slots: 4, Timeout: time.Minute})
			scratch := filepath.Join(t.TempDir(), "example")
			require.NoError(t, os.CopyFS(scratch, os.DirFS(dir)))
			consoles := 0
			for _, b := range codeBlocks(string(text)) {
				switch b.language {
				case "sh":
					s.addAsTold(t, dir, b.text)
				case "console":
					consoles++
					runConsole(t, scratch, strings.ReplaceAll(b.text, readmeURL, s.URL))
				}
			}
			require.NotZero(t, consoles, "the README shows nothing")
		})
	}
}

type codeBlock struct{ language, text string }

var fenced = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

func codeBlocks(markdown string) (blocks []codeBlock) {
	for _, m := range fenced.FindAllStringSubmatch(markdown, -1) {
		blocks = append(blocks, codeBlock{m[1], m[2]})
	}
	return blocks
}

// addAsTold adds services by the lines that begin with "vespo add". Other lines build modules.
func (s *server) addAsTold(t *testing.T, dir, text string) {
	t.Helper()
	var builds []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "vespo add ") {
			builds = append(builds, line)
			continue
		}
		args := words(t, line)
		require.GreaterOrEqual(t, len(args), 4, line)
		flags, use, config := middlewareOf(t, args[4:])
		with := options(t, flags)
		if len(use) > 0 {
			var layers [][]byte
			for _, file := range use {
				layers = append(layers, exampleModule(t, dir, file, builds))
			}
			with = append(with, servicetest.WithMiddleware(config, layers...))
		}
		s.add("/"+args[2], exampleModule(t, dir, path.Base(args[3]), builds), with...)
	}
}

// middlewareOf separates the flags for middleware from the others.
func middlewareOf(t *testing.T, flags []string) (others, use []string, config map[string]string) {
	t.Helper()
	config = map[string]string{}
	for ; len(flags) > 1; flags = flags[2:] {
		switch flags[0] {
		case "--use":
			use = append(use, flags[1])
		case "--use-config":
			name, value, _ := strings.Cut(flags[1], "=")
			config[name] = value
		default:
			others = append(others, flags[:2]...)
		}
	}
	return append(others, flags...), use, config
}

// words returns the words of a command line as split by a shell.
func words(t *testing.T, line string) []string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `vespo() { printf 'vespo\n'; printf '%s\n' "$@"; }; `+line).Output()
	require.NoError(t, err, line)
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// options parses flags of "vespo add".
func options(t *testing.T, flags []string) (with []servicetest.Option) {
	t.Helper()
	require.Zero(t, len(flags)%2, "flags and values: %q", flags)
	var allow []string
	config := map[string]string{}
	for ; len(flags) > 0; flags = flags[2:] {
		switch value := flags[1]; flags[0] {
		case "--memory":
			n, err := humanize.ParseBytes(value)
			require.NoError(t, err)
			with = append(with, servicetest.WithMemory(int64(n)))
		case "--allow":
			allow = append(allow, value)
		case "--config":
			name, setting, ok := strings.Cut(value, "=")
			require.True(t, ok, value)
			config[name] = setting
		default:
			require.Fail(t, "this test does not know the flag "+flags[0])
		}
	}
	return append(with, servicetest.WithAllow(allow...), servicetest.WithConfig(config))
}

// runConsole runs the lines that begin with "$ " in one shell. It compares the output
// of each with the lines below it, in which "..." matches any text within a line.
func runConsole(t *testing.T, dir, text string) {
	t.Helper()
	const mark = "== end of a command =="
	var script strings.Builder
	var commands, wants []string
	for line := range strings.Lines(text) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			commands, wants = append(commands, strings.TrimSpace(command)), append(wants, "")
			fmt.Fprintf(&script, "%secho; echo '%s'\n", command, mark)
			continue
		}
		require.NotEmpty(t, commands, "output without a command: %s", line)
		wants[len(wants)-1] += line
	}
	shell := exec.Command("sh")
	shell.Stdin, shell.Dir = strings.NewReader(script.String()), dir
	out, err := shell.Output()
	require.NoError(t, err)
	got := strings.Split(strings.ReplaceAll(string(out), "\r\n", "\n"), mark+"\n")
	require.Len(t, got, len(commands)+1)
	for i, command := range commands {
		want := strings.TrimRight(wants[i], "\n")
		pattern := `(?m)\A` + strings.ReplaceAll(regexp.QuoteMeta(want), `\.\.\.`, `.*`) + `\n*\z`
		require.Regexp(t, pattern, got[i], "of the command %s", command)
	}
}
