package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	goruntime "runtime"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/vespo-dev/vespo/runtime/compiler"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
	"github.com/vespo-dev/vespo/runtime/internal/slab"
	"github.com/vespo-dev/vespo/runtime/internal/snapshot"
	"github.com/vespo-dev/vespo/runtime/internal/turns"
)

// PageBytes is the size of a WebAssembly page.
const PageBytes = 64 << 10

// SpareSlots are mapped besides Config.Slots: one for the instance that a deploy prepares, one for the instance that is
// refilled in the background, while all others serve requests.
const SpareSlots = 2

// Config says what an Engine may use. Zero values stand for the defaults named.
type Config struct {
	// Slots is the number of requests that can be in guests at once; default 64. SpareSlots more are mapped.
	Slots int
	// SlotBytes is the size of a slot, the most linear memory that a guest can have; a multiple of PageBytes,
	// default 16 MiB.
	SlotBytes int64
	// StackBytes is the budget for a guest's call stack, in the rewriter's estimate of wazero's frames; default
	// 2 MiB. See the rewriter's documentation for what it means in real bytes.
	StackBytes int64
	// CacheDir is where compiled code is kept between runs; empty for nowhere. No other user may be able to write there.
	CacheDir string
	// CacheBytes bounds the disk space of the code in CacheDir; default 1 GiB. The code used least recently is removed.
	CacheBytes int64
	// CompileCommand starts a process that compiles a module within the two bounds below; see compiler.Config. It needs
	// CacheDir. Empty: modules are compiled in this process, without these bounds.
	CompileCommand []string
	// CompileBytes bounds the memory for compiling a module; default 1 GiB.
	CompileBytes int64
	// CompileTime bounds the processor time for compiling a module; default 1 min.
	CompileTime time.Duration
	// InitTimeout bounds a guest's initialisation; default 10 s.
	InitTimeout time.Duration
	// HostModules are what guests can import.
	HostModules []HostModule
	// DisableScan forces the slower reset by madvise, as on kernels without PAGEMAP_SCAN.
	DisableScan bool
	// VerifyResets makes resets look for more than they have to, and fail if that finds anything. For tests.
	VerifyResets bool
	// Log is told of defects of the environment; default: discard.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Slots == 0 {
		c.Slots = 64
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
	return c
}

// Engine owns the wazero runtime, the slab and the snapshots. See the package comment.
type Engine struct {
	cfg      Config             // immutable
	runtime  wazero.Runtime     // immutable
	code     *code              // immutable; nil if there is no cache
	slab     *slab.Slab         // immutable
	restorer *snapshot.Restorer // immutable
	turns    *turns.Turns       // immutable
	host     hostTable          // immutable
	epoch    time.Time          // immutable; origin of the guests' monotonic clock

	compiling oneByOne
	types     typeLedger

	imageBytes atomic.Int64 // atomic; all snapshots' images
	modules    atomic.Int64 // atomic; open modules
	instances  atomic.Int64 // atomic; open instances
}

// Open maps the slab and starts a runtime with the host modules. The caller closes it.
func Open(ctx context.Context, cfg Config) (e *Engine, err error) {
	e = &Engine{cfg: cfg.withDefaults(), turns: turns.New(0), host: hostTable{}, epoch: time.Now()}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close(ctx))
			e = nil
		}
	}()
	if e.slab, err = slab.Open(e.cfg.Slots+SpareSlots, e.cfg.SlotBytes); err != nil {
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
		rc = rc.WithCompilationCache(e.code.wazero)
	}
	e.runtime = wazero.NewRuntimeWithConfig(ctx, rc)
	injected := HostModule{Name: injectedModule, Funcs: []HostFunc{{
		Name: injectedYield, Params: []ValueType{I32}, Results: []ValueType{I64}, Call: (*Instance).yield,
	}}}
	if err = instantiateHost(ctx, e.runtime, injected); err != nil {
		return e, err
	}
	for _, m := range e.cfg.HostModules {
		if err = e.host.add(m); err != nil {
			return e, err
		}
		if err = instantiateHost(ctx, e.runtime, m); err != nil {
			return e, err
		}
	}
	return e, nil
}

// Close gives everything back. All modules and instances must have been closed; if not, the error says so.
func (e *Engine) Close(ctx context.Context) error {
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

// Stats is what an Engine holds at a moment.
type Stats struct {
	Slots, FreeSlots   int
	SlotBytes          int64
	ImageBytes         int64 // golden copies of all prepared modules
	Modules, Instances int
	ResetMethod        string // how snapshots are restored on this kernel
}

// Stats reads the counters.
func (e *Engine) Stats() Stats {
	s := e.slab.Stats()
	return Stats{Slots: s.Slots, FreeSlots: s.Free, SlotBytes: s.SlotBytes, ImageBytes: e.imageBytes.Load(),
		Modules: int(e.modules.Load()), Instances: int(e.instances.Load()), ResetMethod: e.restorer.Method()}
}

// moduleConfig is the same for all instances: no names, no start functions (the engine runs them), no files, and none of
// wazero's own system interface. The random source is never read; without it wazero would seed one for each instance.
func moduleConfig() wazero.ModuleConfig {
	return wazero.NewModuleConfig().WithName("").WithStartFunctions().WithRandSource(rand.Reader)
}

// compilationWorkers leaves one processor to the requests while a deploy compiles.
func compilationWorkers() int { return max(1, goruntime.GOMAXPROCS(0)-1) }

// rewriteOptions are the same for every module, so that compiled code is found again in the cache.
func (e *Engine) rewriteOptions() rewrite.Options {
	return rewrite.Options{YieldModule: injectedModule, YieldName: injectedYield, FuelSlice: firstSliceFuel,
		StackBytes: e.cfg.StackBytes, MaxTableElements: maxTableElements}
}

// maxTableElements bounds what a table costs the host: 8 bytes an element in each instance.
const maxTableElements = 1 << 18
