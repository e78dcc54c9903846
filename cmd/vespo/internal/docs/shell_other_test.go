//go:build !linux

package docs

import (
	"errors"
	"os"
	"os/exec"
)

// shell returns a bash that has the network of the machine.
func shell(script string, _ bool) (*exec.Cmd, error) {
	return exec.Command("bash", "--noprofile", "--norc", "-c", script), nil
}

// canIsolate returns the reason why pages cannot have networks of their own; nil if they can.
func canIsolate() error { return errors.ErrUnsupported }

// killSession kills the leader of a session.
func killSession(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill() // fails if it has ended
	}
}
