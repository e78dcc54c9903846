package compiler

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// niceness of children: they take what requests leave, and about a quarter of a processor where requests leave nothing.
const niceness = 5

// slackBytes is what the system's limit on memory allows beyond job.MemoryBytes, since it counts what the Go runtime has reserved
// and not touched. It is for allocations so large that the child itself does not see them in time.
const slackBytes = 256 << 20

// confine makes the child a process group of its own, so that a terminal's signals do not reach it, and has it killed with its parent.
func confine(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limitProcess sets what the system enforces. Processor time beyond the limit ends in SIGKILL.
func limitProcess(j job) error {
	var errs []error
	for resource, limit := range map[int]uint64{
		unix.RLIMIT_CPU:   j.CPUSeconds,
		unix.RLIMIT_DATA:  uint64(j.MemoryBytes) + slackBytes,
		unix.RLIMIT_FSIZE: uint64(j.MemoryBytes),
		unix.RLIMIT_CORE:  0,
	} {
		var had unix.Rlimit
		err := unix.Getrlimit(resource, &had)
		limit = min(limit, had.Max) // which only the privileged may raise
		errs = append(errs, err, unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}))
	}
	errs = append(errs, unix.Setpriority(unix.PRIO_PGRP, 0, niceness))
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // if memory runs out, rather the child than the server
	return errors.Join(errs...)
}

// processorTime returns what this process has used.
func processorTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
