//go:build unix && !linux

package function

import (
	"os/exec"
	"syscall"
)

// isolate starts a process in its own group. The process survives a server that is killed.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
