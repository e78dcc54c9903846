package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/vespo-dev/vespo/runtime/internal/slab"
	"github.com/vespo-dev/vespo/runtime/internal/snapshot"
)

// Instance is one instantiation of a module in one slot. It must be used by one goroutine at a time.
//
//	newInstance -> restored or initialised -> Call ... -> Reset -> Call ... -> Close
//	                                                      Reset -> Sleep -> Wake -> Call ...
//
// After an outcome that is not Clean it can only be closed.
type Instance struct {
	// Exchange is set by the ABI that serves the current request, for its host functions.
	Exchange any
	// System is set by the system interface (WASI) of the instance.
	System any
	// Extension is set by Vespo's own host module.
	Extension any
	// Component is set by the ABI of a component, for host functions of the canonical ABI.
	Component any
	// Caller is set by the package that calls the instance for requests.
	Caller any
	// Keeper is set by the package that keeps the instance between requests.
	Keeper any
	// OnPause, if set, is called before a host function waits. It should send buffered data.
	OnPause func()
	// Warming reports whether calls are those of WarmUps: what the host keeps of them belongs to the snapshot.
	Warming bool
	// OnCapture, if set, is called before the snapshot is captured, for the host's state of the initialisation.
	OnCapture func()

	module  *Module     // immutable
	code    *sharedCode // immutable
	mod     api.Module  // immutable
	slot    *slab.Slot  // nil while the instance is asleep
	memory  slotMemory  // the slot as linear memory
	viewed  uint64      // end of the memory passed to host functions since the last reset
	faulted bool        // pages of memory may have become private since the last reset
	// drewRandom reports whether a host function has returned random bytes. It is used only
	// after the initialisation.
	drewRandom bool
	context    callContext // immutable; wazero's context for all calls

	globals []api.MutableGlobal // immutable; in the order of Info.MutableGlobals
	fuel    api.MutableGlobal   // immutable
	depth   api.MutableGlobal   // immutable
	refused api.MutableGlobal   // immutable
	entries []entry
	stacks  stackField // immutable; reads the size of an entry's call stack
	scratch snapshot.Scratch

	run run
}

// entry is an exported function for Call, with the call stack that wazero keeps for it.
type entry struct {
	name string
	fn   api.Function
}

// newInstance instantiates the module in a slot. If the data are separate from the code, its memory is empty. No code
// has run yet. In a dirty slot, the snapshot must be restored before any does.
func (m *Module) newInstance(slot *Slot) (*Instance, error) {
	e := m.engine
	in := &Instance{module: m, slot: slot, memory: slotMemory{cell: slot.Bytes(), limit: m.limit, peak: uint64(slot.WrittenBytes)}}
	in.context.in = in
	allocator := experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return &in.memory })
	mod, err := in.instantiate(experimental.WithMemoryAllocator(&in.context, allocator))
	e.instances.Add(1)
	m.instances.Add(1)
	if err != nil {
		err = &ModuleError{Violations: []string{"cannot be instantiated: " + firstLine(err)}, Cause: err}
		return nil, errors.Join(err, in.releaseSlot())
	}
	in.mod = mod
	if err := in.bind(); err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}

// instantiate instantiates the code of the module.
func (in *Instance) instantiate(ctx context.Context) (api.Module, error) {
	m := in.module
	m.codeMu.RLock()
	defer m.codeMu.RUnlock()
	in.code = m.code
	if in.code.interpreted {
		return m.engine.interpreter.InstantiateModule(ctx, in.code.compiled, moduleConfig())
	}
	return m.engine.runtime.InstantiateModule(ctx, in.code.compiled, moduleConfig())
}

// applyData sets the initial size of the memory and applies the data to it, if these are separate from the code. They are
// part of a snapshot.
func (in *Instance) applyData() error {
	separate := in.module.separate
	if separate == nil {
		return nil
	}
	if err := in.resize(uint64(separate.MinPages) * PageBytes); err != nil {
		return err
	}
	if err := separate.Apply(in.memory.bytes()); err != nil {
		return &ModuleError{Violations: []string{"cannot be instantiated: " + err.Error()}, Cause: err}
	}
	return nil
}

// bind looks up everything needed by calls and resets, so that these do not allocate.
func (in *Instance) bind() error {
	info := in.module.info
	global := func(name string) (g api.MutableGlobal, err error) {
		g, ok := in.mod.ExportedGlobal(name).(api.MutableGlobal)
		if !ok {
			return nil, fmt.Errorf("engine: the rewritten module does not export the global %q", name)
		}
		return g, nil
	}
	var errs [3]error
	in.fuel, errs[0] = global(info.FuelExport)
	in.depth, errs[1] = global(info.DepthExport)
	in.refused, errs[2] = global(info.RefusedGrowExport)
	in.run.given = firstSliceFuel
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	for _, g := range info.MutableGlobals {
		mg, err := global(g.ExportName)
		if err != nil {
			return err
		}
		in.globals = append(in.globals, mg)
	}
	for _, name := range in.module.opts.Entries {
		fn := in.mod.ExportedFunction(name)
		if fn != nil {
			in.stacks = findStackField(fn)
		}
		in.entries = append(in.entries, entry{name, fn})
	}
	if in.module.opts.Bind != nil {
		in.module.opts.Bind(in)
	}
	return nil
}

// initialise runs the start function and the Init functions. The values of their task end with them.
func (in *Instance) initialise(ctx context.Context, deadline time.Time) Outcome {
	names := in.module.opts.Init
	if start := in.module.info.StartExport; start != "" {
		names = append([]string{start}, names...)
	}
	for _, name := range names {
		fn := in.mod.ExportedFunction(name)
		if fn == nil {
			return Outcome{Kind: Trap, Err: Fault{Reason: fmt.Sprintf("does not export the function %q", name)}}
		}
		in.begin(ctx, deadline)
		err := fn.CallWithStack(&in.context, nil)
		if out := in.end(err); !out.Clean() {
			return out
		}
	}
	in.endTask()
	return Outcome{}
}

