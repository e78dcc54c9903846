package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
	"github.com/vespo-dev/vespo/runtime/internal/snapshot"
)

// ModuleError is the reason why a module cannot be served, for the module's owner.
// Violations are predicates of the module, such as "exports nothing". They have no host internals.
type ModuleError struct {
	Violations []string
	Cause      error // for the log; may be nil
}

func (e *ModuleError) Error() string { return "module: " + strings.Join(e.Violations, "; ") }

// Unwrap returns the cause.
func (e *ModuleError) Unwrap() error { return e.Cause }

// ModuleOptions configures a module.
type ModuleOptions struct {
	// MemoryBytes is the limit of linear memory for one instance. 0 and larger values mean a whole slot.
	MemoryBytes int64
	// WorkLimit is the most work of one request, in units of WorkUnit; 0: no limit.
	WorkLimit int64
	// Fresh requests a new instance for each request even if the module could be reset.
	Fresh bool
	// RepeatSecrets allows a snapshot that repeats cryptographic random numbers in every
	// request. Without it, such a module gets fresh instances.
	RepeatSecrets bool
	// Init names the exported functions that initialise the guest, in order. They run once, before
	// the snapshot is taken, or in each fresh instance. The module's start function runs first.
	Init []string
	// WarmUps are called in order after the initialisation, before the snapshot. With them, a module that gets fresh
	// instances is refused.
	WarmUps []WarmUp
	// Entries names the exported functions for Call. Their index here is the argument of Call.
	Entries []string
	// Bind is called for each new instance before its code runs, to set up state for host functions.
	Bind func(in *Instance)
	// Inputs is a digest of everything that the initialisation can read besides the module, such as settings. With it, the
	// snapshot is kept on disk, and a later Prepare need not initialise the guest; see Config.KeepSnapshots.
	// Zero: the snapshot is not kept.
	Inputs [sha256.Size]byte
	// Compiled, if set, is called when a compilation in the background has ended, with its error; see InterpretedFirst.
	Compiled func(err error)
	// Prepared, if set, is called at the end of a successful Prepare.
	Prepared func(m *Module)
}

// Module is a compiled module, and after Prepare its snapshot.
type Module struct {
	// Shared belongs to the ABI: the state of its host functions from the initialisation, for
	// all instances. It is set before Prepare.
	Shared any

	engine *Engine           // immutable
	codeMu sync.RWMutex      // held while an instance is created
	code   *sharedCode       // guarded by codeMu if there is a later; otherwise immutable
	later  *later            // immutable; nil unless the module is interpreted first
	info   *Info             // immutable
	opts   ModuleOptions     // immutable
	limit  uint64            // immutable; bytes of linear memory
	sum    [sha256.Size]byte // immutable; of the bytes that the module was decoded from

	outline []byte // immutable; see Engine.Outlined

	// separate is applied to each instance that does not start from the snapshot. It is set before other instances
	// exist; nil if wazero applies the data, or if all instances start from the snapshot. Before Prepare it can be Dataless,
	// and then data reads it.
	separate *rewrite.Separate
	data     func() (*rewrite.Separate, error)

	// The snapshot: set once by Prepare, before any other instance exists.
	image       *snapshot.Image
	watchFaults bool // counting page faults during calls makes resets faster
	repeats     Repeats
	memoryBytes uint64
	globals     []uint64

	instances atomic.Int64 // atomic; open instances of this module
	stopped   atomic.Bool  // atomic; calls must end
}

// check checks the imports and the memory, and applies the declared maximum.
func (m *Module) check() error {
	if violations := append(m.engine.host.check(m.info), m.checkMemory()...); len(violations) > 0 {
		return &ModuleError{Violations: violations}
	}
	if m.info.Memory.HasMax {
		m.limit = min(m.limit, uint64(m.info.Memory.MaxPages)*PageBytes)
	}
	return nil
}

