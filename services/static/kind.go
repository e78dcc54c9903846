package static

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/directory"
	"github.com/vespo-dev/vespo/services/internal/inflight"
	"github.com/vespo-dev/vespo/services/internal/options"
)

// KindName is the kind's name in specs and catalogues.
const KindName = "static"

// Config says what the kind may use.
type Config struct {
	// Root is the directory below which the directories of services are; nil: there can be no such service. It stays the caller's, and
	// must outlive the kind.
	Root *os.Root
	Log  *slog.Logger // default: none
}

// Kind implements services.Kind for static files. It holds nothing, and needs no Close.
type Kind struct {
	cfg Config // immutable
}

// New makes the kind.
func New(cfg Config) *Kind { return &Kind{cfg: cfg} }

// Name implements services.Kind.
func (k *Kind) Name() string { return KindName }

// Validate implements services.Kind. It looks for the directory and for the fallback, too.
func (k *Kind) Validate(s services.Spec) error {
	d, violations := k.check(s)
	if len(violations) == 0 {
		violations = k.look(d)
	}
	return invalid(violations)
}

// check gives the document of a spec, and all that is wrong in it.
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

// look finds out whether what the document names is there.
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

// invalid is the problem with all that is wrong, nil if nothing is.
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
