package compiler

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
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

// graceSeconds is the time between SIGXCPU, on which the child ends itself, and SIGKILL. The kernel's count for these may
// run ahead of the processor time that it reports, so the signal is the only proof that the limit was reached.
const graceSeconds = 2

// outOfTime returns a channel that receives SIGXCPU, which the kernel sends at the limit of processor time.
func outOfTime() <-chan os.Signal {
	signalled := make(chan os.Signal, 1)
	signal.Notify(signalled, unix.SIGXCPU)
	return signalled
}

// limitProcess sets the limits that the system enforces.
func limitProcess(j job) error {
	var errs []error
	for resource, limit := range map[int]unix.Rlimit{
		unix.RLIMIT_CPU:   {Cur: j.CPUSeconds, Max: j.CPUSeconds + graceSeconds},
		unix.RLIMIT_DATA:  same(uint64(j.MemoryBytes) + slackBytes),
		unix.RLIMIT_FSIZE: same(uint64(j.MemoryBytes)),
		unix.RLIMIT_CORE:  same(0),
	} {
		var had unix.Rlimit
		err := unix.Getrlimit(resource, &had)
		limit.Max = min(limit.Max, had.Max) // only the privileged may raise it
		limit.Cur = min(limit.Cur, limit.Max)
		errs = append(errs, err, unix.Setrlimit(resource, &limit))
	}
	errs = append(errs, unix.Setpriority(unix.PRIO_PGRP, 0, niceness))
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // if memory runs out, rather the child than the server
	return errors.Join(errs...)
}

// same returns a limit that is soft and hard.
func same(limit uint64) unix.Rlimit { return unix.Rlimit{Cur: limit, Max: limit} }

// processorTime returns what this process has used.
func processorTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
