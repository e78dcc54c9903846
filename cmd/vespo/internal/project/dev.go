package project

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/live"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/server"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
)

// DevCmd serves a project during development. Create it with NewDevCmd.
type DevCmd struct {
	Dir       string     `arg:"" optional:"" default:"." help:"Directory of the project (the current one)."`
	Listen    string     `placeholder:"HOST:PORT" default:"${listen}" help:"Address to listen on (${default})."`
	Prefix    string     `placeholder:"PREFIX" help:"Path prefix of the service (of vespo.json, or /)."`
	Root      string     `placeholder:"DIR" type:"path" help:"Directory of the directories that --mount names."`
	Reload    bool       `default:"true" negatable:"" help:"Add a script to HTML documents that reloads them."`
	Interpret bool       `default:"true" negatable:"" help:"Interpret a new version until it is compiled."`
	LogLevel  slog.Level `placeholder:"LEVEL" default:"info" help:"Least of debug, info, warn, error (${default})."`

	kong.Plugins // the grants

	grants *flags.Fields `kong:"-"`
	cfg    server.Config `kong:"-"` // set by Validate
}

// NewDevCmd returns the command. Its flags are those for what a module may use besides its requests.
func NewDevCmd() DevCmd {
	fields := flags.NewFields(grants(), func(schema.Field) string { return "" })
	return DevCmd{Plugins: kong.Plugins{fields.Plugin()}, grants: fields}
}

// grants returns the fields for what a module may use: origins, settings and directories. Their help is short.
func grants() (fields []schema.Field) {
	for _, g := range [...]struct{ name, help string }{
		{"allow", "Origin that the service may call."},
		{"config", "Setting or secret of the service."},
		{"mount", "Directory below --root to read."},
	} {
		f, _ := wasm.Description().Field(g.name)
		f.Help = g.help
		fields = append(fields, f)
	}
	return fields
}

// Help is called by kong.
func (c *DevCmd) Help() string {
	return "Memory, time limit and all else: vespo.json, see docs/guests/languages.md."
}

// BeforeResolve is called by kong.
func (c *DevCmd) BeforeResolve(ctx *kong.Context) error { return flags.Empty(ctx) }

// Validate is called by kong.
func (c *DevCmd) Validate() error {
	_, err := routekey.ParsePrefix(cmp.Or(c.Prefix, "/"))
	cfg, failed := server.Defaults()
	if failed != nil {
		return failed
	}
	cfg.Listen, cfg.Root, cfg.LogLevel, cfg.AccessLog = c.Listen, c.Root, c.LogLevel, "short"
	cfg.Interpret = c.Interpret
	cfg.AdminListen = "off" // the pages of the project show what there is
	c.cfg = cfg
	return errors.Join(err, c.grants.Check(), c.cfg.Validate())
}

// Run is called by kong.
func (c *DevCmd) Run(ctx context.Context, s stdio.Streams) (err error) {
	ctx, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // SIGHUP: the terminal was closed
	defer release()
	o := server.OpenOutputs(s, &c.cfg)
	defer func() { err = o.Close(err) }()
	p, err := Open(c.Dir)
	if err != nil {
		return err
	}
	if err := p.Check(ctx); err != nil {
		return err
	}
	prefix, err := routekey.ParsePrefix(cmp.Or(c.Prefix, p.prefix, "/"))
	if err != nil {
		return err
	}
	if memory, ok := p.service["memory"].(int64); ok {
		c.cfg.Memory = max(c.cfg.Memory, flags.Size((memory+pageBytes-1)/pageBytes*pageBytes))
	}
	d := &dev{
		dir:      p.dir,
		out:      p.ModuleName(),
		prefix:   prefix,
		given:    c.grants.Given(),
		terminal: o.Streams.Err,
		own:      regularFiles(s.Out, s.Err),
		quiet:    !s.Interactive(),
		skipped:  make(map[string]bool),
	}
	d.live = live.New(live.Config{
		Name:    p.name(),
		Prefix:  string(prefix),
		Reload:  c.Reload,
		Closing: ctx,
		Skipped: d.explainSkipped,
	})
	o.Log = slog.New(d.live.Feed.LogHandler(o.Log.Handler(), ownLevel(c.LogLevel)))
	d.log = o.Log
	fmt.Fprintf(d.terminal, "building %s; the address follows when it serves\n", p.name())
	return server.Run(ctx, &c.cfg, o, release, server.Extension{
		Open:     func(ctx context.Context, list *parts.List) error { return d.open(ctx, list, &c.cfg) },
		Handler:  d.live.Handler,
		Access:   d.live.Feed.Listen,
		Announce: d.announce,
		Work:     d.work,
	})
}

// regularFiles returns the regular files among the streams.
func regularFiles(streams ...io.Writer) (files []fs.FileInfo) {
	for _, stream := range streams {
		f, ok := stream.(*os.File)
		if !ok {
			continue
		}
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
		}
	}
	return files
}

// ownLevel returns the least level of the server's own lines. Those about each deploy repeat what dev prints.
func ownLevel(level slog.Level) slog.Level {
	if level == slog.LevelInfo {
		return slog.LevelWarn
	}
	return level
}

// pageBytes is the size of a WebAssembly page.
const pageBytes = 64 << 10
