package function

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/services/kinds/function/internal/runtimeapi"
)

// process is one run of a program. Its goroutine executes run.
type process struct {
	of       *processes           // immutable
	endpoint *runtimeapi.Endpoint // immutable
	addr     string               // immutable; of the endpoint
	ending   context.Context      // immutable; done when the process should end
	stop     context.CancelFunc   // immutable; cancels ending
	output   output

	late    atomic.Bool // stopped because it did not request its first event in time
	busy    int         // guarded by processes.mu; events in progress
	served  bool        // guarded by processes.mu; has completed an event
	retired bool        // guarded by processes.mu; receives no more events
	since   time.Time   // guarded by processes.mu; start, or end of the last event
}

// newProcess opens the Runtime API of a process. run then starts the program.
func newProcess(ps *processes) (*process, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the Runtime API of a process: %w", err)
	}
	p := &process{of: ps, addr: l.Addr().String(), endpoint: runtimeapi.New(runtimeapi.Config{Name: ps.program.name, Budget: ps.budget, Log: ps.log})}
	p.ending, p.stop = context.WithCancel(context.Background())
	p.endpoint.Start(l)
	return p, nil
}

// free reports whether the process can take an event. processes.mu must be held.
func (p *process) free() bool { return !p.retired && p.busy < p.of.loops }

// run starts the program and waits until it and its output pipes are closed. It then kills
// the remaining processes of its group. It reports whether the process was asked to end.
func (p *process) run() (asked bool) {
	// On Linux the kernel kills a child when the thread that started it exits, while it should only end with
	// the server. So the thread is locked to this goroutine, and exits with it because it is never unlocked.
	runtime.LockOSThread()
	defer p.stop()
	log := p.of.log
	p.output.lines.Reset(p.of.logLine, abi.LevelInfo)
	cmd := exec.CommandContext(p.ending, p.of.program.path, p.of.program.args...)
	cmd.Dir = filepath.Dir(p.of.program.path)
	cmd.Env = p.of.program.environmentOf(p.addr, time.Now())
	cmd.Stdout, cmd.Stderr = &p.output, &p.output // a single writer preserves the order of lines
	cmd.WaitDelay = stopTimeout
	isolate(cmd)
	cmd.Cancel = func() error { return terminate(cmd.Process) }
	begin := time.Now()
	err := cmd.Start()
	if err == nil {
		log.Debug("process started", slog.Int("pid", cmd.Process.Pid))
		starting := time.AfterFunc(p.of.start, p.checkStart)
		err = cmd.Wait()
		starting.Stop()
		killGroup(cmd.Process) // children left behind
	}
	p.output.end()
	asked = p.ending.Err() != nil
	var exited *exec.ExitError
	switch {
	case p.late.Load():
		log.Warn("process did not ask for its first event in time", slog.Duration("after", p.of.start))
	case asked:
		log.Debug("process stopped", slog.Duration("after", time.Since(begin)))
	case err == nil, errors.As(err, &exited), errors.Is(err, exec.ErrWaitDelay):
		log.Warn("process ended by itself", slog.Any("error", err), slog.Duration("after", time.Since(begin)))
	default:
		log.Error("process could not be started", slog.Any("error", err))
	}
	return asked
}

// checkStart stops a process that has not requested an event within Config.StartTimeout.
func (p *process) checkStart() {
	if p.endpoint.Stats().Asked {
		return
	}
	p.late.Store(true)
	p.of.retire(p)
	p.stop()
}

// logLine writes a line of a process to the log, unless the rate limit is exceeded.
func (ps *processes) logLine(_ abi.Level, line []byte) {
	if ps.logRate.Allows(ps.log, "the function", abi.RecordBytes(line)) {
		ps.log.Info("function", slog.String(accesslog.AttrLine, string(line)))
	}
}

// outputPeriod is the period in which a process may write abi.MaxLogBytes to the log.
const outputPeriod = time.Second

// output receives the output of a process. It writes bounded lines
// to the log, and copies everything to the current invocation.
type output struct {
	mu    sync.Mutex
	lines abi.Lines // guarded by mu, as all below
	begun time.Time // start of the current period
	call  io.Writer // of the current invocation; nil if it does not want the output

	writes int // number of writes so far
}

// attach sends the output to an invocation until the next call.
func (o *output) attach(call io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.call = call
}

// Write implements io.Writer. It never fails, so the process never sees an error.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := time.Now(); now.Sub(o.begun) >= outputPeriod {
		o.begun = now
		o.lines.Renew()
	}
	o.writes++
	if o.call != nil {
		_, _ = o.call.Write(b) // a Tail never fails
	}
	return o.lines.Write(b)
}

// Output arrives through a pipe, the response through a connection. Output
// that was written before the response may therefore arrive a moment later.
// settle waits for settleQuiet without output, and at most for settleMost.
const (
	settleQuiet = 2 * time.Millisecond
	settleMost  = 20 * time.Millisecond
)

// settle waits until no output has arrived for settleQuiet.
func (o *output) settle() {
	begin := time.Now()
	timer := time.NewTimer(settleQuiet)
	defer timer.Stop()
	for seen := -1; time.Since(begin) < settleMost; timer.Reset(settleQuiet) {
		<-timer.C
		o.mu.Lock()
		now := o.writes
		o.mu.Unlock()
		if now == seen {
			return
		}
		seen = now
	}
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines.Flush()
}
