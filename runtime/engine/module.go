package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
	"github.com/vespo-dev/vespo/runtime/internal/snapshot"
)

// Info is what is known of a module from reading it.
type Info = rewrite.Info

// Inspect reads a module without compiling it.
func Inspect(bin []byte) (*Info, error) {
	info, err := rewrite.Inspect(bin)
	if err != nil {
		return nil, &ModuleError{Violations: []string{err.Error()}, Cause: err}
	}
	return info, nil
}

// ModuleError says, in words for the module's owner, why a module cannot be served. It holds no host internals.
type ModuleError struct {
	Violations []string
	Cause      error // for the log; may be nil
}

func (e *ModuleError) Error() string { return "module: " + strings.Join(e.Violations, "; ") }

// Unwrap gives the cause.
func (e *ModuleError) Unwrap() error { return e.Cause }

// ModuleOptions say how a module is to be run.
type ModuleOptions struct {
	// MemoryBytes is the budget of linear memory for one instance; 0 or anything above stands for a whole slot.
	MemoryBytes int64
	// Fresh asks for a new instance for each request even where the module could be reset.
	Fresh bool
	// RepeatSecrets allows a snapshot that repeats cryptographic random numbers in every request. Without it, such a module
	// gets fresh instances.
	RepeatSecrets bool
	// Init names the exported functions that initialise the guest, in order. They run once, before the snapshot is
	// taken; with fresh instances they run in each of them. The module's start function runs before all.
	Init []string
	// Entries names the exported functions that Call can call, by their index here.
	Entries []string
	// Bind is called for each new instance before anything in it runs, to give host functions what they need.
	Bind func(in *Instance)
	// Prepared, if set, is called by Prepare when it has succeeded.
	Prepared func(m *Module)
}

// Module is a compiled module, and after Prepare its snapshot.
type Module struct {
	// Shared belongs to the ABI: what its host functions have to remember of the initialisation for all instances.
	// Set before Prepare.
	Shared any

	engine   *Engine               // immutable
	compiled wazero.CompiledModule // immutable
	info     *Info                 // immutable
	opts     ModuleOptions         // immutable
	limit    uint64                // immutable; bytes of linear memory

	// The snapshot: set once by Prepare, before any other instance exists.
	image       *snapshot.Image
	watchFaults bool // it pays to count page faults during calls
	repeats     Repeats
	memoryBytes uint64
	globals     []uint64

	instances atomic.Int64 // atomic; open instances of this module
	stopped   atomic.Bool  // atomic; calls are to end
}

// Compile checks, rewrites and compiles a module. A *ModuleError says what is wrong with the module. The caller closes
// the result.
func (e *Engine) Compile(ctx context.Context, bin []byte, o ModuleOptions) (*Module, error) {
	options := e.rewriteOptions()
	options.Interrupted = ctx.Err
	rewritten, info, err := rewrite.Rewrite(bin, options)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &ModuleError{Violations: []string{err.Error()}, Cause: err}
	}
	m := &Module{engine: e, info: info, opts: o, limit: uint64(e.cfg.SlotBytes)}
	if o.MemoryBytes > 0 {
		m.limit = min(m.limit, uint64(o.MemoryBytes)/PageBytes*PageBytes)
	}
	if violations := append(e.host.check(info), m.checkMemory()...); len(violations) > 0 {
		return nil, &ModuleError{Violations: violations}
	}
	if info.Memory.HasMax {
		m.limit = min(m.limit, uint64(info.Memory.MaxPages)*PageBytes)
	}
	if err := e.types.admit(info.Types, maxTypeBytes); err != nil {
		return nil, err
	}
	info.Types = nil
	if m.compiled, err = e.compileModule(ctx, bin, rewritten); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	e.modules.Add(1)
	return m, nil
}

func (m *Module) checkMemory() []string {
	switch mem := m.info.Memory; {
	case mem == nil:
		return []string{"has no linear memory"}
	case uint64(mem.MinPages)*PageBytes > m.limit:
		return []string{fmt.Sprintf("declares %s of memory at least, the budget is %s",
			kib(uint64(mem.MinPages)*PageBytes), kib(m.limit))}
	}
	return nil
}

