package main

import (
	"bytes"
	"io"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestTopRestoresTheTerminal ends "vespo top" by each signal. The terminal is as it was before, and the exit code is that
// of success.
func TestTopRestoresTheTerminal(t *testing.T) {
	_, c := launch(t, t.TempDir())
	_, err := post(t.Context(), c, "/hello", guests.Wat(t, "hello"))
	require.NoError(t, err)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		keyboard, tty, err := openTerminal(80)
		require.NoError(t, err)
		before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
		require.NoError(t, err)
		cmd := exec.Command("vespo", "top", "--server", c.Base())
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		require.NoError(t, cmd.Start())
		var shown bytes.Buffer
		for part := make([]byte, 4096); !bytes.Contains(shown.Bytes(), []byte("/hello")); {
			n, err := keyboard.Read(part)
			require.NoError(t, err, shown.String())
			shown.Write(part[:n])
		}
		during, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
		require.NoError(t, err)
		require.NotEqual(t, before, during)
		require.NoError(t, cmd.Process.Signal(signal))
		require.NoError(t, cmd.Wait(), signal)
		after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
		require.NoError(t, err)
		require.Equal(t, before, after)
		require.NoError(t, tty.Close())
		rest, _ := io.ReadAll(keyboard) // fails when all have closed the terminal
		require.Contains(t, string(rest), "\x1b[?1049l")
		require.NoError(t, keyboard.Close())
	}
}
