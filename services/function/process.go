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

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/services/function/internal/runtimeapi"
)

// process is one run of a program. Its goroutine is that of run.
type process struct {
	of       *processes           // immutable
	endpoint *runtimeapi.Endpoint // immutable
	addr     string               // immutable; of the endpoint
	ending   context.Context      // immutable; ends when the process shall
	stop     context.CancelFunc   // immutable; ends ending
	output   output

	late    atomic.Bool // it was stopped because it did not ask for its first event in time
	busy    int         // guarded by processes.mu; events that it has
	served  bool        // guarded by processes.mu; it has carried out an event
	retired bool        // guarded by processes.mu; it gets no more events
	since   time.Time   // guarded by processes.mu; when its last event ended
}

// newProcess opens the Runtime API of a process that is to be started by run.
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

// free tells whether the process can take an event.
func (p *process) free() bool { return !p.retired && p.busy < p.of.loops }

// run starts the program and waits for its end, and the end of what it has started. It reports whether the process was asked to end.
func (p *process) run() (asked bool) {
	// The kernel ends a child when the thread that has started it ends, where the server's end shall be the child's. So this thread is kept
	// for it. Without unlocking, it ends with this goroutine.
	runtime.LockOSThread()
	defer p.stop()
	log := p.of.log
	p.output.lines.Reset(p.of.logLine, abi.LevelInfo)
	cmd := exec.CommandContext(p.ending, p.of.program.path, p.of.program.args...)
	cmd.Dir = filepath.Dir(p.of.program.path)
	cmd.Env = p.of.program.environmentOf(p.addr, time.Now())
	cmd.Stdout, cmd.Stderr = &p.output, &p.output // one writer: the lines keep their order
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
		killGroup(cmd.Process) // what it has left behind
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

// checkStart stops a process that has not asked for an event by the end of Config.StartTimeout.
func (p *process) checkStart() {
	if p.endpoint.Stats().Asked {
		return
	}
	p.late.Store(true)
	p.of.retire(p)
	p.stop()
}

// logLine writes a line of a process to the log, as far as the rate allows.
func (ps *processes) logLine(_ abi.Level, line []byte) {
	dropped, ok := ps.logRate.Take(abi.RecordBytes(line))
	if !ok {
		return
	}
	if dropped > 0 {
		ps.log.Warn("the function logs more than --log-rate allows; lines were dropped", slog.Int64("dropped", dropped))
	}
	ps.log.Info("function", slog.String("line", string(line)))
}

// outputPeriod is the time in which a process may write abi.MaxLogBytes to the log.
const outputPeriod = time.Second

// output takes what a process prints: lines for the log, bounded, and for the invocation that it carries out.
type output struct {
	mu    sync.Mutex
	lines abi.Lines // guarded by mu, as all below
	begun time.Time // of the period
	call  io.Writer // nil if nobody wants it

	writes int // number of pieces so far
}

// attach gives the output of the process to an invocation, until the next one.
func (o *output) attach(call io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.call = call
}

// Write implements io.Writer and never fails, so that the process does not notice.
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

// What a process has printed before its answer comes by another way, and perhaps a moment later.
const (
	settleQuiet = 2 * time.Millisecond
	settleMost  = 20 * time.Millisecond
)

// settle waits for a moment without output.
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
