//go:build unix

package function

import (
	"os"
	"syscall"
)

// terminate sends SIGTERM to the group of a process.
func terminate(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGTERM) }

// killGroup kills the remaining processes of a process's group.
func killGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) } // error ignored: the group may be empty
