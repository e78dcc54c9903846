package function

import (
	"os/exec"
	"syscall"
)

// isolate starts a process in its own group. The kernel kills it when the thread that started it exits.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
