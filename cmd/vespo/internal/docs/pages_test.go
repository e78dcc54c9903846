package docs

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/project"
)

// TestPages runs every page.
func TestPages(t *testing.T) {
	needTools(t)
	bin, isolated := t.TempDir(), true
	if reason := canIsolate(); reason != nil {
		t.Log("pages run one at a time, on the ports of this machine:", reason)
		needPorts(t)
		isolated = false
	}
	buildVespo(t, bin)
	for _, name := range markdown(t) {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		require.NoError(t, err)
		t.Run(name, func(t *testing.T) {
			blocks := parsed(t, string(text))
			if len(blocks) == 0 {
				return
			}
			if isolated {
				t.Parallel()
			}
			runPage(t, &reader{bin: bin, dir: directory(t, name), isolated: isolated}, blocks)
		})
	}
	for _, template := range project.Templates() {
		t.Run("vespo new --template "+template, func(t *testing.T) {
			if isolated {
				t.Parallel()
			}
			dir := filepath.Join(t.TempDir(), "bee")
			_, err := project.Create(dir, template)
			require.NoError(t, err)
			text, err := os.ReadFile(filepath.Join(dir, "README.md"))
			require.NoError(t, err)
			r := &reader{bin: bin, dir: dir, isolated: isolated}
			needToolchain(t, r)
			runPage(t, r, parsed(t, string(text)))
		})
	}
}

// needTools skips the test where the documentation cannot be run.
func needTools(t *testing.T) {
	t.Helper()
	if race {
		t.Skip("the documentation is run without the race detector: the commands are built without it")
	}
	if testing.Short() {
		t.Skip("the documentation is not run by -short")
	}
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
}

// needPorts skips the test if another program uses a port that pages show.
func needPorts(t *testing.T) {
	t.Helper()
	for _, address := range []string{"127.0.0.1:8080", "127.0.0.1:4242", "127.0.0.1:9000", "127.0.0.1:9001"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Skip(err)
		}
		l.Close()
	}
}

// needToolchain skips a template whose toolchain is missing. Debian's toolchains may be hidden by others on the PATH.
func needToolchain(t *testing.T, r *reader) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(r.dir, "package.json")); err == nil {
		t.Skip("its tools come from npm's registry, and pages have no network; a script builds it: new_assemblyscript, new_component or new_worker")
	}
	r.start(t)
	err := r.session.run("vespo build || { export PATH=/usr/bin:$PATH && vespo build; }\n")
	if err != nil && strings.Contains(err.Error(), " is missing: ") {
		t.Skip(err)
	}
	require.NoError(t, err)
}

// parsed returns the blocks of a page.
func parsed(t *testing.T, text string) []block {
	t.Helper()
	blocks, errs := parse(text)
	require.NoError(t, errors.Join(errs...))
	return blocks
}

// directory returns a clean directory for a page: its place in a copy of the repository, or an empty one.
func directory(t *testing.T, page string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "vespo")
	if page == "README.md" || strings.Contains("/"+page, "/examples/") {
		copyRepository(t, dir)
		return filepath.Join(dir, filepath.FromSlash(path.Dir(page)))
	}
	require.NoError(t, os.Mkdir(dir, 0o755))
	return dir
}

// reader follows a page.
type reader struct {
	bin, dir string
	isolated bool
	session  *session
}

// start starts the session.
func (r *reader) start(t *testing.T) {
	t.Helper()
	if r.session == nil {
		r.session = newSession(t, r.dir, environment(t, r.bin, t.TempDir()), r.isolated)
	}
}

// runPage lets a reader follow a page to its end, or to the first block that fails.
func runPage(t *testing.T, r *reader, blocks []block) {
	t.Helper()
	for _, b := range blocks {
		if err := r.follow(t, b); err != nil {
			t.Fatalf("line %d, %s: %v", b.line, b.language, err)
		}
	}
	if r.session != nil {
		require.NoError(t, r.session.interrupt())
	}
}

// follow does what a block is for.
func (r *reader) follow(t *testing.T, b block) error {
	if reason := b.marks[markNotRun]; reason != "" {
		t.Logf("not run: line %d, %s: %s", b.line, b.language, reason)
		return nil
	}
	r.start(t)
	if needs := b.marks[markNeeds]; needs != "" {
		if r.session.run(needs+"\n") != nil {
			t.Logf("not run: line %d, %s: here this command fails: %s", b.line, b.language, needs)
			return nil
		}
	}
	if of := b.marks[markPartOf]; of != "" {
		return partOf(of, b.text)
	}
	if name := b.marks[markFile]; name != "" {
		return r.write(name, b)
	}
	switch b.language {
	case "sh":
		return r.session.run(b.text)
	case "console":
		return r.console(b.text)
	case "toml":
		return r.write("vespo.toml", b)
	case "json":
		var any any
		return json.Unmarshal([]byte(b.text), &any)
	case "go":
		return compiles(t, b.text)
	case "text": // an output, a drawing
		return nil
	}
	return fmt.Errorf("a block in this language needs a mark: one of %q, %q, %q", markNotRun, markFile, markPartOf)
}

// console runs the commands of a block and compares their output.
func (r *reader) console(text string) error {
	commands, err := console(text)
	if err != nil {
		return err
	}
	for _, c := range commands {
		if err := r.session.compare(c); err != nil {
			return err
		}
	}
	return nil
}

// write writes a block to a file, below the present directory of the session. A configuration file is checked.
func (r *reader) write(name string, b block) error {
	where, _, err := r.session.source("pwd")
	if err != nil {
		return err
	}
	file := filepath.Join(strings.TrimSpace(where), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(b.text), 0o644); err != nil {
		return err
	}
	if b.language == "toml" {
		return r.session.run("vespo check '" + name + "'\n")
	}
	return nil
}

// partOf returns an error unless a file of the repository contains the lines of a text. Empty lines and those that are
// comments of Go do not count, and a template of "vespo new" is that of the project hello.
func partOf(name, text string) error {
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	if !strings.Contains(bare(strings.ReplaceAll(string(content), "{{.Name}}", "hello")), bare(text)) {
		return fmt.Errorf("%s does not contain these lines:\n%s", name, text)
	}
	return nil
}

// bare returns a text, after a line break, without the empty lines and those that are comments of Go.
func bare(text string) string {
	rest := "\n"
	for line := range strings.Lines(text) {
		if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "//") {
			rest += line
		}
	}
	return rest
}
