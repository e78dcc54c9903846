package static

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/directory"
	"github.com/vespo-dev/vespo/services/internal/inflight"
	"github.com/vespo-dev/vespo/services/schema"
)

// KindName is the kind's name in specs and catalogues.
const KindName = "static"

// Config configures the kind.
type Config struct {
	// Root contains the directories of all services. If nil, every spec is refused. The caller
	// keeps ownership. Root must outlive the kind.
	Root *os.Root
	Log  *slog.Logger // default: none
}

// Kind implements services.Kind for static files. It holds no resources and needs no Close.
type Kind struct {
	cfg Config // immutable
}

// New returns the kind.
func New(cfg Config) *Kind { return &Kind{cfg: cfg} }

// Describe implements services.Kind.
func (k *Kind) Describe() schema.Kind { return Description() }

// Validate implements services.Kind. It also checks that the directory and the fallback exist.
func (k *Kind) Validate(s services.Spec) error {
	d, violations := k.check(s)
	if len(violations) == 0 {
		violations = k.look(d)
	}
	return invalid(violations)
}

// check returns the document of a spec and all violations.
func (k *Kind) check(s services.Spec) (d Document, violations problem.Violations) {
	if k.cfg.Root == nil {
		violations.Add(fieldStatic, "is given, but this server has no directory to serve files from: start it with --root")
	}
	d, err := Decode(s.Manifest)
	if err != nil {
		return d, append(violations, problem.Violation{Text: err.Error()})
	}
	return d, append(violations, d.check()...)
}

// look checks that the directory and the fallback of the document exist.
func (k *Kind) look(d Document) (violations []problem.Violation) {
	opened, err := k.open(routekey.Key{}, d)
	if err != nil {
		return []problem.Violation{noDirectory(d)}
	}
	defer opened.Close()
	dir, err := opened.Acquire(false)
	if err != nil {
		return []problem.Violation{noDirectory(d)}
	}
	defer dir.Release()
	if d.Fallback == "" {
		return nil
	}
	if info, err := dir.Stat(filepath.FromSlash(d.Fallback)); err != nil || !info.Mode().IsRegular() {
		return []problem.Violation{problem.Violate(fieldFallback, "is %.100q: there is no such file in the directory", d.Fallback)}
	}
	return nil
}

func (k *Kind) open(service routekey.Key, d Document) (*directory.Directory, error) {
	return directory.Open(directory.Config{Root: k.cfg.Root, Name: d.Directory, Service: service.String(), Log: k.cfg.Log})
}

func noDirectory(d Document) problem.Violation {
	return problem.Violate(fieldStatic, "is %.100q: there is no such directory below the server's root", d.Directory)
}

// invalid returns a problem that lists the violations, or nil if there are none.
func invalid(violations []problem.Violation) error {
	return problem.Invalid(problem.BadRequest, "these files cannot be served", violations)
}

// Prepare implements services.Kind.
func (k *Kind) Prepare(_ context.Context, s services.Spec) (services.Deployment, error) {
	doc, violations := k.check(s)
	if err := invalid(violations); err != nil {
		return nil, err
	}
	dir, err := k.open(s.Key, doc)
	if err != nil {
		return nil, problem.New(problem.BadRequest, noDirectory(doc).String()).WithCause(err)
	}
	return &deployment{doc: doc, dir: dir, requests: inflight.New()}, nil
}

// Inert implements services.Inert: requests have no effects.
func (k *Kind) Inert() {}
