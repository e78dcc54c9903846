package wasm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/lograte"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/runtime/pool"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/egress/outbound"
	"github.com/vespo-dev/vespo/services/internal/directory"
	"github.com/vespo-dev/vespo/services/kv"
)

// version holds the instances of one prepared version of a service or function, and what they share.
type version struct {
	kind        *Kind                  // immutable
	abi         abi.ABI                // immutable
	caller      func() any             // immutable; returns a new engine.Instance's Caller
	warmUps     []engine.WarmUp        // immutable
	doc         Document               // immutable
	key         routekey.Key           // immutable
	digest      registry.Digest        // immutable; of the module
	timeout     time.Duration          // immutable
	memoryBytes int64                  // immutable
	log         *slog.Logger           // immutable
	pool        *pool.Pool             // immutable
	outbound    *outbound.Client       // immutable; nil if the service may make no calls
	stores      *kv.Bindings           // immutable; nil if the service has no key-value stores
	logRate     *lograte.Limiter       // immutable
	environment abi.Environment        // immutable
	mounts      []*directory.Directory // immutable

	snapshot  engine.SnapshotID // immutable after open; zero if it is not kept on disk
	forgotten atomic.Bool       // atomic; the catalogue no longer has it
	leave     sync.Once         // ends the use of snapshot

	exports  []string              // immutable after open; interfaces of a component
	imports  []string              // immutable after open
	module   atomic.Pointer[facts] // atomic; set by each compilation
	resolved atomic.Bool           // atomic; a guest has looked for name servers

	unloadable atomic.Pointer[string] // atomic; a warning that the last load of evicted code failed; nil if it did not
	uncompiled atomic.Pointer[string] // atomic; a warning that the code in the interpreter cannot be compiled; nil if it can
}

// facts are the facts about a module that outlive its compiled code.
type facts struct {
	fresh       bool
	freshReason string
	component   bool
	repeats     engine.Repeats
	limitBytes  int64
}

func (v *version) compile(ctx context.Context, module *engine.Decoded) (*engine.Module, error) {
	return v.kind.engine.Compile(ctx, module, v.options(module))
}

// options returns the options to compile the module with.
func (v *version) options(module *engine.Decoded) engine.ModuleOptions {
	init, entries := v.abi.Functions(module.Info())
	return engine.ModuleOptions{
		MemoryBytes:   v.memoryBytes,
		WorkLimit:     v.doc.WorkLimit,
		Fresh:         v.doc.Isolation == IsolationFresh,
		Init:          init,
		Entries:       entries,
		RepeatSecrets: v.doc.Isolation == IsolationSnapshot,
		Bind:          v.bind,
		WarmUps:       v.warmUps,
		Inputs:        v.inputs(),
		Prepared:      v.learn,
		Compiled:      v.compiled,
	}
}

// compiled records the end of a compilation in the background.
func (v *version) compiled(err error) {
	if err == nil {
		v.uncompiled.Store(nil)
		return
	}
	reason := "the server failed"
	if invalid := (*engine.ModuleError)(nil); errors.As(err, &invalid) {
		reason = strings.Join(invalid.Violations, "; ")
	}
	warning := "the code cannot be compiled, and runs in the interpreter; vespo serve would refuse it: " + reason
	v.log.Warn(warning, slog.Any("error", err))
	v.uncompiled.Store(&warning) // after the log's line, which readers of the status look for
}

// noteLoad records how a load of evicted code has ended.
func (v *version) noteLoad(err error) {
	switch {
	case err == nil:
		v.unloadable.Store(nil)
		return
	case errors.Is(err, context.Canceled): // the version is being closed
		return
	}
	warning := "the service cannot be loaded: " + err.Error()
	if errors.Is(err, registry.ErrBlobMissing) || errors.Is(err, registry.ErrBlobCorrupt) {
		warning += "; deploy it again with its module"
	}
	v.unloadable.Store(&warning)
}

// learn records the facts about a prepared module for the lifetime of the version.
func (v *version) learn(m *engine.Module) {
	f := &facts{component: m.Info().Component, repeats: m.Repeats(), limitBytes: m.LimitBytes()}
	f.fresh, f.freshReason = m.Fresh()
	first := v.module.Swap(f) == nil
	if !first {
		return
	}
	if id, ok := m.SnapshotID(); ok {
		v.snapshot = id
		v.kind.snapshots.use(id)
	}
	for _, w := range f.warnings() {
		v.log.Warn(w)
	}
}

