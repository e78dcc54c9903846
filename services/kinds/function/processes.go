package function

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/lograte"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/internal/inflight"
	"github.com/vespo-dev/vespo/services/kinds/function/internal/runtimeapi"
)

// Limits of processes.
const (
	defaultProcesses = 4
	maxProcesses     = 256
	stopTimeout      = 2 * time.Second // from SIGTERM to SIGKILL
	firstBackoff     = time.Second     // after the second consecutive process that completed no event
	maxBackoff       = 30 * time.Second
)

// processes is the backend that starts and stops workers itself. Each process
// has its own Runtime API, so that none can answer for another. A process starts
// when an event finds no free process, and runs until the function is idle.
type processes struct {
	program program          // immutable
	max     int              // immutable; maximum number of processes
	loops   int              // immutable; concurrent events per process
	start   time.Duration    // immutable; Config.StartTimeout
	budget  budget.Account   // immutable
	logRate *lograte.Limiter // immutable
	log     *slog.Logger     // immutable

	owned sync.WaitGroup // of the goroutines of processes

	mu        sync.Mutex
	all       []*process      // guarded by mu, as all below; includes processes until they have ended
	waiting   []chan struct{} // invocations that wait for a free process, in order; each channel has capacity 1
	crashes   int             // consecutive processes that completed no event
	notBefore time.Time       // earliest start of the next process
	closed    bool
}

func (ps *processes) state() string {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if len(ps.all) == 0 {
		return services.StateIdle
	}
	return services.StateReady
}

func (ps *processes) warm() (n int) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.all {
		if p.free() {
			n++
		}
	}
	return n
}

func (ps *processes) describe() string {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return fmt.Sprintf("%s, %d of %d processes", ps.program.path, len(ps.all), ps.max)
}

// invoke hands an event to a process and returns its reply. in.Wait bounds the wait for a process,
// including its start. A start that takes longer continues for later requests, within Config.StartTimeout.
// A client that disconnects does not end the event, as the process cannot be notified.
func (ps *processes) invoke(ctx context.Context, _ *router.Request, in runtimeapi.Input, _ *accesslog.Result) (*runtimeapi.Reply, error) {
	deadline := time.Now().Add(in.Wait)
	p, err := ps.acquire(ctx, in.Wait)
	if err != nil {
		return nil, err
	}
	in.Loops, in.Wait = ps.loops, time.Until(deadline)
	if ps.loops == 1 {
		p.output.attach(in.Log)
	}
	unwatch := context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), inflight.ErrClosed) {
			p.stop() // nothing else interrupts it
		}
	})
	defer unwatch()
	reply, err := p.endpoint.Invoke(context.WithoutCancel(ctx), in)
	if err == nil && reply.Stream != nil {
		return reply.OnClose(func() { ps.release(p, true) }), nil
	}
	if in.Log != nil && ps.loops == 1 {
		p.output.settle()
	}
	switch {
	case errors.Is(err, runtimeapi.ErrNoWorker):
		ps.untaken(p)
		return nil, runtimeapi.ErrDeadline
	case errors.Is(err, runtimeapi.ErrClosed): // the process's own endpoint closes when it has ended
		if err = runtimeapi.ErrWorkerLost; p.late.Load() {
			err = fmt.Errorf("%w: it did not ask for its first event within %s", runtimeapi.ErrInit, ps.start)
		}
	case errors.Is(err, runtimeapi.ErrDeadline):
		ps.retire(p) // it hangs
	}
	ps.release(p, !errors.Is(err, runtimeapi.ErrWorkerLost) && !errors.Is(err, runtimeapi.ErrInit))
	return reply, err
}

// acquire returns a process with capacity for an event. If all are busy
// it starts another one, or waits if there are processes.max already.
func (ps *processes) acquire(ctx context.Context, wait time.Duration) (*process, error) {
	deadline := time.Now().Add(wait)
	for {
		ps.mu.Lock()
		p, turn, retry, err := ps.tryLocked()
		ps.mu.Unlock()
		if p != nil || err != nil {
			return p, err
		}
		until := deadline
		if !retry.IsZero() && retry.Before(until) {
			until = retry
		}
		timer := time.NewTimer(time.Until(until))
		select {
		case <-turn:
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-timer.C:
			if !time.Now().Before(deadline) {
				err = runtimeapi.ErrNoWorker
			}
		}
		timer.Stop()
		ps.leave(turn)
		if err != nil {
			return nil, err
		}
	}
}

