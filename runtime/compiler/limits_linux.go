package compiler

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vespo-dev/vespo/internal/regular"
)

// niceness is added to the nice value of the parent for its children. They use idle processors, and about a quarter of one
// if there are none.
const niceness = 5

// maxNice is the highest nice value.
const maxNice = 19

// slackBytes is added to job.MemoryBytes for the system's limit, which counts reserved but untouched memory
// of the Go runtime. The system's limit catches allocations that grow faster than the child's own checks.
const slackBytes = 256 << 20

// confine puts the child into a process group of its own, so that signals from a terminal
// do not reach it, and makes the kernel kill it with its parent.
func confine(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// graceSeconds is the time between SIGXCPU, on which the child exits, and SIGKILL. The
// kernel's count for these may run ahead of the processor time that it reports, so only the
// signal proves that the limit was reached.
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
		limit.Max = min(limit.Max, had.Max) // only privileged processes may raise it
		limit.Cur = min(limit.Cur, limit.Max)
		errs = append(errs, err, unix.Setrlimit(resource, &limit))
	}
	errs = append(errs, lowerPriority())
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // when memory runs out, kill the child before the server
	return errors.Join(errs...)
}

// lowerPriority raises the nice value of the child's process group. To lower the value takes a privilege, even if it is above
// niceness already.
func lowerPriority() error {
	raw, err := unix.Getpriority(unix.PRIO_PGRP, 0)
	if err != nil {
		return err
	}
	return unix.Setpriority(unix.PRIO_PGRP, 0, lowered(raw))
}

// lowered returns the nice value of the child for the result of the system call getpriority, which is 20 minus the current
// nice value.
func lowered(raw int) int { return min(20-raw+niceness, maxNice) }

// schedule returns how long the threads of this process have run, and how long they have waited for a processor; 0 if the
// kernel does not count it. Ended threads do not count: Go keeps its threads.
func schedule() (ran, waited time.Duration) {
	files, _ := filepath.Glob("/proc/self/task/*/schedstat")
	for _, file := range files {
		text, err := regular.ReadFile(file, 1<<10)
		if err != nil {
			continue // the thread has ended
		}
		var r, w int64
		if n, _ := fmt.Sscan(string(text), &r, &w); n == 2 {
			ran, waited = ran+time.Duration(r), waited+time.Duration(w)
		}
	}
	return ran, waited
}

// same returns a limit with equal soft and hard values.
func same(limit uint64) unix.Rlimit { return unix.Rlimit{Cur: limit, Max: limit} }

// processorTime returns the processor time used by this process.
func processorTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