// noNetwork warns the owner of the service, once, that its guest tries to use a network.
func (v *version) noNetwork() {
	if !v.resolved.Swap(true) {
		v.log.Warn(noNetworkWarning)
	}
}

const noNetworkWarning = "the guest looks up a host name itself, which cannot work: a guest has no network of its own. " +
	"In Go, use vespohttp.Transport of guest-sdk/vespo/vespohttp as the Transport of the http.Client, and allow the server with --allow"

// warnings returns warnings about the snapshot for the owner of the service.
func (f *facts) warnings() []string {
	switch {
	case f.fresh:
		return nil
	case f.repeats.Secrets:
		return []string{"the module draws random numbers while it is initialised, and isolation is \"snapshot\": every request may return the same tokens and keys. " +
			"Leave isolation to the server, or set it to \"fresh\""}
	case f.repeats.Generators && f.component:
		return []string{repeatedNumbers + ", or set isolation to \"fresh\""}
	case f.repeats.Generators:
		return []string{repeatedNumbers + ", or the Go SDK, which seeds the generators anew"}
	}
	return nil
}

const repeatedNumbers = "pseudo-random numbers, such as those of math/rand, are the same in every request. Use crypto/rand for tokens and keys"

// bind sets up a new instance for the host functions.
func (v *version) bind(in *engine.Instance) {
	v.abi.Bind(in, &v.environment)
	in.Caller = v.caller()
}

// guestLog writes a line of guest output that belongs to no request to the service's log.
func (v *version) guestLog(level abi.Level, line []byte) { v.logLine(level, line, "", "") }

// logLine writes a line of guest output to the service's log, within the rate limit, with the ids that are not empty.
func (v *version) logLine(level abi.Level, line []byte, requestID, traceID string) {
	if !v.logs(level) || !v.logRate.Allows(v.log, "the service", abi.RecordBytes(line)+len(requestID)+len(traceID)) {
		return
	}
	attrs := make([]slog.Attr, 0, 3)
	if requestID != "" {
		attrs = append(attrs, slog.String(accesslog.FieldRequestID, requestID))
	}
	if traceID != "" {
		attrs = append(attrs, slog.String(accesslog.FieldTraceID, traceID))
	}
	v.log.LogAttrs(context.Background(), logLevel(level), accesslog.MessageGuest, append(attrs, slog.String(accesslog.AttrLine, string(line)))...)
}

// logTo returns log, or a log that writes to more besides.
func logTo(log func(abi.Level, []byte), more io.Writer) func(abi.Level, []byte) {
	if more == nil {
		return log
	}
	return func(level abi.Level, line []byte) {
		log(level, line)
		_, _ = more.Write(append(line[:len(line):len(line)], '\n')) // its errors are the reader's
	}
}

// logs reports whether the server's log level includes level.
func (v *version) logs(level abi.Level) bool {
	return v.log.Enabled(context.Background(), logLevel(level))
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

func (v *version) acquireError(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return problem.New(problem.Deadline, "the service could not be loaded in time").WithCause(err)
	case errors.Is(err, pool.ErrClosed):
		return problem.New(problem.NotReady, "this version of the service is being stopped; try again").WithCause(err)
	case errors.Is(err, pool.ErrNoSlot):
		v.log.Error("a slot is missing although the request was admitted: this is a defect", slog.Any("error", err))
		return problem.New(problem.NoCapacity, "no memory slot is free; try again later").WithCause(err)
	case scarce.Own(err), scarce.NoSpace(err):
		p := problem.New(problem.NoCapacity, "the server is short of a resource; try again").WithCause(err)
		p.RetryAfter = scarce.RetryAfter
		return p
	}
	return fmt.Errorf("get an instance: %w", err)
}

