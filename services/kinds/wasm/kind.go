package wasm

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/vespo-dev/vespo/internal/lograte"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/runtime/pool"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/egress/outbound"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/schema"
)

// KindName is the kind's name in specs and catalogues.
const KindName = "wasm"

// Values of the isolation option.
const (
	IsolationSnapshot = "snapshot" // reset in place to the snapshot; the default
	IsolationFresh    = "fresh"    // a new instance for each request
)

// WorkUnit is the version of the unit of work, see engine.WorkUnit.
const WorkUnit = engine.WorkUnit

// MaxTimeout is the maximum of the timeout option.
const MaxTimeout = time.Hour

// Config configures the kind. Zero values select the defaults.
type Config struct {
	Slots        int           // maximum number of concurrent requests in guests; default 64
	Preparing    int           // modules that are prepared at a time by deploys and at the start; default 1
	SlotBytes    int64         // maximum linear memory of one request; default 16 MiB
	StackBytes   int64         // call stack of one request, in the rewriter's estimate; default 2 MiB
	CacheDir     string        // directory of the compiled code; empty: none
	CacheBytes   int64         // maximum size of CacheDir; default 1 GiB
	CodeMemory   int64         // maximum of compiled code and snapshots in memory, in bytes; 0: no limit
	Loaded       int           // maximum of modules with compiled code and snapshot in memory; 0: no limit
	Snapshots    bool          // keep snapshots in CacheDir too, which can have secrets of services
	Build        string        // identifies the program; see engine.Config
	CompileBytes int64         // memory for compiling a module; default 1 GiB
	CompileTime  time.Duration // processor time for compiling a module; default 1 min
	Timeout      time.Duration // request deadline for services that set none; default 10 s
	InitTimeout  time.Duration // for a guest's initialisation; default 10 s
	MaxBodyBytes int64         // request body; default 10 MiB
	DisableScan  bool          // force the slower reset for older kernels
	// CompileCommand starts a process that compiles a module; see engine.Config. Empty:
	// compile in this process.
	CompileCommand []string
	InterpretFirst bool // run new code in an interpreter until it is compiled; see engine.InterpretedFirst
	VerifyResets   bool // let resets check more than necessary, and fail if they find anything; for tests
	// Unloaded, if set, is called after compiled code and a snapshot were released, with the memory that they took.
	Unloaded func(bytes int64)
	// Elsewhere has compiled code and snapshots of other hosts; nil: none.
	Elsewhere engine.Elsewhere
	// Blob reads an evicted module again. Required.
	Blob func(ctx context.Context, digest registry.Digest) ([]byte, error)
	// Root contains the directories that services can mount. If nil, mounts are refused.
	// The caller keeps ownership.
	Root *os.Root
	// Dispatcher serves requests from one service to another. If nil, such requests fail.
	Dispatcher outbound.Dispatcher
	// Connections is the maximum number of connections of guests to other servers that stay open for later requests; default
	// outbound.DefaultConnections.
	Connections int
	// KeyValue has the key-value stores that services can use. If nil, services with stores are refused. The caller keeps
	// ownership.
	KeyValue kv.Stores
	// LogRate is the maximum average rate of a service's log output, in bytes per second. 0: no limit.
	LogRate int64
	Log     *slog.Logger // for guest output and internal errors; default: discard
}

