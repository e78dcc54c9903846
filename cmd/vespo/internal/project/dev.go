package project

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/server"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
)

// maxBuildTextBytes is how much of a failed build's output a browser is shown. It is the end of the output.
const maxBuildTextBytes = 64 << 10

// DevCmd serves a project during development. Create it with NewDevCmd.
type DevCmd struct {
	Dir    string `arg:"" optional:"" default:"." help:"Directory of the project (the current one)."`
	Prefix string `placeholder:"PREFIX" default:"/" help:"Path prefix to serve it under (${default})."`

	kong.Plugins  // the grants
	server.Config `embed:"" set:"access_log=short"`

	grants *flags.Fields `kong:"-"`
}

// NewDevCmd returns the command. Its flags are those for what a module may use besides its requests.
func NewDevCmd() DevCmd {
	fields := flags.NewFields(grants(), func(schema.Field) string { return "" })
	return DevCmd{Plugins: kong.Plugins{fields.Plugin()}, grants: fields}
}

// grants returns the fields for what a module may use: origins, settings and directories.
func grants() (fields []schema.Field) {
	for _, name := range []string{"allow", "config", "mount"} {
		f, _ := wasm.Description().Field(name)
		fields = append(fields, f)
	}
	return fields
}

// Validate is called by kong.
func (c *DevCmd) Validate() error {
	_, err := router.ParsePrefix(c.Prefix)
	return errors.Join(err, c.grants.Check(), c.Config.Validate())
}

// Run is called by kong.
func (c *DevCmd) Run(ctx context.Context, s stdio.Streams) (err error) {
	ctx, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // SIGHUP: the terminal was closed
	defer release()
	o := server.OpenOutputs(s, &c.Config)
	defer func() { err = o.Close(err) }()
	prefix, err := router.ParsePrefix(c.Prefix)
	if err != nil {
		return err
	}
	p, err := Open(c.Dir)
	if err != nil {
		return err
	}
	if err := p.Check(ctx); err != nil {
		return err
	}
	spec := services.Spec{
		Prefix:   registry.Prefix(prefix),
		Kind:     wasm.KindName,
		Manifest: schema.Values(c.grants.Given()).Manifest(),
	}
	d := &dev{project: p, spec: spec, terminal: o.Streams.Err}
	open := func(ctx context.Context, list *parts.List) error { return d.open(ctx, list, &c.Config) }
	return server.Run(ctx, &c.Config, o, release, server.Extension{Open: open, Handler: d.handler, Work: d.work})
}

// dev builds a project whenever its sources change, and deploys the module.
type dev struct {
	project  *Project      // immutable, like all below but out and page
	spec     services.Spec // without the module
	terminal io.Writer

	out  string     // path of the module; set by open
	page *buildPage // set by handler
}

// open creates a temporary directory, which the module goes into, and the data of the server unless cfg names a directory.
func (d *dev) open(ctx context.Context, list *parts.List, cfg *server.Config) error {
	var temp string
	if err := server.OpenTemp(ctx, list, "dev", &temp); err != nil {
		return err
	}
	d.out = filepath.Join(temp, d.project.ModuleName())
	if cfg.Data == "" {
		cfg.Data = filepath.Join(temp, "data")
	}
	return nil
}

// handler returns the server's handler behind the page of failed builds.
func (d *dev) handler(next http.Handler) http.Handler {
	d.page = &buildPage{prefix: d.spec.Prefix, next: next}
	return d.page
}

// work builds and deploys until ctx ends or the sources can no longer be watched.
func (d *dev) work(ctx context.Context, deployer *deploy.Deployer) error {
	watcher, err := d.project.Watch()
	if err != nil {
		fmt.Fprintf(d.terminal, "changes of the sources go unnoticed, start again after them: %s\n", err)
		d.refresh(ctx, deployer)
		<-ctx.Done()
		return nil
	}
	for err == nil {
		d.refresh(ctx, deployer)
		err = watcher.Wait(ctx)
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("watch the sources: %w", err)
}

// refresh builds and deploys once. On failure, the served version
// stays, and the error goes to the terminal and to browsers.
func (d *dev) refresh(ctx context.Context, deployer *deploy.Deployer) {
	text := &tail{limit: maxBuildTextBytes}
	log := io.MultiWriter(d.terminal, text)
	done, err := d.deploy(ctx, deployer, log)
	switch {
	case ctx.Err() != nil: // the server is stopping
	case err != nil:
		fmt.Fprintln(log, err)
		d.page.show(text.String())
		fmt.Fprintln(d.terminal, "the build failed; the last good version is served until a change of the sources mends it")
	default:
		d.page.clear()
		fmt.Fprintln(d.terminal, done)
	}
}

// deploy builds and deploys the project. It returns a line that describes the new version.
func (d *dev) deploy(ctx context.Context, deployer *deploy.Deployer, log io.Writer) (string, error) {
	sizeBytes, err := compile(ctx, d.project, d.out, log)
	if err != nil {
		return "", err
	}
	spec := d.spec
	module, err := regular.ReadFile(d.out, flags.MaxModuleBytes)
	if err != nil {
		return "", err
	}
	spec.Blobs = services.Module(module)
	result, err := deployer.Add(ctx, spec)
	if err != nil {
		return "", err
	}
	line := builtLine(filepath.Base(d.out), sizeBytes)
	return fmt.Sprintf("%s; %s serves generation %d", line, spec.Prefix, result.Service.Current.Generation), nil
}

// tail is a writer that keeps the last limit bytes.
type tail struct {
	limit int
	text  []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-t.limit):]
	return len(p), nil
}

func (t *tail) String() string { return string(t.text) }
