package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/vespo-dev/vespo/runtime/compiler"
	"github.com/vespo-dev/vespo/runtime/internal/codecache"
	"github.com/vespo-dev/vespo/runtime/internal/component"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
	"github.com/vespo-dev/vespo/runtime/internal/slab"
	"github.com/vespo-dev/vespo/runtime/internal/snapshot"
	"github.com/vespo-dev/vespo/runtime/internal/turns"
)

// PageBytes is the size of a WebAssembly page.
const PageBytes = 64 << 10

// Config configures an Engine. Zero values select the defaults.
type Config struct {
	// Slots is the number of concurrent requests in guests; default 64.
	Slots int
	// Preparing is the number of modules that are prepared at a time besides those of requests; default 1.
	// A slot is reserved for each, and one more for a refill in the background. As many are compiled at a time, those of
	// requests included.
	Preparing int
	// SlotBytes is the size of a slot, which is the largest linear memory of a guest. It must
	// be a multiple of PageBytes; default 16 MiB.
	SlotBytes int64
	// StackBytes is the limit of a guest's call stack, in the rewriter's estimate of wazero's
	// frames; default 2 MiB. The rewriter's documentation explains how it relates to real bytes.
	StackBytes int64
	// CacheDir is the directory for compiled code; empty: none is kept. No other user may have
	// write access to it.
	CacheDir string
	// Build identifies the program, so that no two that differ have the same. Descriptions of code in CacheDir are used by
	// the program that wrote them; empty: none are kept.
	Build string
	// KeepSnapshots keeps snapshots in CacheDir, of modules with ModuleOptions.Inputs. They have what guests have read
	// while they were initialised, such as secrets. It requires Build.
	KeepSnapshots bool
	// CacheBytes limits the disk space in CacheDir; default 1 GiB. The least recently used code is removed.
	CacheBytes int64
	// CompileCommand starts a process that compiles a module within the two limits below, see
	// compiler.Config. It requires CacheDir. Empty: modules are compiled in this process,
	// without these limits.
	CompileCommand []string
	// CompileBytes limits the memory for compiling a module; default 1 GiB.
	CompileBytes int64
	// CompileTime limits the processor time for compiling a module; default 1 min.
	CompileTime time.Duration
	// Mode selects machine code or the interpreter; default Compiled.
	Mode Mode
	// InitTimeout limits a guest's initialisation; default 10 s.
	InitTimeout time.Duration
	// HostModules are the modules that guests can import.
	HostModules []HostModule
	// DisableScan forces the slower reset by madvise, as on kernels without PAGEMAP_SCAN.
	DisableScan bool
	// VerifyResets makes resets check for missed pages, and fail if there are any. For tests.
	VerifyResets bool
	// Elsewhere has compiled code and snapshots of other hosts. It requires CacheDir and Build. nil: none.
	Elsewhere Elsewhere
	// Log receives messages about defects of the environment; default: discard.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Slots == 0 {
		c.Slots = 64
	}
	if c.Preparing == 0 {
		c.Preparing = 1
	}
	if c.SlotBytes == 0 {
		c.SlotBytes = 16 << 20
	}
	if c.StackBytes == 0 {
		c.StackBytes = 2 << 20
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 1 << 30
	}
	if c.InitTimeout == 0 {
		c.InitTimeout = 10 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// allSlots returns the number of slots to reserve.
func (c Config) allSlots() int { return c.Slots + c.Preparing + 1 }

// Engine owns the wazero runtime, the slab and the snapshots. See the package comment.
type Engine struct {
	cfg     Config         // immutable
	runtime wazero.Runtime // immutable
	// interpreter is the runtime for modules whose code is not compiled yet; nil except for InterpretedFirst.
	interpreter wazero.Runtime     // immutable
	code        *code              // immutable; nil if there is no cache
	slab        *slab.Slab         // immutable
	restorer    *snapshot.Restorer // immutable
	turns       *turns.Turns       // immutable
	host        hostTable          // immutable
	epoch       time.Time          // immutable; origin of the guests' monotonic clock
	program     string             // immutable; the program and the options of its rewriter, in ids of files

	likeness func() (string, error) // immutable; Likeness, computed once

	compiling oneByOne
	wholes    wholes
	warming   oneByOne // by the sums of modules
	types     typeLedger
	decoded   decodedModules
	codes     codeTable

	imageBytes atomic.Int64 // atomic; images of all snapshots
	imageHeld  atomic.Int64 // atomic; of these, without zeros
	modules    atomic.Int64 // atomic; open modules
	instances  atomic.Int64 // atomic; open instances
	decodings  atomic.Int64 // atomic; modules decoded by Engine.Decode
	recalled   atomic.Int64 // atomic; snapshots found on disk
	warmed     atomic.Int64 // atomic; modules whose code came from other hosts

	interpretedBytes atomic.Int64 // atomic; modules in the interpreter
	slow             atomic.Bool  // atomic; the interpreter was too slow for a guest
}

// Open maps the slab and starts a runtime with the host modules. The caller must close the Engine.
func Open(ctx context.Context, cfg Config) (e *Engine, err error) {
	e = &Engine{
		cfg:     cfg.withDefaults(),
		turns:   turns.New(0),
		host:    hostTable{},
		epoch:   clockOrigin(time.Now()),
		decoded: decodedModules{limit: maxDecodedBytes},
	}
	e.wholes = make(wholes, e.cfg.Preparing)
	e.likeness = sync.OnceValues(e.likenessOf)
	e.program = fmt.Sprintf("%q %+v", e.cfg.Build, e.rewriteOptions())
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close(ctx))
			e = nil
		}
	}()
	if e.slab, err = slab.Open(e.cfg.allSlots(), e.cfg.SlotBytes); err != nil {
		return e, err
	}
	if e.restorer, err = snapshot.Open(snapshot.Options{DisableScan: e.cfg.DisableScan, Verify: e.cfg.VerifyResets}); err != nil {
		return e, err
	}
	rc := compiler.RuntimeConfig()
	if e.cfg.CacheDir != "" {
		if e.code, err = openCode(e.cfg); err != nil {
			return e, err
		}
		if err = e.dropForeignSnapshots(); err != nil {
			return e, err
		}
		rc = rc.WithCompilationCache(e.code.wazero)
	}
	switch e.cfg.Mode {
	case Interpreted:
		e.runtime = openInterpreter(ctx)
	case InterpretedFirst:
		e.interpreter = openInterpreter(ctx)
		fallthrough
	default:
		e.runtime = wazero.NewRuntimeWithConfig(ctx, rc)
	}
	return e, e.addHost(ctx)
}