func (c Config) withDefaults() Config {
	if c.Slots == 0 {
		c.Slots = 64
	}
	if c.SlotBytes == 0 {
		c.SlotBytes = 16 << 20
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.MaxBodyBytes == 0 {
		c.MaxBodyBytes = 10 << 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Kind implements services.Kind for WebAssembly modules.
type Kind struct {
	cfg     Config         // immutable
	engine  *engine.Engine // immutable
	pools   *pool.Set      // immutable
	servers []abi.Server   // immutable; of services, in order of detection
	runners []abi.Runner   // immutable; of functions, in order of detection

	snapshots   snapshots
	connections *outbound.Connections // immutable; of all guests

	fileKey [16]byte // immutable; key for the inode numbers that guests see
}

// Open maps the slab and starts the engine. The caller must close all deployments before the kind.
func Open(ctx context.Context, cfg Config) (*Kind, error) {
	cfg = cfg.withDefaults()
	if cfg.Blob == nil {
		return nil, errors.New("wasm: Config.Blob is missing")
	}
	abis := newABIs(cfg)
	modules, err := abi.HostModules(abis)
	if err != nil {
		return nil, err
	}
	mode := engine.Compiled
	if cfg.InterpretFirst {
		mode = engine.InterpretedFirst
	}
	e, err := engine.Open(ctx, engine.Config{
		Mode:           mode,
		Slots:          cfg.Slots,
		Preparing:      cfg.Preparing,
		SlotBytes:      cfg.SlotBytes,
		StackBytes:     cfg.StackBytes,
		CacheDir:       cfg.CacheDir,
		Build:          cfg.Build,
		Elsewhere:      cfg.Elsewhere,
		CacheBytes:     cfg.CacheBytes,
		KeepSnapshots:  cfg.Snapshots,
		CompileCommand: cfg.CompileCommand,
		CompileBytes:   cfg.CompileBytes,
		CompileTime:    cfg.CompileTime,
		InitTimeout:    cfg.InitTimeout,
		DisableScan:    cfg.DisableScan,
		VerifyResets:   cfg.VerifyResets,
		Log:            cfg.Log,
		HostModules:    modules,
	})
	if err != nil {
		return nil, err
	}
	k := &Kind{
		cfg:         cfg,
		engine:      e,
		pools:       newPools(e, cfg),
		servers:     abi.Servers(abis),
		runners:     abi.Runners(abis),
		connections: outbound.NewConnections(cfg.Connections),
	}
	rand.Read(k.fileKey[:]) // never fails
	k.pools.Start()
	return k, nil
}

func newPools(e *engine.Engine, cfg Config) *pool.Set {
	o := pool.Options{LoadedBytes: cfg.CodeMemory, Loaded: cfg.Loaded, Unloaded: cfg.Unloaded, Log: cfg.Log}
	if cfg.CodeMemory > 0 { // a mapped file that CacheDir has dropped takes disk space until it is unmapped
		o.MappedBytes = max(cfg.CodeMemory, cfg.CacheBytes)
	}
	return pool.NewSet(e, o)
}

// Close releases all resources. All deployments must be closed.
func (k *Kind) Close(ctx context.Context) error {
	k.pools.Close()
	return k.engine.Close(ctx)
}

// Engine returns the engine, for the exchange of compiled code with other hosts.
func (k *Kind) Engine() *engine.Engine { return k.engine }

// CeilingBytes returns the maximum size of all linear memories together: the size of
// the slab, including spare slots.
func (k *Kind) CeilingBytes() int64 {
	return int64(k.engine.Stats().Slots) * k.cfg.SlotBytes
}

// Stats is a snapshot of the use of resources by all modules, including functions.
type Stats struct {
	engine.Stats
	Pools     pool.SetStats
	CodeLimit int64 // of Stats.CodeBytes; 0: none
}

// Stats returns the current state.
func (k *Kind) Stats() Stats {
	return Stats{Stats: k.engine.Stats(), Pools: k.pools.Stats(), CodeLimit: k.cfg.CodeMemory}
}

// Describe implements services.Kind.
func (k *Kind) Describe() schema.Kind { return Description() }

// ReadsBlobs implements services.BlobReader.
func (k *Kind) ReadsBlobs() {}

// Validate implements services.Kind. It parses the sections of the module. Other
// errors are found at compilation.
func (k *Kind) Validate(s services.Spec) error { return validate(k, s, k.servers, true) }

// Prepare implements services.Kind.
func (k *Kind) Prepare(ctx context.Context, s services.Spec) (services.Deployment, error) {
	d, err := k.prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (k *Kind) prepare(ctx context.Context, s services.Spec) (*deployment, error) {
	module, speaks, err := detectIn(ctx, k, s, k.servers)
	if err != nil {
		return nil, asProblem(err)
	}
	v, err := k.newVersion(s, speaks)
	if err != nil {
		return nil, err
	}
	d := &deployment{version: v, server: speaks, lingers: speaks.Traits().Lingers}
	v.caller = func() any { return newExchange(d) }
	v.warmUps = d.warmUps()
	if err := v.open(ctx, module, s.Served); err != nil {
		return nil, err
	}
	return d, nil
}

// open compiles the module and prepares its instances. It releases the version if that fails. A version that was served before is
// loaded for its first request, if its code and its snapshot are on disk.
func (v *version) open(ctx context.Context, module *engine.Decoded, served bool) (err error) {
	// A module from the catalogue may have been added to a server with more memory.
	if refused := invalidModule(v.kind.checkMinimum(module.Info(), v.doc), nil); refused != nil {
		return errors.Join(refused, v.release())
	}
	if world := module.World(); world != nil {
		v.exports, v.imports = shownNames(world.Exports), shownNames(world.Imports)
	}
	reference := module.Reference()
	load := func(ctx context.Context) (*engine.Module, error) {
		if decoded := module; decoded != nil {
			module = nil
			return v.compile(ctx, decoded)
		}
		return v.loadEvicted(ctx, reference)
	}
	if served {
		if m := v.kind.engine.Foresee(module, v.options(module)); m != nil {
			v.learn(m)
			module = nil
			v.pool = v.kind.pools.OpenUnloaded(load)
			return nil
		}
	}
	if v.pool, err = v.kind.pools.Open(ctx, load); err != nil {
		return asProblem(errors.Join(err, v.release()))
	}
	return nil
}

// loadEvicted loads or compiles code that was evicted.
func (v *version) loadEvicted(ctx context.Context, reference engine.Reference) (m *engine.Module, err error) {
	defer func() { v.noteLoad(err) }()
	decoded, err := v.kind.engine.Recall(ctx, reference, func() ([]byte, error) { return v.kind.cfg.Blob(ctx, v.digest) })
	if err != nil {
		return nil, err
	}
	return v.compile(ctx, decoded)
}

// newVersion opens everything the version holds except its pool.
func (k *Kind) newVersion(s services.Spec, speaks abi.ABI) (*version, error) {
	doc, err := Decode(s.Manifest)
	if err != nil {
		return nil, invalidModule([]problem.Violation{{Text: err.Error()}}, nil)
	}
	d := &version{
		kind:        k,
		abi:         speaks,
		doc:         doc,
		key:         s.Key,
		digest:      s.Blob(schema.FieldModule).Digest,
		timeout:     time.Duration(doc.Timeout),
		memoryBytes: doc.Memory,
		logRate:     lograte.New(k.cfg.LogRate),
	}
	if d.timeout == 0 {
		d.timeout = k.cfg.Timeout
	}
	if d.memoryBytes == 0 {
		d.memoryBytes = k.cfg.SlotBytes
	}
	d.log = k.cfg.Log.With(slog.String("service", s.Key.String()), slog.String("version", string(s.Version)))
	d.environment = abi.Environment{
		Log:      d.guestLog,
		Enabled:  d.logs,
		Settings: settingsOf(doc.Config),
		FileKey:  k.fileKey,
		Resolves: d.noNetwork,
	}
	if violations := k.checkMounts(doc.Mount); len(violations) > 0 {
		return nil, invalidModule(violations, nil) // the server may have been restarted without --root
	}
	if err := d.openMounts(k.cfg.Root); err != nil {
		return nil, err
	}
	if allow, _ := outbound.ParseAllow(doc.Allow); allow != nil && !allow.Empty() {
		d.outbound = outbound.New(outbound.Config{
			Allow:       allow,
			Router:      k.cfg.Dispatcher,
			Caller:      s.Key.String(),
			Connections: k.connections,
		})
	}
	d.stores = kv.NewBindings(k.cfg.KeyValue, doc.KV)
	return d, nil
}

func asProblem(err error) error {
	var invalid *engine.ModuleError
	if errors.As(err, &invalid) {
		return invalidModule(inModule(invalid.Violations), err)
	}
	return err
}
