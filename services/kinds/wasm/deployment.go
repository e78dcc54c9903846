package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/lograte"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/extension"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/runtime/pool"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/egress/outbound"
	"github.com/vespo-dev/vespo/services/internal/directory"
)

// deployment is one prepared version of a service. It implements services.Deployment.
type deployment struct {
	kind        *Kind                  // immutable
	abi         abi.ABI                // immutable
	spec        services.Spec          // immutable; without the module's bytes
	timeout     time.Duration          // immutable
	memoryBytes int64                  // immutable
	log         *slog.Logger           // immutable
	pool        *pool.Pool             // immutable
	outbound    *outbound.Client       // immutable; nil if the service may make no calls
	settings    *extension.Settings    // immutable
	logRate     *lograte.Limiter       // immutable
	environment abi.Environment        // immutable
	mounts      []*directory.Directory // immutable

	module atomic.Pointer[facts] // atomic; set by each compilation
}

// facts are the facts about a module that outlive its compiled code.
type facts struct {
	fresh       bool
	freshReason string
	repeats     engine.Repeats
	limitBytes  int64
}

func (d *deployment) compile(ctx context.Context, bin []byte) (*engine.Module, error) {
	info, err := engine.Inspect(bin)
	if err != nil {
		return nil, err
	}
	init, entries := d.abi.Functions(info)
	m, err := d.kind.engine.Compile(ctx, bin, engine.ModuleOptions{
		MemoryBytes: d.memoryBytes, Fresh: d.spec.Options.Isolation == IsolationFresh, Init: init, Entries: entries,
		RepeatSecrets: d.spec.Options.Isolation == IsolationSnapshot,
		Bind:          d.bind,
		Prepared:      d.learn,
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// learn records the facts about a prepared module for the lifetime of the deployment.
func (d *deployment) learn(m *engine.Module) {
	f := &facts{repeats: m.Repeats(), limitBytes: m.LimitBytes()}
	f.fresh, f.freshReason = m.Fresh()
	first := d.module.Swap(f) == nil
	if !first {
		return
	}
	for _, w := range f.warnings() {
		d.log.Warn(w)
	}
}

// warnings returns warnings about the snapshot for the owner of the service.
func (f *facts) warnings() []string {
	switch {
	case f.fresh:
		return nil
	case f.repeats.Secrets:
		return []string{"the module draws random numbers while it is initialised, and isolation is \"snapshot\": every request may return the same tokens and keys. " +
			"Leave isolation to the server, or set it to \"fresh\""}
	case f.repeats.Generators:
		return []string{"pseudo-random numbers, such as those of math/rand, are the same in every request. Use crypto/rand for tokens and keys, or the Go SDK, which seeds the generators anew"}
	}
	return nil
}

// bind sets up a new instance for the host functions.
func (d *deployment) bind(in *engine.Instance) {
	in.Extension = extension.NewState(d.settings)
	d.abi.Bind(in, &d.environment)
	in.Caller = newExchange(d)
}

// guestLog writes a line of guest output to the service's log, within the rate limit.
func (d *deployment) guestLog(level abi.Level, line []byte) {
	if !d.logs(level) {
		return
	}
	dropped, ok := d.logRate.Take(abi.RecordBytes(line))
	if !ok {
		return
	}
	if dropped > 0 {
		d.log.Warn("the service logs more than --log-rate allows; lines were dropped", slog.Int64("dropped", dropped))
	}
	d.log.Log(context.Background(), logLevel(level), "guest", slog.String("line", string(line)))
}

// logs reports whether the server's log level includes level.
func (d *deployment) logs(level abi.Level) bool {
	return d.log.Enabled(context.Background(), logLevel(level))
}

func logLevel(level abi.Level) slog.Level {
	switch level {
	case abi.LevelDebug:
		return slog.LevelDebug
	case abi.LevelInfo:
		return slog.LevelInfo
	case abi.LevelWarn:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// Serve implements router.Handler.
func (d *deployment) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	return d.ServeBefore(w, r, res, nil)
}

// ServeBefore implements services.Middleware. If next is nil, there is no handler behind the guest.
func (d *deployment) ServeBefore(w http.ResponseWriter, r *router.Request, res *accesslog.Result, next router.Handler) error {
	if r.ContentLength > d.kind.cfg.MaxBodyBytes {
		return bodyTooLarge(d.kind.cfg.MaxBodyBytes)
	}
	deadline := r.Admitted.Add(d.timeout)
	in, start, out, err := d.pool.Acquire(r.Context(), deadline)
	res.Start = accesslog.Start(start)
	switch {
	case err != nil:
		return d.acquireError(err)
	case in == nil:
		return d.outcomeError(out, nil)
	}
	res.SnapshotBytes += int64(len(in.Memory()))
	x := in.Caller.(*exchange)
	x.begin(w, r, d, deadline)
	if next != nil {
		x.passTo(next, res)
	}
	extra := in.Extension.(*extension.State)
	extra.Begin(&x.Exchange)
	out = d.abi.Serve(in, &x.Exchange)
	extra.End()
	res.GuestTime += in.TakeGuestTime()
	res.PeakBytes += int64(len(in.Memory()))
	x.response.finish()
	err = d.answerError(out, x)
	x.end() // x belongs to the instance, which another request may get after Release
	res.DirtyBytes += int64(d.pool.Release(in, out.Kind == engine.OK))
	return err
}

// answerError returns the error to answer with after the guest has run, or nil if the guest has answered.
func (d *deployment) answerError(out engine.Outcome, x *exchange) error {
	if out.Kind == engine.OK && x.PassedOn {
		return problem.New(problem.NotFound, "the service passed the request on, and nothing is behind it")
	}
	return d.outcomeError(out, x)
}

func (d *deployment) acquireError(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return problem.New(problem.Deadline, "the service could not be loaded in time").WithCause(err)
	case errors.Is(err, pool.ErrClosed):
		return problem.New(problem.NotReady, "this version of the service is being stopped; try again").WithCause(err)
	case errors.Is(err, pool.ErrNoSlot):
		d.log.Error("a slot is missing although the request was admitted: this is a defect", slog.Any("error", err))
		return problem.New(problem.NoCapacity, "no memory slot is free; try again later").WithCause(err)
	}
	return fmt.Errorf("get an instance: %w", err)
}

// outcomeError maps an outcome to the client's answer, or nil if the guest answered.
// The client learns the kind of failure. The cause goes to the log only.
func (d *deployment) outcomeError(out engine.Outcome, x *exchange) error {
	var p *problem.Problem
	switch out.Kind {
	case engine.OK:
		return nil
	case engine.Exit:
		p = problem.Newf(problem.GuestExit, "the service exited with code %d", out.ExitCode)
	case engine.Trap:
		p = problem.New(problem.Trap, "the service trapped")
	case engine.OutOfMemory:
		p = problem.Newf(problem.OutOfMemory, "Out of Memory: the request needs more than the %d bytes that the service may use", d.limitBytes())
	case engine.StackOverflow:
		p = problem.New(problem.StackOverflow, "the service's calls are nested too deeply")
	case engine.Deadline:
		p = problem.Newf(problem.Deadline, "the service did not answer within %s", d.timeout)
	case engine.BadAnswer:
		p = problem.New(problem.BadGateway, "the service's answer could not be used")
	case engine.Canceled:
		return d.canceled(out, x)
	default:
		return fmt.Errorf("call the guest: %w", out.Err)
	}
	return p.WithCause(out.Err)
}

// canceled returns the error for a guest that was stopped because no client was waiting.
func (d *deployment) canceled(out engine.Outcome, x *exchange) error {
	switch {
	case x != nil && x.body.tooLarge:
		return bodyTooLarge(d.kind.cfg.MaxBodyBytes)
	case x != nil && x.body.late:
		return lateBody(out.Err)
	case x != nil && x.response.late(): // checked before the context, which ends with a late HTTP/2 stream
		return problem.Newf(problem.Deadline, "the client did not take the answer within %s", d.timeout).WithCause(out.Err)
	case x != nil && x.request.Context().Err() != nil:
		return fmt.Errorf("%w: %w", x.request.Context().Err(), out.Err)
	case x != nil && (x.body.failed != nil || x.response.failed):
		return fmt.Errorf("%w: %w", http.ErrAbortHandler, out.Err)
	}
	return problem.New(problem.NotReady, "this version of the service is being stopped; try again").WithCause(out.Err)
}

func lateBody(cause error) error {
	return problem.New(problem.RequestTimeout, "the request's body did not arrive in time").WithCause(cause)
}

func bodyTooLarge(limit int64) error {
	return problem.Newf(problem.BodyTooLarge, "the request's body is larger than %d bytes", limit)
}

func (d *deployment) limitBytes() int64 {
	if f := d.module.Load(); f != nil {
		return f.limitBytes
	}
	return d.memoryBytes
}

// Status implements services.Deployment.
func (d *deployment) Status() services.Status {
	p := d.pool.Stats()
	s := services.Status{ABI: d.abi.Name(), Target: d.mountsState(), State: services.StateReady, MemoryBytes: d.limitBytes(),
		SnapshotBytes: p.SnapshotBytes, Warm: p.Warm, InFlight: p.InUse, Isolation: IsolationSnapshot, LastUsed: p.LastUsed}
	f := d.module.Load()
	fresh := f != nil && f.fresh
	if f != nil {
		s.Warnings = f.warnings()
	}
	switch {
	case !p.Loaded:
		s.State = services.StateEvicted
	case p.Warm == 0 && p.InUse == 0 && !fresh: // fresh instances are never kept warm
		s.State = services.StateIdle
	}
	if fresh {
		s.Isolation = IsolationFresh
		if d.spec.Options.Isolation != IsolationFresh {
			s.FreshReason = f.freshReason
		}
	}
	return s
}

// Scale implements services.Deployment.
func (d *deployment) Scale(ctx context.Context, to services.Scale) error {
	return d.pool.Shrink(ctx, to == services.EvictCode)
}

// Close implements services.Deployment.
func (d *deployment) Close(ctx context.Context) error {
	return errors.Join(d.pool.Close(ctx), d.release())
}

// release closes everything the deployment holds except its pool.
func (d *deployment) release() error {
	if d.outbound != nil {
		d.outbound.Close()
	}
	var errs []error
	for _, m := range d.mounts {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