// tryLocked returns a process, or what to wait for: a turn, and
// the time from which another process may be started (zero: none).
func (ps *processes) tryLocked() (p *process, turn chan struct{}, retry time.Time, err error) {
	if ps.closed {
		return nil, nil, retry, runtimeapi.ErrClosed
	}
	for _, p := range slices.Backward(ps.all) {
		if p.free() {
			p.busy++
			return p, nil, retry, nil
		}
	}
	if len(ps.all) < ps.max {
		if !time.Now().Before(ps.notBefore) {
			p, err = ps.startLocked()
			return p, nil, retry, err
		}
		retry = ps.notBefore
	}
	turn = make(chan struct{}, 1)
	ps.waiting = append(ps.waiting, turn)
	return nil, turn, retry, nil
}

// leave removes a turn from the queue. A turn that was granted but not used passes to the next invocation.
func (ps *processes) leave(turn chan struct{}) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if at := slices.Index(ps.waiting, turn); at >= 0 {
		ps.waiting = slices.Delete(ps.waiting, at, at+1)
	}
	select {
	case <-turn:
		ps.wakeLocked()
	default:
	}
}

// wakeLocked grants a turn to the invocation that has waited longest.
func (ps *processes) wakeLocked() {
	if len(ps.waiting) > 0 {
		ps.waiting[0] <- struct{}{}
		ps.waiting = slices.Delete(ps.waiting, 0, 1)
	}
}

func (ps *processes) startLocked() (*process, error) {
	p, err := newProcess(ps)
	if err != nil {
		return nil, err
	}
	p.busy, p.since = 1, time.Now()
	ps.all = append(ps.all, p)
	ps.owned.Go(func() {
		asked := p.run()
		ps.ended(p, asked) // before endpoint.Close, which lets waiting invocations retry
		p.endpoint.Close()
	})
	return p, nil
}

// untaken releases the slot of an event that the process did not take within the
// client's timeout. A starting process continues. One that has not requested an
// event for Config.StartTimeout since its last one hangs, and is stopped.
func (ps *processes) untaken(p *process) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.busy--
	if p.endpoint.Stats().Asked && p.busy == 0 && time.Since(p.since) >= ps.start {
		p.retired = true
	}
	if p.retired && p.busy == 0 {
		p.stop()
	}
	ps.wakeLocked()
}

// release releases the slot of an event. served reports whether the process completed it.
func (ps *processes) release(p *process, served bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.busy--
	p.since = time.Now()
	if served {
		p.served = true
		ps.crashes, ps.notBefore = 0, time.Time{}
	} else {
		p.retired = true // it is ending or has ended
	}
	if p.retired && p.busy == 0 {
		p.stop()
	}
	ps.wakeLocked()
}

// retire stops sending events to a process. It is stopped when its events in progress are done.
func (ps *processes) retire(p *process) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.retired = true
}

// ended removes a process that has ended. asked reports whether it was asked to end.
func (ps *processes) ended(p *process, asked bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.all = slices.DeleteFunc(ps.all, func(other *process) bool { return other == p })
	if !p.served && (p.retired || !asked) && !ps.closed {
		if ps.crashes++; ps.crashes > 1 {
			ps.notBefore = time.Now().Add(min(maxBackoff, firstBackoff<<min(ps.crashes-2, 10)))
		}
	}
	for range max(1, p.busy) {
		ps.wakeLocked()
	}
}

// scale stops idle processes.
func (ps *processes) scale() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.all {
		if p.free() && p.busy == 0 {
			p.served = true // otherwise its end would count as a crash
			p.retired = true
			p.stop()
		}
	}
}

// close stops all processes and waits until they have ended.
func (ps *processes) close() {
	ps.mu.Lock()
	ps.closed = true
	for _, p := range ps.all {
		p.retired = true
		p.stop()
	}
	for len(ps.waiting) > 0 {
		ps.wakeLocked()
	}
	ps.mu.Unlock()
	ps.owned.Wait()
}

// newProcesses returns the backend of a document with a program.
func newProcesses(k *Kind, s services.Spec, d Document) *processes {
	return &processes{
		program: newProgram(s, d),
		max:     cmp.Or(d.Processes, defaultProcesses),
		loops:   max(1, d.Loops),
		start:   k.cfg.StartTimeout,
		budget:  k.budget.For(s.Key.String()),
		logRate: lograte.New(k.cfg.LogRate),
		log:     k.cfg.Log.With(slog.String("service", s.Key.String())),
	}
}
