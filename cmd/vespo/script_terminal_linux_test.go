package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// terminalCommand implements "[!] terminal COLUMNS INPUT NAME ARGS...". It runs a command whose standard streams are a
// terminal, types the lines of INPUT, which are separated by commas, and prints what the terminal shows.
func terminalCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: terminal COLUMNS INPUT NAME ARGS...")
	}
	var columns uint16
	_, err := fmt.Sscan(args[0], &columns)
	ts.Check(err)
	keyboard, tty, err := openTerminal(columns)
	ts.Check(err)
	defer keyboard.Close()
	if args[1] != "" {
		_, err = io.WriteString(keyboard, strings.ReplaceAll(args[1], ",", "\n")+"\n")
		ts.Check(err)
	}
	cmd := command(ts, args[2], args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(errors.Join(cmd.Start(), tty.Close()))
	shown, _ := io.ReadAll(keyboard) // fails when the command has closed the terminal
	_, _ = ts.Stdout().Write([]byte(strings.ReplaceAll(string(shown), "\r\n", "\n")))
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		ts.Check(err)
	}
	if success := cmd.ProcessState.Success(); success == neg {
		ts.Fatalf("%s: %s", args[2], cmd.ProcessState)
	}
}

// openTerminal opens a terminal and its other end.
func openTerminal(columns uint16) (keyboard, tty *os.File, err error) {
	if keyboard, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	fd := int(keyboard.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, nil, errors.Join(err, keyboard.Close())
	}
	return keyboard, tty, nil
}
