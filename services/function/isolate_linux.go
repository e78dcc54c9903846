package function

import (
	"os/exec"
	"syscall"
)

// isolate gives a process a group of its own, and lets it die with the thread that starts it.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
