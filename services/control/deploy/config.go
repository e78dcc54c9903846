package deploy

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/cache"
	"github.com/vespo-dev/vespo/router/ratelimit"
	"github.com/vespo-dev/vespo/services"
)

// Config configures a Deployer. The caller keeps Registry, Router and Gate, which must outlive the Deployer.
type Config struct {
	Registry *registry.Registry
	Router   *router.Router
	Gate     *admission.Gate
	Limits   admission.Limits // per service
	Kinds    []services.Kind
	// Middleware prepares the middleware in front of a service of any kind. If it is nil, middleware is not
	// supported. Requests to a service with middleware are admitted by Gate, weighted by the number of guests
	// that such a request occupies at the same time.
	Middleware services.MiddlewareKind
	// Admission overrides Gate and Limits for the named kinds, whose requests do not use the resources that
	// Gate shares out.
	Admission map[string]Admission
	Idle      registry.IdlePolicy
	// FileRules is set if the server has a configuration file. Services declared there are changed only by
	// Apply.
	FileRules bool
	// ReadOnly is the error of all changes, on a server whose catalogue is changed elsewhere: only Adopt changes it. Nil:
	// changes are made.
	ReadOnly error

	PrepareTimeout time.Duration // of one Kind.Prepare; default 2 min
	RetireAfter    time.Duration // for requests on a replaced or removed version; default 1 h
	MaxRetired     int           // versions of one service that still have requests; default 16. The oldest is stopped first
	CloseTimeout   time.Duration // for stopping requests that outlive the drain; default 5 s
	MaxWaiters     int           // changes waiting for another one; default 8. Each keeps its module in memory
	// PrepareParallel is the number of services with guests that are prepared at a time, at start and by
	// deploys. The default is DefaultPrepareParallel.
	PrepareParallel int

	StartWait    time.Duration // how long a request waits for its service to start if the service has no timeout; default 10 s
	MaxStartWait int           // such requests of all services; default 1024. Limits.Queue bounds those of one service

	// Forward returns the handler of a version that may pass requests on to other hosts of the catalogue while its code is not
	// loaded, in place of next. If it is nil, no version does. version is the ContentDigest, which must not be logged.
	Forward func(service registry.Service, version string, next router.Handler, code services.Loader) router.Handler

	// Sharing shares the limits of rates with other hosts; nil: they are those of this host.
	Sharing *ratelimit.Sharing

	// Cache keeps answers of services that have the field cache; nil: none are kept.
	Cache *cache.Store

	// Hosts are those of a common catalogue. If it is nil, this host serves all services.
	Hosts Hosts
	// Away is the admission of requests to services that other hosts serve. Without a Gate, it is that of their kinds.
	Away Admission

	// Mirrors compares the responses of mirrors. If it is nil, mirrors are not supported.
	Mirrors Mirrors

	Log    *slog.Logger // default: discards
	Events Events
	Audit  Auditor // default: none
}

// Mirrors takes copies of requests; *mirror.Mirrors implements it.
type Mirrors interface {
	// Offer must not block.
	Offer(key routekey.Key, to registry.Mirror, c *router.Copy)
}

// Admission configures how the requests to services of one kind are admitted.
type Admission struct {
	Gate   *admission.Gate
	Limits admission.Limits // per service
}

// admission returns the admission of a kind.
func (c *Config) admission(kind string) Admission {
	if own, ok := c.Admission[kind]; ok {
		return own
	}
	return Admission{Gate: c.Gate, Limits: c.Limits}
}

// Events holds callbacks that are called after the event. Each field may be nil. The callbacks are called
// synchronously, from several goroutines and partly with the writer lock held. They must return soon and must
// not call the Deployer.
type Events struct {
	Deployed    func(r Result) // added, replaced or rolled back
	Removed     func(key routekey.Key)
	Unavailable func(key routekey.Key, err error)                      // could not be prepared at boot
	Retired     func(key routekey.Key, g registry.Generation, d Drain) // old version drained and closed
	Scaled      func(key routekey.Key, to services.Scale, err error)   // by the idle loop
	Collected   func(blobs []registry.Digest)                          // deleted, as no version refers to them
}

// Drain describes how a retired version ended.
type Drain struct {
	Forced bool  // requests outlived the drain and were stopped
	Err    error // from closing the deployment
}

// withDefaults replaces zero and negative values by their defaults.
func (c Config) withDefaults() Config {
	c.PrepareTimeout = orDefault(c.PrepareTimeout, 2*time.Minute)
	c.RetireAfter = orDefault(c.RetireAfter, time.Hour)
	c.MaxRetired = orDefault(c.MaxRetired, 16)
	c.CloseTimeout = orDefault(c.CloseTimeout, 5*time.Second)
	c.MaxWaiters = orDefault(c.MaxWaiters, 8)
	c.PrepareParallel = orDefault(c.PrepareParallel, DefaultPrepareParallel())
	c.StartWait = orDefault(c.StartWait, 10*time.Second)
	c.MaxStartWait = orDefault(c.MaxStartWait, 1024)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Events = c.Events.filled()
	return c
}

// DefaultPrepareParallel returns the number of processors, but at least 2 (so that one slow module does not delay
// all others) and at most 4.
func DefaultPrepareParallel() int { return min(max(2, runtime.GOMAXPROCS(0)), 4) }

func orDefault[T ~int | ~int64](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// check panics on configurations that only a programming error can cause.
func (c Config) check() {
	if c.Registry == nil || c.Router == nil || c.Gate == nil {
		panic("deploy: Config needs Registry, Router and Gate")
	}
	for kind, own := range c.Admission {
		if own.Gate == nil {
			panic(fmt.Sprintf("deploy: the admission of the kind %q has no Gate", kind))
		}
	}
	seen := make(map[string]bool)
	for _, k := range c.Kinds {
		name := k.Describe().Name
		if seen[name] {
			panic(fmt.Sprintf("deploy: two kinds are called %q", name))
		}
		seen[name] = true
	}
}

// filled replaces nil callbacks by no-ops.
func (e Events) filled() Events {
	if e.Deployed == nil {
		e.Deployed = func(Result) {}
	}
	if e.Removed == nil {
		e.Removed = func(routekey.Key) {}
	}
	if e.Unavailable == nil {
		e.Unavailable = func(routekey.Key, error) {}
	}
	if e.Retired == nil {
		e.Retired = func(routekey.Key, registry.Generation, Drain) {}
	}
	if e.Collected == nil {
		e.Collected = func([]registry.Digest) {}
	}
	if e.Scaled == nil {
		e.Scaled = func(routekey.Key, services.Scale, error) {}
	}
	return e
}

// guarded calls f, which runs a kind's code, and turns a panic into an error: a bug in one kind must not end
// the server.
func guarded(ctx context.Context, log *slog.Logger, what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			stack := make([]byte, 16<<10)
			stack = stack[:runtime.Stack(stack, false)]
			log.ErrorContext(ctx, "panic in a kind", "during", what, "panic", v, "stack", string(stack))
			err = fmt.Errorf("%w during %s: %v", ErrPanic, what, v)
		}
	}()
	return f()
}
