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

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/function/internal/runtimeapi"
	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/internal/inflight"
	"github.com/vespo-dev/vespo/services/internal/lograte"
)

// Bounds of processes.
const (
	defaultProcesses = 4
	maxProcesses     = 256
	stopTimeout      = 2 * time.Second // from SIGTERM to SIGKILL
	firstBackoff     = time.Second     // after the second process in a row that has served nothing
	maxBackoff       = 30 * time.Second
)

// processes are workers that the server starts and stops itself. Each has a Runtime API of its own, so that none can answer for another. It
// implements backend. A process runs from the first event that finds none free until the function is idle.
type processes struct {
	program program          // immutable
	max     int              // immutable
	loops   int              // immutable; events that one process takes at a time
	start   time.Duration    // immutable; Config.StartTimeout
	budget  budget.Account   // immutable
	logRate *lograte.Limiter // immutable
	log     *slog.Logger     // immutable

	owned sync.WaitGroup // of the goroutines of processes

	mu        sync.Mutex
	all       []*process      // guarded by mu, as all below; those that end are in it until they have
	waiting   []chan struct{} // invocations that wait for a free process, the first to be told at 0; each has room for one
	crashes   int             // processes in a row that have served nothing
	notBefore time.Time       // when the next one may be started
	closed    bool
}

// state gives the state of a deployment.
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

// invoke hands an event to a process and returns its reply. in.Wait bounds the wait for a process, its start included; a start that takes
// longer goes on for the requests to come, within Config.StartTimeout. A client that leaves does not end the event: the process would not know.
func (ps *processes) invoke(ctx context.Context, in runtimeapi.Input, _ *accesslog.Record) (*runtimeapi.Reply, error) {
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
			p.stop() // nothing else ends what it does
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
	case errors.Is(err, runtimeapi.ErrClosed): // its own endpoint is closed when it has ended
		if err = runtimeapi.ErrWorkerLost; p.late.Load() {
			err = fmt.Errorf("%w: it did not ask for its first event within %s", runtimeapi.ErrInit, ps.start)
		}
	case errors.Is(err, runtimeapi.ErrDeadline):
		ps.retire(p) // it hangs
	}
	ps.release(p, !errors.Is(err, runtimeapi.ErrWorkerLost) && !errors.Is(err, runtimeapi.ErrInit))
	return reply, err
}

// acquire gives a process with room for an event. It starts one where all are busy, and waits where no more may be.
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

// tryLocked gives a process, or something to wait for: a turn, and the time from which on another process may be started.
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

// leave takes a turn out of the queue. One that was given and is not used goes to the next.
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

// wakeLocked lets the invocation that has waited longest try again.
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
		ps.ended(p, asked) // before those who have waited for it can come again
		p.endpoint.Close()
	})
	return p, nil
}

// untaken gives back the room for an event that the process did not take before the client's time was over. One that is starting goes on;
// one that has not asked for an event that long after the last hangs, and is stopped.
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

// release gives back the room for an event; served tells whether the process has carried it out.
func (ps *processes) release(p *process, served bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.busy--
	p.since = time.Now()
	if served {
		p.served = true
		ps.crashes, ps.notBefore = 0, time.Time{}
	} else {
		p.retired = true // it ends, or has ended
	}
	if p.retired && p.busy == 0 {
		p.stop()
	}
	ps.wakeLocked()
}

// retire gives a process no more events, and stops it when those that it has are over.
func (ps *processes) retire(p *process) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.retired = true
}

// ended takes a process out that is not there any more; asked tells whether it was asked to end.
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

// scale stops the processes that have nothing to do.
func (ps *processes) scale() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.all {
		if p.free() && p.busy == 0 {
			p.served = true // or its end would count as a crash
			p.retired = true
			p.stop()
		}
	}
}

// close stops all processes and waits for their end.
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

// newProcesses makes the backend of a document that names a program.
func newProcesses(k *Kind, s services.Spec, d Document) *processes {
	return &processes{
		program: newProgram(s, d), max: cmp.Or(d.Processes, defaultProcesses), loops: max(1, d.Loops), start: k.cfg.StartTimeout,
		budget:  k.budget.For(string(s.Prefix)),
		logRate: lograte.New(k.cfg.LogRate),
		log:     k.cfg.Log.With(slog.String("service", string(s.Prefix))),
	}
}