// outcomeError maps an outcome to the caller's error, or nil if the guest answered.
// The caller learns the kind of failure. The cause goes to the log only.
func (v *version) outcomeError(out engine.Outcome) error {
	var p *problem.Problem
	switch out.Kind {
	case engine.OK:
		return nil
	case engine.Exit:
		p = problem.Newf(problem.GuestExit, "the service exited with code %d", out.ExitCode)
	case engine.Trap:
		p = problem.New(problem.Trap, "the service trapped")
	case engine.OutOfMemory:
		p = problem.Newf(problem.OutOfMemory, "Out of Memory: the request needs more than the %d bytes that the service may use", v.limitBytes())
	case engine.StackOverflow:
		p = problem.New(problem.StackOverflow, "the service's calls are nested too deeply")
	case engine.WorkLimit:
		p = problem.New(problem.WorkLimit, "the request needs more work than the service may do for one")
	case engine.Deadline:
		p = problem.Newf(problem.Deadline, "the service did not answer within %s", v.timeout)
	case engine.BadAnswer:
		p = problem.New(problem.BadGateway, "the service's answer could not be used")
	case engine.Canceled:
		return stopped(out)
	default:
		return fmt.Errorf("call the guest: %w", out.Err)
	}
	return p.WithCause(out.Err)
}

// stopped returns the error for a guest that was stopped although its caller waits.
func stopped(out engine.Outcome) error {
	return problem.New(problem.NotReady, "this version of the service is being stopped; try again").WithCause(out.Err)
}

func (v *version) limitBytes() int64 {
	if f := v.module.Load(); f != nil {
		return f.limitBytes
	}
	return v.memoryBytes
}

// Status implements services.Deployment and services.Runner.
func (v *version) Status() services.Status {
	p := v.pool.Stats()
	s := services.Status{
		ABI:           v.abi.Traits().Name,
		Target:        v.mountsState(),
		Exports:       v.exports,
		Imports:       v.imports,
		State:         services.StateReady,
		MemoryBytes:   v.limitBytes(),
		SnapshotBytes: p.SnapshotBytes,
		Warm:          p.Warm,
		InFlight:      p.InUse,
		Isolation:     IsolationSnapshot,
		LastUsed:      p.LastUsed,
		Counts: services.Counts{
			LogDropped: v.logRate.Stats().Dropped,
			Discarded:  p.Counts.Discarded,
			Unloaded:   p.Counts.Unloaded,
			Evicted:    p.Counts.Reclaimed,
		},
	}
	if v.outbound != nil {
		calls := v.outbound.Stats()
		s.Counts.Calls, s.Counts.CallsRefused, s.Counts.CallsOpen = calls.Calls, calls.Refused, calls.Open
	}
	f := v.module.Load()
	fresh := f != nil && f.fresh
	if f != nil {
		s.Warnings = f.warnings()
	}
	if warning := v.uncompiled.Load(); warning != nil {
		s.Warnings = append(s.Warnings, *warning)
	}
	if warning := v.unloadable.Load(); warning != nil {
		s.Warnings = append(s.Warnings, *warning)
	}
	if v.resolved.Load() {
		s.Warnings = append(s.Warnings, noNetworkWarning)
	}
	switch {
	case !p.Loaded:
		s.State = services.StateEvicted
	case p.Warm == 0 && p.InUse == 0 && !fresh: // fresh instances are never kept warm
		s.State = services.StateIdle
	}
	if fresh {
		s.Isolation = IsolationFresh
		if v.doc.Isolation != IsolationFresh {
			s.FreshReason = f.freshReason
		}
	}
	return s
}

// putBack releases an instance and adds the memory that its request has written.
func (v *version) putBack(in *engine.Instance, out engine.Outcome, res *accesslog.Result) {
	whole, reusable := int64(len(in.Memory())), out.Kind == engine.OK
	measured := reusable && in.MeasuresWrites()
	dirty := int64(v.pool.Release(in, reusable))
	res.DirtyBytes += dirty
	if measured {
		whole = dirty
	}
	res.ResidentBytes += whole
}

// Scale implements services.Deployment and services.Runner.
func (v *version) Scale(ctx context.Context, to services.Scale) error {
	return v.pool.Shrink(ctx, to == services.EvictCode)
}

// Close implements services.Deployment and services.Runner.
func (v *version) Close(ctx context.Context) error {
	return errors.Join(v.pool.Close(ctx), v.release())
}

// release closes everything the version holds except its pool.
func (v *version) release() error {
	v.leaveSnapshot()
	if v.outbound != nil {
		v.outbound.Close()
	}
	var errs []error
	for _, m := range v.mounts {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
