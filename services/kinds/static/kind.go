package static

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/directory"
	"github.com/vespo-dev/vespo/services/internal/inflight"
	"github.com/vespo-dev/vespo/services/internal/options"
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

// Name implements services.Kind.
func (k *Kind) Name() string { return KindName }

// Validate implements services.Kind. It also checks that the directory and the fallback exist.
func (k *Kind) Validate(s services.Spec) error {
	d, violations := k.check(s)
	if len(violations) == 0 {
		violations = k.look(d)
	}
	return invalid(violations)
}

// check returns the document of a spec and all violations.
func (k *Kind) check(s services.Spec) (d Document, violations []string) {
	if k.cfg.Root == nil {
		violations = append(violations, "static is given, but this server has no directory to serve files from: start it with --root")
	}
	d, err := Decode(s.Module)
	if err != nil {
		violations = append(violations, err.Error())
	} else {
		violations = append(violations, d.check()...)
	}
	return d, append(violations, options.Refuse(s.Options, "static files")...)
}

// look checks that the directory and the fallback of the document exist.
func (k *Kind) look(d Document) (violations []string) {
	opened, err := k.open("", d)
	if err != nil {
		return []string{noDirectory(d)}
	}
	defer opened.Close()
	dir, err := opened.Acquire(false)
	if err != nil {
		return []string{noDirectory(d)}
	}
	defer dir.Release()
	if d.Fallback == "" {
		return nil
	}
	if info, err := dir.Stat(filepath.FromSlash(d.Fallback)); err != nil || !info.Mode().IsRegular() {
		return []string{fmt.Sprintf("fallback is %.100q: there is no such file in the directory", d.Fallback)}
	}
	return nil
}

func (k *Kind) open(service registry.Prefix, d Document) (*directory.Directory, error) {
	return directory.Open(directory.Config{Root: k.cfg.Root, Name: d.Directory, Service: string(service), Log: k.cfg.Log})
}

func noDirectory(d Document) string {
	return fmt.Sprintf("static is %.100q: there is no such directory below the server's root", d.Directory)
}

// invalid returns a problem that lists the violations, or nil if there are none.
func invalid(violations []string) error {
	if len(violations) == 0 {
		return nil
	}
	p := problem.New(problem.BadRequest, "these files cannot be served")
	p.Violations = violations
	return p
}

// Prepare implements services.Kind.
func (k *Kind) Prepare(_ context.Context, s services.Spec) (services.Deployment, error) {
	doc, violations := k.check(s)
	if err := invalid(violations); err != nil {
		return nil, err
	}
	dir, err := k.open(s.Prefix, doc)
	if err != nil {
		return nil, problem.New(problem.BadRequest, noDirectory(doc)).WithCause(err)
	}
	return &deployment{doc: doc, dir: dir, requests: inflight.New()}, nil
}
