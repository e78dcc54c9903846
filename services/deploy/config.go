package deploy

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
)

// Config is what a Deployer is made of. Registry, Router and Gate stay the caller's; they must outlive the Deployer.
type Config struct {
	Registry *registry.Registry
	Router   *router.Router
	Gate     *admission.Gate
	Limits   admission.Limits // of each service
	Kinds    []services.Kind
	// Middleware makes what is in front of a service, of any kind; nil: there can be none. Requests to such a service are let in by Gate, with
	// the weight of all the guests that they are in at a time.
	Middleware services.MiddlewareKind
	// Admission has the kinds, by name, whose requests do not take what Gate shares out, and so wait elsewhere for their turn.
	Admission map[string]Admission
	Idle      registry.IdlePolicy
	// FileRules says that there is a configuration file: what it has declared, Apply alone changes.
	FileRules bool

	PrepareTimeout time.Duration // for one Kind.Prepare; default 2 min
	RetireAfter    time.Duration // for the requests on a replaced or removed version; default 1 h
	MaxRetired     int           // versions of a service that have such requests; default 16. The oldest is stopped first
	CloseTimeout   time.Duration // for stopping those that outlive the drain; default 5 s
	MaxWaiters     int           // changes waiting for others to end; default 8. Each keeps its module in memory
	// PrepareParallel is how many services with guests are prepared at a time, at the start and by deploys; default the
	// number of processors, but at least 2, so that one slow module does not hold up all others, and at most 4.
	PrepareParallel int

	StartWait    time.Duration // of a request for its service to start, where the service has no timeout; default 10 s
	MaxStartWait int           // requests that wait so, for all services; default 1024. For one: Limits.Queue

	Log    *slog.Logger // default: discards
	Events Events
}

// Admission is how the requests to services of one kind are let in.
type Admission struct {
	Gate   *admission.Gate
	Limits admission.Limits // of each service
}

// admission gives the one of a kind.
func (c *Config) admission(kind string) Admission {
	if own, ok := c.Admission[kind]; ok {
		return own
	}
	return Admission{Gate: c.Gate, Limits: c.Limits}
}

// Events tells a listener what happens, after it has happened. Each field may be nil. The functions are called in line,
// from several goroutines and some of them with the writer lock held; they must return soon and not call the Deployer.
type Events struct {
	Deployed    func(r Result) // added, replaced or rolled back
	Removed     func(prefix registry.Prefix)
	Unavailable func(prefix registry.Prefix, err error)                      // could not be prepared at boot
	Retired     func(prefix registry.Prefix, g registry.Generation, d Drain) // old version drained and closed
	Scaled      func(prefix registry.Prefix, to services.Scale, err error)   // by the idle loop
	Collected   func(blobs []registry.Digest)                                // deleted, as no version names them any more
}

// Drain says how a retired version ended.
type Drain struct {
	Forced bool  // requests outlived the drain and were stopped
	Err    error // from closing the deployment
}

// withDefaults fills in what was left zero.
func (c Config) withDefaults() Config {
	c.PrepareTimeout = orDefault(c.PrepareTimeout, 2*time.Minute)
	c.RetireAfter = orDefault(c.RetireAfter, time.Hour)
	c.MaxRetired = orDefault(c.MaxRetired, 16)
	c.CloseTimeout = orDefault(c.CloseTimeout, 5*time.Second)
	c.MaxWaiters = orDefault(c.MaxWaiters, 8)
	c.PrepareParallel = orDefault(c.PrepareParallel, min(max(2, runtime.GOMAXPROCS(0)), 4))
	c.StartWait = orDefault(c.StartWait, 10*time.Second)
	c.MaxStartWait = orDefault(c.MaxStartWait, 1024)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Events = c.Events.filled()
	return c
}

func orDefault[T ~int | ~int64](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// check panics on what only a mistake in the program can cause.
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
		if seen[k.Name()] {
			panic(fmt.Sprintf("deploy: two kinds are called %q", k.Name()))
		}
		seen[k.Name()] = true
	}
}

// filled replaces nil functions by ones that do nothing.
func (e Events) filled() Events {
	if e.Deployed == nil {
		e.Deployed = func(Result) {}
	}
	if e.Removed == nil {
		e.Removed = func(registry.Prefix) {}
	}
	if e.Unavailable == nil {
		e.Unavailable = func(registry.Prefix, error) {}
	}
	if e.Retired == nil {
		e.Retired = func(registry.Prefix, registry.Generation, Drain) {}
	}
	if e.Collected == nil {
		e.Collected = func([]registry.Digest) {}
	}
	if e.Scaled == nil {
		e.Scaled = func(registry.Prefix, services.Scale, error) {}
	}
	return e
}

// guarded runs a kind's code so that a panic in it becomes an error: one bad kind must not end the server.
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
