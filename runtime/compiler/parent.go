package compiler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	goruntime "runtime"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/internal/tail"
)

// errNoChild is wrapped by the errors of children that did not start.
var errNoChild = errors.New("compiler: the process cannot be started")

// queueTime is the total time that a child may wait for processors, because requests have priority.
const queueTime = time.Minute

// killWait is how long the pipes of a killed child may stay open.
const killWait = time.Second

// compileChild runs the job in a child and waits until the child has exited.
func (c *Compiler) compileChild(ctx context.Context, dir string, module, stub []byte) error {
	wall, cancel := context.WithTimeout(ctx, c.cfg.CPUTime+queueTime)
	defer cancel()
	cmd := exec.CommandContext(wall, c.cfg.Command[0])
	cmd.Args = c.cfg.Command[1:]
	// The job names the directory relative to the child's, because dir may be relative to that of this process.
	cmd.Dir = dir
	cmd.Env = environment() // not the server's, which may contain secrets
	cmd.WaitDelay = killWait
	stdout, stderr := tail.New(maxReasonBytes), tail.New(maxReasonBytes)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	confine(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return notStarted(err)
	}
	goruntime.LockOSThread() // Pdeathsig is sent when the thread that started the child exits
	defer goruntime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		if _, gone := os.Lstat(dir); gone != nil { // the system names the program, which is there
			return fmt.Errorf("compiler: %w", gone)
		}
		return notStarted(err)
	}
	c.cfg.Log.Debug("compiling a module", slog.Int("bytes", len(module)), slog.Int("pid", cmd.Process.Pid))
	written := make(chan struct{})
	go func() {
		defer close(written)
		// An error means that the child has exited; Wait returns the reason. The stream stays
		// open until then.
		_ = writeJob(stdin, job{
			Dir:         ".",
			MemoryBytes: c.cfg.MemoryBytes,
			CPUSeconds:  seconds(c.cfg.CPUTime),
			Workers:     c.workers,
			Processors:  goruntime.GOMAXPROCS(0),
			Reading:     c.reading,
		}, module, stub)
	}()
	err = cmd.Wait() // closes stdin, which ends the writer
	<-written
	if ctx.Err() != nil {
		return ctx.Err()
	}
	state := cmd.ProcessState
	if err == nil {
		c.cfg.Log.Debug("compiled a module", slog.Int("pid", cmd.Process.Pid), slog.Duration("processor_time", state.UserTime()+state.SystemTime()))
		return nil
	}
	return c.failed(cmd, wall.Err(), fmt.Errorf("compiler: %w: %s", err, bytes.TrimSpace(stderr.Bytes())), stdout.String())
}

// notStarted returns the error of a child that did not start. It matches errNoChild unless the reason may pass, such as too many open files
// or processes: then a module must not be compiled without bounds.
func notStarted(err error) error {
	if scarce.Own(err) || errors.Is(err, syscall.EAGAIN) {
		return fmt.Errorf("compiler: no process can be started now: %w", err)
	}
	return fmt.Errorf("%w: %w", errNoChild, err)
}

func seconds(d time.Duration) uint64 { return uint64((d + time.Second - 1) / time.Second) }

// failed maps the end of a child to an error.
func (c *Compiler) failed(cmd *exec.Cmd, late, cause error, reason string) error {
	state, memory := cmd.ProcessState, humanize.IBytes(uint64(c.cfg.MemoryBytes))+" of memory"
	switch took := state.UserTime() + state.SystemTime(); {
	case state.ExitCode() == exitInvalid:
		return &Refusal{Reason: reason, Cause: cause}
	case state.ExitCode() == exitMemory:
		return &Refusal{Reason: "cannot be compiled: that needs more than " + memory, Cause: cause}
	case state.ExitCode() == exitFull:
		return ErrNoSpace
	case state.ExitCode() == exitTime, took >= c.cfg.CPUTime*9/10:
		return &Refusal{Reason: fmt.Sprintf("cannot be compiled: that takes longer than %s of processor time", c.cfg.CPUTime), Cause: cause}
	case late != nil:
		return fmt.Errorf("compiler: not done after %s, with %s of processor time: %w", c.cfg.CPUTime+queueTime, took, late)
	case state.ExitCode() == exitPanic, state.ExitCode() == exitFatal:
		return &Refusal{Reason: "cannot be compiled: the compiler fails on it, or needs more than " + memory, Cause: cause}
	}
	return cause
}

// exitFatal is the exit code of the Go runtime after fatal errors: a stack overflow, or
// an allocation refused by the system.
const exitFatal = 2
