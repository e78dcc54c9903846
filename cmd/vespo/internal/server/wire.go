package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/conns"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/instruments"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/output"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/tracing"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/version"
	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/lane"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/cache"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/router/ratelimit"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/canary"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/follow"
	"github.com/vespo-dev/vespo/services/control/mirror"
	"github.com/vespo-dev/vespo/services/control/scheduler"
	"github.com/vespo-dev/vespo/services/control/tokens"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/observe/usage"
	"github.com/vespo-dev/vespo/services/queues"
)

// Limits of connections that have no flag.
const (
	headerTimeout  = 10 * time.Second // for the header of a connection's first request
	bodyTimeout    = 10 * time.Second // for the first part of a body, unless the handler sets a deadline
	answerTimeout  = 30 * time.Second // for the client to read the end of a response
	maxHeaderBytes = 64 << 10
	maxStreams     = 128       // per HTTP/2 connection
	connBuffer     = 256 << 10 // bytes of unread bodies, all streams of a connection together
	streamBuffer   = 128 << 10 // the same per stream
	frameBuffer    = 16 << 10  // an HTTP/2 frame, which the connection keeps a buffer for
	maxWorkers     = 1024      // connections of all workers of queues together

	prepareSlack = time.Minute // of a deploy, beyond the processor time for compiling
)

// core is a server without its listeners: the services, and what they need.
type core struct {
	store        *filestore.Store
	node         *cluster.Node      // among the hosts of a common catalogue; nil without one
	catalogue    *registry.Registry // of node
	root         *os.Root           // of mounts and static files; nil without --root
	problems     []registry.Problem // found while opening the catalogue
	stores       kv.Stores          // key-value stores
	engine       kv.Engine          // the same, with what only the server uses
	shared       queues.Engine      // durable queues and events in an engine; nil: they are in the data directory
	sharing      *ratelimit.Sharing // of rate limits; nil: they are those of this host
	security     *security          // TLS of the listeners
	audit        *admin.Auditor     // records changes
	authority    *tokens.Authority  // recognises tokens, for the management API and all else that takes one
	kind         *wasm.Kind
	deployer     *deploy.Deployer
	schedules    *scheduler.Scheduler
	handler      *router.Router // of the public listener
	admin        http.Handler   // of the admin listener
	lambda       http.Handler   // of the Lambda API's listener; nil without one
	leave        func()         // announces to clients and load balancers that the server is about to stop
	unprofile    func()         // ends the profile that is being taken
	trimmer      *heapTrimmer
	observer     *observer
	canaries     *canary.Judge
	mirrors      *mirror.Mirrors
	usage        *usage.Ledger
	copied       *copied // nil unless the server follows another one
	feed         *follow.Feed
	dataDir      string
	sources      *instruments.Sources // of metrics
	cache        *cache.Store         // of answers; nil if none are kept
	cacheSharing *cache.Sharing       // of cache; nil: answers are kept by this host alone
	traces       *tracing.Tracer      // nil unless requests are traced
	listening    listeners
	lane         atomic.Pointer[lane.Server] // of the public listener, once open; nil without one
	public       atomic.Value                // string: URL of the public listener, once open
	console      atomic.Value                // string: URL of the console, once its listener is open
}

// access is the access listener, and the count of dropped records.
type access struct {
	listener accesslog.Listener
	dropped  func() int64                                  // nil if records are never dropped
	failures *accesslog.Failures                           // nil if every request has a record
	outputs  func(yield func(name string, s output.Stats)) // nil if there are none
}