// endTask clears the values of a task.
func (in *Instance) endTask() {
	for i, g := range in.module.info.MutableGlobals {
		if g.OfTask {
			in.globals[i].Set(0)
		}
	}
}

// capture makes the current state the module's snapshot, and maps it into the slot.
func (in *Instance) capture() error {
	m := in.module
	if in.OnCapture != nil && len(m.opts.WarmUps) == 0 {
		in.OnCapture()
	}
	image, err := m.engine.restorer.Capture(in.memory.bytes())
	if err != nil {
		return fmt.Errorf("engine: capture: %w", err)
	}
	globals := make([]uint64, len(in.globals))
	for i, g := range in.globals {
		globals[i] = g.Get()
	}
	m.adopt(image, in.memory.size, globals)
	return in.restore()
}

// adopt makes an image, with the size of the memory and the globals, the snapshot of the module.
func (m *Module) adopt(image *snapshot.Image, memoryBytes uint64, globals []uint64) {
	m.image, m.memoryBytes, m.globals = image, memoryBytes, globals
	m.watchFaults = m.info.WritesMemory && m.engine.restorer.WatchesFaults(memoryBytes)
	m.engine.imageBytes.Add(int64(image.Size()))
	m.engine.imageHeld.Add(image.HeldBytes())
}

// restore maps the snapshot over the slot and restores all other state.
func (in *Instance) restore() error {
	in.scratch.Forget()
	if err := in.module.engine.restorer.Replace(in.module.image, in.slot.Bytes(), int(in.memory.peak)); err != nil {
		return fmt.Errorf("engine: map the snapshot: %w", err)
	}
	in.slot.Dirty, in.slot.WrittenBytes = false, 0
	in.memory.peak = in.memory.size
	return in.rewind()
}

// Reset restores the instance to the snapshot in place. It returns the number of restored bytes
// of memory. After an error the instance must be closed. It does not allocate or change mappings.
func (in *Instance) Reset() (dirtyBytes int, err error) {
	if !in.faulted {
		in.scratch.Faultless()
	}
	dirty, err := in.module.engine.restorer.Reset(in.module.image, in.slot.Bytes(), in.touchedBytes(), &in.scratch)
	if err != nil {
		return 0, fmt.Errorf("engine: reset: %w", err)
	}
	in.viewed, in.faulted = 0, false
	return dirty.HostPages * hostPageBytes, in.rewind()
}

// touchedBytes returns the size of the part of memory, from its beginning, that may have
// changed. A guest without instructions that write to memory changes nothing itself. Then
// only the memory passed to host functions counts, for reading or writing.
func (in *Instance) touchedBytes() int {
	if in.module.info.WritesMemory {
		return int(in.memory.size)
	}
	return int(in.viewed)
}

// rewind restores the memory's size, the globals and the counters.
func (in *Instance) rewind() error {
	if err := in.resize(in.module.memoryBytes); err != nil {
		return err
	}
	for i, g := range in.globals {
		g.Set(in.module.globals[i])
	}
	in.recount()
	return nil
}

// recount sets the counters of a request to their initial values.
func (in *Instance) recount() {
	in.fuel.Set(firstSliceFuel)
	in.run.given, in.run.work, in.run.guestTime, in.run.hostWork = firstSliceFuel, 0, 0, 0
	in.refused.Set(0)
}

// resize sets wazero's memory size. Grow(1) requests one more page from slotMemory, which returns
// the target size instead. wazero has no other way to do it, and a test guards this one.
func (in *Instance) resize(size uint64) error {
	if in.memory.size == size {
		return nil
	}
	in.memory.resizing, in.memory.target = true, size
	_, ok := in.mod.Memory().Grow(1)
	in.memory.resizing = false
	if !ok || in.memory.size != size || uint64(in.mod.Memory().Size()) != size {
		return fmt.Errorf("engine: linear memory did not take the size %d", size)
	}
	return nil
}

// MeasuresWrites reports whether Reset returns the number of bytes that the request has written.
func (in *Instance) MeasuresWrites() bool {
	fresh, _ := in.module.Fresh()
	return !fresh && in.module.engine.restorer.Measures()
}

// Decommit returns the private host pages of a warm instance to the operating system. The
// state of the instance does not change; the next request pays for the pages it touches.
func (in *Instance) Decommit() error {
	if in.module.image == nil {
		return nil
	}
	in.scratch.Forget()
	return in.module.engine.restorer.Decommit(in.module.image, in.slot.Bytes())
}

// Memory returns the guest's current linear memory, for reading. The slice is valid until
// the guest runs again.
func (in *Instance) Memory() []byte { return in.memory.bytes() }

// View returns length bytes of linear memory at offset. If the range is not entirely
// inside, the guest traps and View does not return. Only for host functions.
func (in *Instance) View(offset, length uint32) []byte {
	end := uint64(offset) + uint64(length)
	if end > in.memory.size {
		panic(Fault{Reason: fmt.Sprintf("a host function was given memory [%d, %d), the guest has %d bytes", offset, end, in.memory.size)})
	}
	in.run.hostWork += int64(length)
	in.viewed = max(in.viewed, end)
	in.faulted = in.faulted || !in.run.watching
	return in.memory.cell[offset:end:end]
}

// Module returns the module of the instance.
func (in *Instance) Module() *Module { return in.module }

// HasEntry reports whether the module exports the entry with the given index.
func (in *Instance) HasEntry(index int) bool { return in.entries[index].fn != nil }
