package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/conns"
	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/kinds/static"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
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

// parts are the components of a server, in the order of opening. They are closed in reverse order.
type parts struct {
	store    *filestore.Store
	root     *os.Root           // of mounts and static files; nil without --root
	problems []registry.Problem // found while opening the catalogue
	kind     *wasm.Kind
	queues   *queue.Kind
	deployer *deploy.Deployer
	leave    func() // announces to clients and load balancers that the server is about to stop
	http     *http.Server
	surfaces []*surface // listeners besides http's
	trimmer  *heapTrimmer
	public   atomic.Value // string: URL of the public listener, once open
}

// access is the access listener, and the count of dropped records.
type access struct {
	listener accesslog.Listener
	dropped  func() int64 // nil if records are never dropped
}

// wire opens and connects all components. It serves nothing and starts no goroutine of this package.
func wire(ctx context.Context, cfg *Config, dataDir string, log *slog.Logger, access access) (_ *parts, err error) {
	p := &parts{trimmer: newHeapTrimmer()}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close(ctx), p.closeSurfaces())
		}
	}()
	if p.store, err = filestore.Open(dataDir); err != nil {
		return nil, err
	}
	catalogue, problems, err := registry.Open(ctx, p.store, p.store.Blobs())
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dataDir, err)
	}
	p.problems = problems
	if cfg.Root != "" {
		if p.root, err = regular.OpenRoot(cfg.Root); err != nil {
			return nil, fmt.Errorf("--root: %w", err)
		}
	}
	management := newManagement(cfg, access)
	routing := router.New(router.Config{Admin: management, AccessLog: access.listener, Trust: cfg.trust(), HeaderBytes: int64(cfg.HeaderMemory)})
	if err = p.openKind(ctx, cfg, catalogue, routing, log); err != nil {
		return nil, err
	}
	p.queues = newQueues(cfg, p.store.QueueDir(), log)
	functions, err := newFunctions(cfg, dataDir, log)
	if err != nil {
		return nil, err
	}
	p.deployer = deploy.New(deploy.Config{
		Events:   p.events(log),
		Registry: catalogue,
		Router:   routing,
		Gate:     admission.NewGate(cfg.Slots),
		Limits: admission.Limits{Concurrency: cfg.perService(), Queue: cfg.Queue, Wait: cfg.QueueWait, BodyFirst: true,
			Shares: cfg.shares(cfg.Slots)},
		Kinds: []services.Kind{
			p.kind,
			proxy.New(proxy.Config{
				Timeout: cfg.Timeout, MaxBodyBytes: int64(cfg.MaxBody),
				Tunnels: cfg.tunnels(), PerClient: cfg.PerClient.of(cfg.tunnels()), TunnelIdle: cfg.TunnelIdle,
			}),
			static.New(static.Config{Root: p.root, Log: log}),
			functions,
			function.NewModules(functions, p.kind.Functions()),
			p.queues,
		},
		Middleware:  p.kind,
		Admission:   admissions(cfg),
		StartWait:   cfg.Timeout,
		RetireAfter: cfg.RetireAfter,

		PrepareParallel: deploy.DefaultPrepareParallel(), // as the kind reserves slots for
		MaxStartWait:    max(1, cfg.MaxConnections/4),
		Idle:            registry.IdlePolicy{Idle: cfg.Idle, EvictCode: evictAfterIdles * cfg.Idle},
		FileRules:       cfg.FileRules,

		PrepareTimeout: cfg.compileTime() + prepareSlack,
		Log:            log,
	})
	management.Attach(p.deployer)
	p.leave = func() { management.Leave(); routing.Leave() }
	p.http = newHTTPServer(routing, log)
	if cfg.ProxyProtocol {
		p.http.ConnContext = withRelay
	}
	return p, p.wireLambda(cfg, dataDir, routing, catalogue.Blob, log)
}

// newManagement returns the handler of the management API.
func newManagement(cfg *Config, access access) *admin.Handler {
	return admin.New(admin.Config{
		Kind:                wasm.KindName,
		Token:               cfg.AdminToken,
		MaxModuleBytes:      int64(cfg.MaxModule),
		AllowPrivateSources: cfg.AllowPrivateSources,
		Dropped:             access.dropped,
	})
}