// wire opens and connects all components, as parts of list, which the caller closes. It serves nothing.
func wire(ctx context.Context, list *parts.List, cfg *Config, dataDir string, log *slog.Logger, access access) (*core, error) {
	c := &core{trimmer: newHeapTrimmer(), observer: newObserver(), canaries: canary.New(log), mirrors: mirror.New(), cache: newCache(cfg)}
	c.sources = newSources(access, c.observer.tally)
	catalogue, err := c.openCatalogue(ctx, list, cfg, dataDir, log)
	if err != nil {
		return nil, err
	}
	if err := c.openData(ctx, list, cfg, log); err != nil {
		return nil, err
	}
	if log, err = c.observer.openJournal(ctx, list, cfg, filepath.Join(dataDir, logsDir), log); err != nil {
		return nil, err
	}
	if c.security, err = openTLS(ctx, list, &cfg.TLSSettings, dataDir, log); err != nil {
		return nil, err
	}
	gate := admission.NewGate(cfg.Slots)
	management := c.newManagement(cfg, access, gate)
	c.admin = newAdmin(cfg, management, accesslog.Tee(access.listener, c.observer.tally.Listen))
	routing := c.newRouter(cfg, access, management)
	if err := c.openKind(ctx, list, cfg, catalogue, routing, log); err != nil {
		return nil, err
	}
	kinds, err := c.makeKinds(ctx, list, cfg, dataDir, catalogue, log)
	if err != nil {
		return nil, err
	}
	own, limits := admissions(cfg), cfg.limits()
	c.sources.Gates = instrumentGates(limits, gate, own)
	c.deployer = deploy.New(deploy.Config{
		Audit:           c.audit,
		Events:          deploy.Tee(c.trims(), c.forgets(log), c.observer.forgets(), c.mirrorEvents()),
		Registry:        catalogue,
		Router:          routing,
		Gate:            gate,
		Limits:          limits,
		Kinds:           kinds,
		Mirrors:         c.mirrors,
		Sharing:         c.sharing,
		Cache:           c.cache,
		Middleware:      c.kind,
		Admission:       own,
		StartWait:       cfg.Timeout,
		RetireAfter:     cfg.RetireAfter,
		PrepareParallel: deploy.DefaultPrepareParallel(), // as the kind reserves slots for
		MaxStartWait:    max(1, cfg.MaxConnections/4),
		Idle:            registry.IdlePolicy{Idle: cfg.Idle, EvictCode: evictAfterIdles * cfg.Idle},
		FileRules:       cfg.FileRules,
		ReadOnly:        c.readOnly(),
		Forward:         c.forwarding(routing, cfg.ForwardCold),
		Hosts:           c.hostsOfServices(cfg),
		Away:            awayAdmission(own),
		PrepareTimeout:  cfg.compileTime() + prepareSlack,
		Log:             log,
	})
	c.attachDeployer(management)
	c.openFeed(cfg, catalogue, management, log)
	if err := c.openSchedules(ctx, list, cfg, catalogue, routing, log); err != nil {
		return nil, err
	}
	management.AttachSchedules(c.schedules)
	c.leave, c.unprofile = func() { management.Leave(); routing.Leave() }, management.EndProfiles
	if err := c.openLambda(ctx, list, cfg, dataDir, routing, log); err != nil {
		return nil, err
	}
	c.attachLoads(gate, cfg.Slots)
	c.measure(routing, management)
	return c, list.Open(ctx, parts.Part{Name: "the services", Close: c.closeServices})
}

// attachDeployer makes the deployer known to all that need it.
func (c *core) attachDeployer(management *admin.Handler) {
	if f := c.forwarder(); f != nil {
		f.Receiver().HoldBy(c.deployer)
	}
	management.Attach(c.deployer)
}

// limits returns the limits of a service with guests.
func (c *Config) limits() admission.Limits {
	return admission.Limits{
		Concurrency: c.perService(),
		Queue:       c.Queue,
		Wait:        c.QueueWait,
		BodyFirst:   true,
		Shares:      c.shares(c.Slots),
	}
}

// newRouter returns the router of the public listener, and makes it the handler of c.
func (c *core) newRouter(cfg *Config, access access, management *admin.Handler) *router.Router {
	config := router.Config{
		Admin:           management,
		AccessLog:       accesslog.Tee(access.listener, c.canaries.Listen),
		MayReport:       management.MayReport,
		WorkUnit:        wasm.WorkUnit,
		Trust:           cfg.trust(),
		HeaderBytes:     int64(cfg.HeaderMemory),
		StrictTransport: cfg.strictTransport(),
	}
	if counted {
		config.Unserved, config.Follow = c.observer.tally.Listen, c.observer.tally.Follow
	}
	if c.traces != nil {
		config.Tracer = c.traces
	}
	routing := router.New(config)
	c.handler = routing
	return routing
}

// closeServices stops the services. Requests in flight have the time of ctx.
func (c *core) closeServices(ctx context.Context) error {
	err := c.deployer.Close(ctx)
	if errors.Is(err, deploy.ErrStuck) { // it still uses the engine
		return fmt.Errorf("%w: %w", parts.ErrStuck, err)
	}
	return err
}

// newManagement returns the handler of the management API.
func (c *core) newManagement(cfg *Config, access access, gate *admission.Gate) *admin.Handler {
	return admin.New(admin.Config{
		Kinds:               Kinds(),
		Authority:           c.authority,
		Audit:               c.audit,
		MaxModuleBytes:      int64(cfg.MaxModule),
		AllowPrivateSources: cfg.AllowPrivateSources,
		Dropped:             access.dropped,
		KeyValue:            c.stores,
		ReadOnly:            c.readOnly(),
		Canaries:            c.canaries,
		Mirrors:             c.mirrors,
		Statistics:          c.observer.rolling,
		Logs:                c.observer.logs(),
		Usage:               c.usage,
		Slots:               c.slots(gate),
		Hosts:               c.hosts(),
		DrainHost:           c.drainHost(),
		Common:              c.common(),
		PublicURL:           func() string { url, _ := c.public.Load().(string); return url },
		ConsoleURL:          func() string { url, _ := c.console.Load().(string); return url },
		Metrics:             c.sources.Scrapes,
	})
}

