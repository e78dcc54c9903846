package crashtest

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Environment variables that make the test binary run as a child.
const (
	childName = "VESPO_CRASHTEST_CHILD"
	childDir  = "VESPO_CRASHTEST_DIR"
)

// Child makes changes in a directory, and calls acknowledge after each, which prints a line.
type Child func(dir string, acknowledge func(format string, args ...any)) error

// Main calls run, which runs the tests, or the child that the environment names. TestMain calls it.
func Main(run func() int, children map[string]Child) int {
	child := children[os.Getenv(childName)]
	if child == nil {
		return run()
	}
	acknowledge := func(format string, args ...any) { fmt.Printf(format+"\n", args...) } // not buffered
	if err := child(os.Getenv(childDir), acknowledge); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	return 0
}

// Command returns the command that runs a child.
func Command(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childName+"="+name, childDir+"="+dir)
	return cmd
}

// Kill runs a child and kills it with SIGKILL, a random time after a random number of acknowledgements, from 1 to
// most. It returns the acknowledged lines. The last one may be torn.
func Kill(t *testing.T, name, dir string, most int) (lines []string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGKILL")
	}
	cmd := Command(t, name, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	enough := 1 + rand.IntN(most)
	for scan := bufio.NewScanner(out); scan.Scan(); {
		if lines = append(lines, scan.Text()); len(lines) == enough {
			time.AfterFunc(time.Duration(rand.IntN(10_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		}
	}
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, -1, exit.ExitCode(), "killed, and not failed: %v", exit)
	return lines
}