func kib(bytes uint64) string {
	if bytes >= 1<<20 && bytes%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// Info tells what the module imports, exports and declares.
func (m *Module) Info() *Info { return m.info }

// LimitBytes is the most linear memory that an instance can have.
func (m *Module) LimitBytes() int64 { return int64(m.limit) }

// SnapshotBytes is the size of the snapshot's linear memory; 0 if the module's instances are fresh.
func (m *Module) SnapshotBytes() int64 { return int64(m.memoryBytes) }

// Fresh reports whether each request needs a new instance, and why. The initialisation can change it: ask after Prepare.
func (m *Module) Fresh() (fresh bool, reason string) {
	switch {
	case !m.info.Resettable:
		return true, m.info.FreshReason
	case m.opts.Fresh:
		return true, "asked for"
	case m.repeats.Secrets && !m.opts.RepeatSecrets:
		return true, "draws random numbers while it is initialised, which a snapshot would repeat in every request"
	}
	return false, ""
}

// Prepare runs the guest's initialisation once, under the engine's InitTimeout, and captures the snapshot. It returns
// an instance that is ready for the first request. The slot is the instance's from now on, or given back. A *ModuleError
// says how the initialisation failed.
func (m *Module) Prepare(ctx context.Context, slot *Slot) (*Instance, error) {
	if m.image != nil {
		m.engine.ReleaseSlot(slot)
		return nil, errors.New("engine: the module is prepared already")
	}
	in, err := m.newInstance(slot)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(m.engine.cfg.InitTimeout)
	out := in.initialise(ctx, deadline)
	if out.Clean() {
		m.repeats, out = in.judgeRandom(ctx, deadline)
	}
	if !out.Clean() {
		in.Close()
		if out.Kind == Canceled {
			return nil, ctx.Err()
		}
		return nil, m.initError(out)
	}
	if fresh, _ := m.Fresh(); !fresh {
		if err := in.capture(); err != nil {
			in.Close()
			return nil, err
		}
	}
	if m.opts.Prepared != nil {
		m.opts.Prepared(m)
	}
	return in, nil
}

func (m *Module) initError(out Outcome) error {
	what := "ends with: " + out.Kind.String()
	switch out.Kind {
	case Exit:
		what = fmt.Sprintf("exits with code %d", out.ExitCode)
	case Trap:
		what = "traps: " + firstLine(out.Err)
	case Deadline:
		what = fmt.Sprintf("has not ended after %s", m.engine.cfg.InitTimeout)
	case OutOfMemory:
		what = fmt.Sprintf("needs more memory than the budget of %s", kib(m.limit))
	case HostError:
		return fmt.Errorf("engine: initialisation: %w", out.Err)
	}
	return &ModuleError{Violations: []string{"its initialisation " + what}, Cause: out.Err}
}

// Instantiate makes a new instance in a slot and brings it to the snapshot; with fresh instances it runs the
// initialisation, under ctx and deadline, and the Outcome says how that ended: there is no instance if it is not Clean.
// The slot is the instance's from now on, or given back.
//
// It takes a turn like a call that runs for long: a service that crashes all the time has all its instances made anew, and
// that is not to cost its neighbours a processor each.
func (m *Module) Instantiate(ctx context.Context, deadline time.Time, slot *Slot) (*Instance, Outcome, error) {
	if err := m.engine.turns.Acquire(ctx, deadline); err != nil {
		m.engine.ReleaseSlot(slot)
		return nil, classify(err, false), nil
	}
	in, err := m.newInstance(slot)
	if err == nil && m.image != nil {
		if err = in.restore(); err != nil {
			err = errors.Join(err, in.Close())
		}
	}
	m.engine.turns.Release() // the initialisation takes turns of its own
	if err != nil {
		return nil, Outcome{}, err
	}
	if m.image == nil {
		if out := in.initialise(ctx, deadline); !out.Clean() {
			in.Close()
			return nil, out, nil
		}
	}
	return in, Outcome{}, nil
}

// Stop ends the calls that run in instances of this module, as if their clients had gone.
func (m *Module) Stop() { m.stopped.Store(true) }

// Close releases the compiled code and the snapshot. All instances must have been closed.
func (m *Module) Close(ctx context.Context) error {
	if n := m.instances.Load(); n != 0 {
		return fmt.Errorf("engine: a module is closed with %d instances open", n)
	}
	m.engine.modules.Add(-1)
	errs := []error{m.compiled.Close(ctx)}
	if m.image != nil {
		m.engine.imageBytes.Add(-int64(m.image.Size()))
		errs = append(errs, m.image.Close())
	}
	return errors.Join(errs...)
}