// openKind opens the kind for modules, and removes the
// compiled code of modules that are not in the catalogue.
func (p *parts) openKind(ctx context.Context, cfg *Config, catalogue *registry.Registry, routing *router.Router, log *slog.Logger) (err error) {
	p.kind, err = wasm.Open(ctx, wasm.Config{
		Slots:          cfg.Slots,
		Preparing:      deploy.DefaultPrepareParallel(),
		SlotBytes:      int64(cfg.Memory),
		LogRate:        int64(cfg.LogRate),
		CacheDir:       p.store.CacheDir(),
		CacheBytes:     int64(cfg.CodeCache),
		CompileCommand: compileArgv(log),
		CompileBytes:   int64(cfg.CompileMemory),
		CompileTime:    cfg.compileTime(),
		Timeout:        cfg.Timeout,
		MaxBodyBytes:   int64(cfg.MaxBody),
		Blob:           catalogue.Blob,
		Dispatcher:     routing,
		Root:           p.root,
		Log:            log,
	})
	if err != nil {
		return err
	}
	return p.kind.Retain(maps.Keys(catalogue.State().Digests()))
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

// events returns the callbacks by which deploys trim the heap and removed versions drop their compiled code.
func (p *parts) events(log *slog.Logger) deploy.Events {
	return deploy.Events{
		Deployed: func(deploy.Result) { p.trimmer.want() },
		Collected: func(blobs []registry.Digest) {
			if err := p.kind.Forget(slices.Values(blobs)); err != nil {
				log.Warn("compiled code that no version needs could not be removed", "error", err)
			}
		},
	}
}

// admissions returns admission of its own for kinds whose requests need no slot: a
// WebSocket may last for days, and a slow upstream must not keep guests waiting.
// Such requests cost a connection, a buffer or two and a file descriptor.
func admissions(cfg *Config) map[string]deploy.Admission {
	slotless := deploy.Admission{
		Gate:   admission.NewGate(cfg.MaxConnections),
		Limits: admission.Limits{Concurrency: max(1, cfg.MaxConnections*3/4), Queue: cfg.Queue, Wait: cfg.QueueWait, Shares: cfg.shares(cfg.MaxConnections)},
	}
	// A request to a queue waits in the queue, so it must not wait
	// before. Queues without workers must not take all connections.
	half := max(1, cfg.MaxConnections/2)
	queued := deploy.Admission{Gate: admission.NewGate(half), Limits: admission.Limits{Concurrency: half, Shares: cfg.shares(half)}}
	return map[string]deploy.Admission{
		proxy.KindName: slotless, static.KindName: slotless, function.KindName: slotless, queue.KindName: queued,
	}
}

// newQueues returns the kind for queues. It opens the workers' listener when the first queue is deployed.
func newQueues(cfg *Config, dir string, log *slog.Logger) *queue.Kind {
	return queue.New(queue.Config{
		Listen: func(ctx context.Context) (net.Listener, error) {
			return conns.Listen(ctx, cfg.WorkerListen, cfg.workerConnections(log))
		},
		Token:        cfg.WorkerToken,
		MaxBodyBytes: int64(cfg.MaxBody),
		Dir:          dir,
		Log:          log,
	})
}

// newHTTPServer leaves ReadTimeout unset: it would expire during a long request without a body and look
// as if the client had left. The listener bounds the time for headers and for writes to the client.
func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:        withDeadlines(handler),
		MaxHeaderBytes: maxHeaderBytes,
		Protocols:      &protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReadFrameSize: frameBuffer,
			MaxReceiveBufferPerConnection: connBuffer, MaxReceiveBufferPerStream: streamBuffer,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext: func(l net.Listener) context.Context {
			return admin.WithListener(context.Background(), l.Addr())
		},
	}
}

// withRelay adds the PROXY header of a connection to its context.
func withRelay(ctx context.Context, c net.Conn) context.Context {
	if relayed, ok := c.(forwarded.Conn); ok {
		return forwarded.WithConn(ctx, relayed)
	}
	return ctx
}

// withDeadlines bounds how long a client may hold a connection without sending the body that it announced, or
// an HTTP/2 stream without reading the end of the response. A handler may set other deadlines while it runs.
func withDeadlines(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 { // errors here and below are ignored: the server's connections support deadlines
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
		}
		if r.ProtoMajor > 1 { // a stream can block without its connection
			defer func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout)) }()
		}
		next.ServeHTTP(w, r)
	})
}

// close closes the opened components in reverse order. The HTTP server
// must have stopped. ctx bounds the wait for requests that still run.
func (p *parts) close(ctx context.Context) error {
	var failed []error
	if p.deployer != nil {
		err := p.deployer.Close(ctx)
		if failed = append(failed, err); errors.Is(err, deploy.ErrStuck) {
			return errors.Join(failed...) // the rest is still in use; it ends with the process
		}
	}
	if p.kind != nil {
		failed = append(failed, p.kind.Close(ctx))
	}
	if p.queues != nil {
		failed = append(failed, p.queues.Close())
	}
	if p.root != nil {
		failed = append(failed, p.root.Close())
	}
	if p.store != nil {
		failed = append(failed, p.store.Close())
	}
	return errors.Join(failed...)
}