// openKind opens the kind for modules, and removes the compiled code
// of modules that are not in the catalogue, unless other servers share it.
func (c *core) openKind(ctx context.Context, list *parts.List, cfg *Config, catalogue *registry.Registry, routing *router.Router, log *slog.Logger) error {
	err := list.Open(ctx, parts.Part{
		Name: "the engine",
		Open: func(ctx context.Context) (err error) {
			c.kind, err = wasm.Open(ctx, wasm.Config{
				Slots:          cfg.Slots,
				Preparing:      deploy.DefaultPrepareParallel(),
				SlotBytes:      int64(cfg.Memory),
				LogRate:        int64(cfg.LogRate),
				CacheDir:       cmp.Or(cfg.SharedCode, c.store.CacheDir()),
				CacheBytes:     int64(cfg.CodeCache),
				CodeMemory:     cfg.codeMemory(),
				Loaded:         loadedModules(descriptorLimit()),
				Unloaded:       c.trimmer.unloaded,
				Snapshots:      cfg.SharedCode == "", // they can have secrets
				CompileCommand: compileArgv(log),
				InterpretFirst: cfg.Interpret,
				Build:          version.Build(),
				Elsewhere:      c.elsewhere(),
				CompileBytes:   int64(cfg.CompileMemory),
				CompileTime:    cfg.compileTime(),
				Timeout:        cfg.Timeout,
				MaxBodyBytes:   int64(cfg.MaxBody),
				Blob:           catalogue.Blob,
				Dispatcher:     routing,
				Connections:    keptConnections(descriptorLimit()),
				Root:           c.root,
				KeyValue:       c.stores,
				Log:            log,
			})
			return err
		},
		Close: func(ctx context.Context) error { return c.kind.Close(ctx) },
	})
	if err == nil {
		err = c.openExchange(ctx, list)
	}
	if err != nil || cfg.SharedCode != "" {
		return err
	}
	return c.kind.Retain(maps.Keys(catalogue.State().Digests()))
}

// elsewhere returns the compiled code of other hosts, or nil.
func (c *core) elsewhere() engine.Elsewhere {
	if c.node == nil {
		return nil
	}
	return c.node.Elsewhere()
}

// CompileCommand is the argument with which the server
// starts its own program to compile a module. It is not for users.
const CompileCommand = "internal-compile"

// compileArgv returns this program's path, and the arguments that make it compile a module.
// On Linux the path is the running executable even if its file was replaced or removed since.
func compileArgv(log *slog.Logger) []string {
	path := "/proc/self/exe"
	if runtime.GOOS != "linux" {
		var err error
		if path, err = os.Executable(); err != nil {
			log.Warn("modules are compiled without bounds on time and memory, as the path of this program is not known", "error", err)
			return nil
		}
	}
	return []string{path, "vespo", CompileCommand}
}

// trims returns the callbacks by which deploys trim the heap.
func (c *core) trims() deploy.Events {
	return deploy.Events{Deployed: func(deploy.Result) { c.trimmer.want() }}
}

// forgets returns the callbacks by which removed versions drop their compiled code.
func (c *core) forgets(log *slog.Logger) deploy.Events {
	return deploy.Events{Collected: func(blobs []registry.Digest) {
		if err := c.kind.Forget(slices.Values(blobs)); err != nil {
			log.Warn("compiled code that no version needs could not be removed", "error", err)
		}
	}}
}

// newQueues returns the kind for queues. It opens the workers' listener when the first queue is deployed.
func (c *core) newQueues(cfg *Config, log *slog.Logger) *queue.Kind {
	return queue.New(queue.Config{
		Shared: c.sharedQueues(),
		Listen: func(ctx context.Context) (net.Listener, error) {
			connections := cfg.workerConnections(log)
			connections.TLS = c.security.of(onWorkers, cfg.WorkerListen, "http/1.1")
			l, err := conns.Listen(ctx, cfg.WorkerListen, connections)
			if err != nil {
				return nil, err
			}
			c.listening.add(l)
			return l, nil
		},
		Token:        cfg.WorkerToken,
		MaxBodyBytes: int64(cfg.MaxBody),
		Dir:          c.store.QueueDir(),
		Log:          log,
	})
}

// newHTTPServer leaves ReadTimeout unset: it would expire during a long request without a body and look
// as if the client had left. The listener bounds the time for headers and for writes to the client.
func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true) // over TLS
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:        client.Bound(handler, bodyTimeout, answerTimeout),
		MaxHeaderBytes: maxHeaderBytes,
		Protocols:      &protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReadFrameSize:              frameBuffer,
			MaxReceiveBufferPerConnection: connBuffer,
			MaxReceiveBufferPerStream:     streamBuffer,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext: func(l net.Listener) context.Context {
			return admin.WithListener(context.Background(), l.Addr())
		},
	}
}

// withRelay adds the PROXY header of a connection to its context.
func withRelay(ctx context.Context, c net.Conn) context.Context {
	if relayed, ok := conns.Unwrap(c).(forwarded.Conn); ok {
		return forwarded.WithConn(ctx, relayed)
	}
	return ctx
}
