package function

import (
	"os"
	"os/exec"
)

// isolate does nothing: Windows has no process groups of this sort.
func isolate(*exec.Cmd) {}

// terminate kills a process.
func terminate(p *os.Process) error { return p.Kill() }

// killGroup does nothing: child processes of a worker keep running.
func killGroup(*os.Process) {}