func (m *Module) checkMemory() []string {
	switch mem := m.info.Memory; {
	case mem == nil:
		return []string{"has no linear memory"}
	case uint64(mem.MinPages)*PageBytes > m.limit:
		return []string{fmt.Sprintf("declares a minimum of %s of linear memory, the limit is %s",
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

// Info returns the imports, exports and declarations of the module.
func (m *Module) Info() *Info { return m.info }

// LimitBytes returns the largest linear memory of an instance.
func (m *Module) LimitBytes() int64 { return int64(m.limit) }

// SnapshotBytes returns the size of the snapshot's linear memory; 0 if the module's instances are fresh.
func (m *Module) SnapshotBytes() int64 { return int64(m.memoryBytes) }

// Fresh reports whether each request needs a new instance, and why. The initialisation can
// change it: call it after Prepare.
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

// Prepare runs the guest's initialisation once, within the engine's InitTimeout, and captures
// the snapshot, or finds one on disk. It returns an instance that is ready for the first request, and takes over
// the slot in any case. If the initialisation failed, the error is a *ModuleError.
func (m *Module) Prepare(ctx context.Context, slot *Slot) (*Instance, error) {
	if m.image != nil {
		m.engine.ReleaseSlot(slot)
		return nil, errors.New("engine: the module is prepared already")
	}
	defer m.engine.timed("a module was prepared")()
	defer m.prepared()
	in, err := m.instantiateIn(slot)
	if err != nil {
		return nil, err
	}
	ok, err := in.recall()
	if err == nil && !ok {
		err = in.first(ctx)
	}
	if errors.Is(err, errInterpreted) {
		m.engine.noteSlow()
		if in, err = in.compiledAgain(ctx); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	m.keepData()
	if m.opts.Prepared != nil {
		m.opts.Prepared(m)
	}
	return in, nil
}

// first runs the initialisation in the first instance, and captures the snapshot unless instances are fresh.
func (in *Instance) first(ctx context.Context) error {
	m := in.module
	var err error
	if m.separate, err = m.data(); err != nil {
		return err
	}
	if err := in.applyData(); err != nil {
		return err
	}
	out, err := in.initialiseFirst(ctx)
	if err != nil {
		return err
	}
	if !out.Clean() {
		if out.Kind == Canceled {
			return ctx.Err()
		}
		return m.initError(out)
	}
	if fresh, _ := m.Fresh(); fresh {
		return m.checkWarm()
	}
	if err := in.capture(); err != nil {
		return err
	}
	if !in.code.interpreted { // the disk has its code, too
		m.keep()
	}
	return nil
}

// initialiseFirst runs the initialisation and the warm-ups. Its error is errInterpreted if only compiled code can decide.
func (in *Instance) initialiseFirst(ctx context.Context) (Outcome, error) {
	m := in.module
	within, cancel := in.unlessCompiled(ctx)
	defer cancel()
	deadline := time.Now().Add(m.engine.cfg.InitTimeout)
	out := in.initialise(within, deadline)
	if out.Clean() {
		err := in.warmUp(within, time.Now().Add(m.engine.cfg.InitTimeout))
		if err != nil && !in.counts(Outcome{Kind: Deadline}) {
			err = errInterpreted
		}
		if err != nil {
			return out, err
		}
		deadline = time.Now().Add(m.engine.cfg.InitTimeout)
		out = in.settle(within, deadline)
	}
	if out.Clean() {
		m.repeats, out = in.judgeRandom(within, deadline)
	}
	if !out.Clean() && ctx.Err() == nil && !in.counts(out) {
		return out, errInterpreted
	}
	return out, nil
}

// keepData drops the bytes of the module, and keeps its data only if instances need that.
func (m *Module) keepData() {
	m.data = nil
	switch {
	case m.image != nil:
		m.separate = nil
	case m.separate != nil:
		m.separate = m.separate.Own()
	}
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
		what = fmt.Sprintf("needs more memory than the limit of %s", kib(m.limit))
	case HostError:
		return fmt.Errorf("engine: initialisation: %w", out.Err)
	}
	return &ModuleError{Violations: []string{"is refused: its initialisation " + what}, Cause: out.Err}
}

// Instantiate creates a new instance in a slot and restores the snapshot. With fresh
// instances it runs the initialisation instead, under ctx and deadline, and returns its
// Outcome: there is no instance if it is not Clean. It takes over the slot in any case.
//
// It takes a turn like a long call: a service that crashes all the time needs new instances
// for all its requests, which must not cost its neighbours a processor each.
func (m *Module) Instantiate(ctx context.Context, deadline time.Time, slot *Slot) (*Instance, Outcome, error) {
	if err := m.engine.turns.Acquire(ctx, deadline); err != nil {
		m.engine.ReleaseSlot(slot)
		return nil, classify(err, false), nil
	}
	in, err := m.instantiateIn(slot)
	if err == nil && m.image != nil {
		if err = in.restore(); err != nil {
			err = errors.Join(err, in.Close())
		}
	}
	if err == nil && m.image == nil {
		if err = in.applyData(); err != nil {
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

// instantiateIn is newInstance in a slot that may be dirty. Only a snapshot replaces its contents.
func (m *Module) instantiateIn(slot *Slot) (*Instance, error) {
	if m.image == nil {
		if err := m.engine.clean(slot); err != nil {
			return nil, err
		}
	}
	return m.newInstance(slot)
}

// Stop ends the running calls of all instances of this module, as if their clients had disconnected.
func (m *Module) Stop() { m.stopped.Store(true) }

// Close releases the compiled code, unless others share it, and the snapshot. All instances must have been closed.
func (m *Module) Close(ctx context.Context) error {
	if n := m.instances.Load(); n != 0 {
		return fmt.Errorf("engine: a module is closed with %d instances open", n)
	}
	m.engine.modules.Add(-1)
	errs := []error{m.releaseCode(ctx)}
	if m.image != nil {
		m.engine.imageBytes.Add(-int64(m.image.Size()))
		m.engine.imageHeld.Add(-m.image.HeldBytes())
		errs = append(errs, m.image.Close())
	}
	return errors.Join(errs...)
}