// addHost adds the host modules to the runtimes.
func (e *Engine) addHost(ctx context.Context) error {
	injected := HostModule{
		Name:   injectedModule,
		Within: true,
		Funcs: []HostFunc{{
			Name:    injectedYield,
			Params:  []ValueType{I32},
			Results: []ValueType{I64},
			Call:    (*Instance).yield,
		}},
	}
	for _, m := range e.cfg.HostModules {
		if err := e.host.add(m); err != nil {
			return err
		}
	}
	for _, m := range append([]HostModule{injected}, e.cfg.HostModules...) {
		if err := instantiateHost(ctx, e.runtime, m); err != nil {
			return err
		}
		if e.interpreter == nil {
			continue
		}
		if err := instantiateHost(ctx, e.interpreter, m); err != nil {
			return err
		}
	}
	return nil
}

// Close releases all resources. All modules and instances must have been closed; otherwise
// it returns an error.
func (e *Engine) Close(ctx context.Context) error {
	e.decoded.close()
	var errs []error
	if n := e.instances.Load(); n != 0 {
		errs = append(errs, fmt.Errorf("engine: %d instances are still open", n))
	}
	if n := e.modules.Load(); n != 0 {
		errs = append(errs, fmt.Errorf("engine: %d modules are still open", n))
	}
	if e.runtime != nil {
		errs = append(errs, e.runtime.Close(ctx))
	}
	if e.interpreter != nil {
		errs = append(errs, e.interpreter.Close(ctx))
	}
	if e.code != nil {
		errs = append(errs, e.code.close(ctx))
	}
	if e.restorer != nil {
		errs = append(errs, e.restorer.Close())
	}
	if e.slab != nil {
		errs = append(errs, e.slab.Close())
	}
	return errors.Join(errs...)
}

