//go:build unix && !linux

package function

import (
	"os/exec"
	"syscall"
)

// isolate gives a process a group of its own. It outlives a server that is killed.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
