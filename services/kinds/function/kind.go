package function

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/kinds/function/internal/packages"
	"github.com/vespo-dev/vespo/services/schema"
)

// KindName is the kind's name in specs and catalogues.
const KindName = "function"

// MaxTimeout is the longest deadline of an invocation that a service may request.
const MaxTimeout = time.Hour

// Config configures the kind. Zero fields take their defaults.
type Config struct {
	Timeout time.Duration // deadline of an invocation for services without one; default 10 s
	// StartTimeout bounds the time until a process requests its
	// first event, and the time between two events; default 10 s.
	StartTimeout time.Duration
	AllowExec    bool         // start programs for all deployments, not only for the server's own configuration
	NoExec       bool         // start none, not even for the server's own configuration, because its user did not name it
	HeldBytes    int64        // memory for events and outputs of all functions; default 256 MiB
	Packages     string       // absolute path of a directory for unpacked packages; empty: packages are not supported
	LogRate      int64        // bytes per second that a function's processes may log on average; 0: unlimited
	Log          *slog.Logger // for worker events; default: discard
}

// Kind implements services.Kind for functions. Deployments own its resources, so it has no Close.
type Kind struct {
	cfg      Config          // immutable
	budget   *budget.Budget  // immutable
	unpacked *packages.Cache // immutable; nil: packages are not supported

	mu        sync.Mutex
	endpoints map[routekey.Key][]*endpoint // guarded by mu; more than one while a port changes
}

// New returns a kind with the given configuration.
func New(cfg Config) *Kind {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = 10 * time.Second
	}
	if cfg.HeldBytes == 0 {
		cfg.HeldBytes = 256 << 20
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	k := &Kind{cfg: cfg, budget: budget.New(cfg.HeldBytes), endpoints: make(map[routekey.Key][]*endpoint)}
	if cfg.Packages != "" {
		k.unpacked = packages.New(durable.Dir(cfg.Packages))
	}
	return k
}

// Describe implements services.Kind.
func (k *Kind) Describe() schema.Kind { return Description() }

// Validate implements services.Kind. It does not check whether the port is free. Prepare does.
func (k *Kind) Validate(s services.Spec) error {
	_, err := k.check(s)
	return err
}

// check returns the document of a spec, or a problem that lists all violations.
func (k *Kind) check(s services.Spec) (Document, error) {
	d, err := Decode(s.Manifest)
	if err != nil {
		return d, problem.New(problem.BadRequest, err.Error())
	}
	violations := d.check()
	switch {
	case d.Package != "" && len(violations) == 0:
		violations = append(violations, k.checkPackage(s, d)...)
	case d.Package == "":
		violations = append(violations, k.checkExec(s, d)...)
	}
	return d, problem.Invalid(problem.BadRequest, "the function is invalid", violations)
}

// Prepare implements services.Kind. It opens the Runtime API unless another version of
// the service has it open already. So workers may connect before the first request.
func (k *Kind) Prepare(ctx context.Context, s services.Spec) (services.Deployment, error) {
	doc, err := k.check(s)
	if err != nil {
		return nil, err
	}
	if doc.Package != "" {
		release, err := k.unpack(ctx, s, &doc)
		if err != nil {
			return nil, err
		}
		d := newDeployment(k, s, newProcesses(k, s, doc))
		d.release = release
		return d, nil
	}
	if doc.Exec != "" {
		return newDeployment(k, s, newProcesses(k, s, doc)), nil // processes are started by requests
	}
	e, err := k.open(ctx, s.Key, doc.RuntimePort)
	if err != nil {
		return nil, err
	}
	return newDeployment(k, s, &workers{kind: k, endpoint: e, loops: doc.Loops}), nil
}

// checkExec returns the reasons why the server may not start the program. A deploy token does not allow
// running programs: unless Config.AllowExec is set, they come from the server's own configuration only.
func (k *Kind) checkExec(s services.Spec, d Document) []problem.Violation {
	switch {
	case d.Exec == "":
		return nil
	case k.refusesExec(s) != nil:
		return k.refusesExec(s)
	}
	info, err := os.Stat(d.Exec)
	if err != nil || !info.Mode().IsRegular() || runtime.GOOS != "windows" && info.Mode()&0o111 == 0 {
		return refuse(fieldExec, "is %.200q: there is no such program on the server's machine", d.Exec)
	}
	return nil
}

func refuse(field, format string, args ...any) []problem.Violation {
	return []problem.Violation{problem.Violate(field, format, args...)}
}

// refusesExec returns why the server starts no programs for the deployment, or nil.
func (k *Kind) refusesExec(s services.Spec) []problem.Violation {
	switch {
	case k.cfg.NoExec:
		return refuse(fieldExec, "is given, but this server starts no programs, as its configuration file was only found: name the file with --config-file, or give --allow-exec")
	case k.cfg.AllowExec || s.Trusted():
		return nil
	}
	return refuse(fieldExec, "is given, but this server starts no programs for deployers: start it with --allow-exec, or declare the service in its configuration file")
}