// Stats is a snapshot of an Engine's counters.
type Stats struct {
	Slots        int             // of the slab, including spare ones
	FreeSlots    int             // slots without an instance
	SlotBytes    int64           // size of one slot
	ImageBytes   int64           // golden copies of all prepared modules
	Modules      int             // open modules
	Instances    int             // open instances
	Types        int             // function types that wazero keeps until the engine is closed
	TypeBytes    int64           // estimated memory of Types
	Codes        int             // compiled code in memory: open modules that differ in data alone share it
	CodeBytes    int64           // machine code in memory, and images without their zeros; see LoadedBytes
	MappedBytes  int64           // files whose machine code is mapped; CodeBytes has the part that is resident
	Decodings    int64           // modules whose code was decoded since the engine was opened
	Recalled     int64           // snapshots found on disk since the engine was opened: their guests were not initialised
	Warmed       int64           // modules whose code came from other hosts since the engine was opened
	DecodedBytes int64           // decoded modules that wait for their compilation
	ResetMethod  string          // how snapshots are restored on this kernel
	Turns        turns.Stats     // processors of long-running guests
	Code         codecache.Stats // compiled code on disk; zero without a cache
	Compiler     compiler.Stats  // compilations in other processes; zero without a cache
}

// Stats returns the current counters.
func (e *Engine) Stats() Stats {
	slots := e.slab.Stats()
	s := Stats{
		Slots:        slots.Slots,
		FreeSlots:    slots.Free,
		SlotBytes:    slots.SlotBytes,
		ImageBytes:   e.imageBytes.Load(),
		Modules:      int(e.modules.Load()),
		Instances:    int(e.instances.Load()),
		CodeBytes:    e.LoadedBytes(),
		MappedBytes:  e.MappedBytes(),
		Decodings:    e.decodings.Load(),
		Recalled:     e.recalled.Load(),
		Warmed:       e.warmed.Load(),
		DecodedBytes: e.decoded.heldBytes(),
		ResetMethod:  e.restorer.Method(),
		Turns:        e.turns.Stats(),
	}
	s.Codes, _ = e.codes.size()
	s.Types, s.TypeBytes = e.types.held()
	if e.code != nil {
		s.Code, s.Compiler = e.code.files.Stats(), e.code.compiler.Stats()
	}
	return s
}

// timed returns a function that logs the time since the call of timed.
func (e *Engine) timed(what string) func() {
	began := time.Now()
	return func() { e.cfg.Log.Debug(what, slog.Duration("took", time.Since(began))) }
}

// LoadedBytes returns the memory of all code and snapshots. Of mapped code it is what MeasureCode has found last.
func (e *Engine) LoadedBytes() int64 {
	_, code := e.codes.size()
	return code + e.imageHeld.Load() + e.interpretedBytes.Load()
}

// Modules returns the number of open modules.
func (e *Engine) Modules() int { return int(e.modules.Load()) }

// moduleConfig is the same for all instances: no names, no start functions (the engine runs them), no files,
// and no WASI of wazero. The random source is never read; without it wazero would seed one for each instance.
func moduleConfig() wazero.ModuleConfig {
	return wazero.NewModuleConfig().WithName("").WithStartFunctions().WithRandSource(rand.Reader)
}

// compilationWorkers leaves one processor to requests while a deploy compiles.
func compilationWorkers() int { return max(1, goruntime.GOMAXPROCS(0)-1) }

// rewriteOptions are the same for every module, so that the cache finds compiled code again.
func (e *Engine) rewriteOptions() rewrite.Options {
	return rewrite.Options{
		YieldModule:      injectedModule,
		YieldName:        injectedYield,
		FuelSlice:        firstSliceFuel,
		StackBytes:       e.cfg.StackBytes,
		MaxTableElements: maxTableElements,
		ContextModule:    component.BuiltinModule,
		Separate:         true,
	}
}

// maxTableElements limits the host memory of a table: 8 bytes per element in each instance.
const maxTableElements = 1 << 18
