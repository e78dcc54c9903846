package project

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/project/worker"
)

// interruptDelay is how long a tool may run after the interrupt signal before it is killed.
const interruptDelay = 5 * time.Second

// MissingError reports a tool or library that a build needs and this machine lacks.
type MissingError struct {
	What string // such as "clang"
	Get  string // how to get it; begins with a verb
}

func (e *MissingError) Error() string { return e.What + " is missing: " + e.Get }

// onPath returns a *MissingError unless the program is on the PATH.
func onPath(tool, get string) error {
	if _, err := exec.LookPath(tool); err != nil {
		return &MissingError{What: tool, Get: get}
	}
	return nil
}

// build is one compilation.
type build struct {
	dir, out string           // absolute
	flags    []string         // from the project's settings, for the compiler
	worker   *worker.Settings // of the project's settings, or nil
	log      io.Writer        // gets the commands and their output
	reactor  bool             // the program is one, whatever its sources look like
}

// outArg returns the output path for a command that runs in dir: relative if it is below dir.
func (b *build) outArg() string {
	if rel, err := filepath.Rel(b.dir, b.out); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return b.out
}

// command is a program with its arguments, and variables that are added to its environment.
type command struct {
	env  []string // NAME=VALUE
	args []string
	slow string // follows the text that it runs; "" for nothing
}

// String formats the command in shell syntax.
func (c command) String() string {
	var words []string
	for _, v := range c.env {
		name, value, _ := strings.Cut(v, "=")
		words = append(words, name+"="+quote(value))
	}
	for _, arg := range c.args {
		words = append(words, quote(arg))
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

func quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func (c command) in(ctx context.Context, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), c.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = interruptDelay
	return cmd
}

// run logs the command and runs it. If stdout is nil, its standard output goes to the log too.
func (b *build) run(ctx context.Context, c command, stdout io.Writer) error {
	fmt.Fprintf(b.log, "$ %s\n", c)
	log := startNotice(b.log, c.running()+c.slow)
	defer log.stop()
	if stdout == nil {
		stdout = log
	}
	cmd := c.in(ctx, b.dir)
	cmd.Stdout, cmd.Stderr = stdout, log
	return c.failed(ctx, cmd.Run())
}

// running says that the command runs, by the names of the program and of its subcommand.
func (c command) running() string {
	name := filepath.Base(c.args[0])
	if len(c.args) > 1 && subcommand.MatchString(c.args[1]) {
		name += " " + c.args[1]
	}
	return name + " is still running"
}

// subcommand matches words such as install, which are neither flags nor files.
var subcommand = regexp.MustCompile(`^[a-z]+$`)

// npmInstall installs the packages of a project. flags are further ones.
func npmInstall(flags ...string) command {
	return command{
		args: append([]string{"npm", "install", "--no-audit", "--no-fund"}, flags...),
		slow: ": it downloads packages, and tries for minutes if it cannot reach its registry",
	}
}

// ask runs a command without side effects and returns its output.
// If it fails, the command and its standard error go to the log.
func (b *build) ask(ctx context.Context, c command) (string, error) {
	cmd := c.in(ctx, b.dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	log := startNotice(b.log, c.running())
	defer log.stop()
	text, err := cmd.Output()
	if err != nil {
		fmt.Fprintf(log, "$ %s\n%s", c, &stderr)
	}
	return strings.TrimSpace(string(text)), c.failed(ctx, err)
}

func (c command) failed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%s failed: %w", c.args[0], err)
	}
	return nil
}
