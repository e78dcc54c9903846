package server

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/dustin/go-humanize"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/version"
)

// ServeCmd runs a server until a signal stops it.
type ServeCmd struct {
	ConfigFile   string `placeholder:"FILE" type:"path" xor:"config" help:"Take settings that are not given as flags, and services, from this file; see docs/configuration.md (vespo.toml in the current directory, if there is one)."`
	NoConfigFile bool   `xor:"config" help:"Read no vespo.toml in the current directory."`

	Config `embed:""`

	source source // set by BeforeResolve
}

// NewServeCmd returns the command. open opens the engines of the program.
func NewServeCmd(open Openers) ServeCmd {
	var c ServeCmd
	c.equip(open)
	return c
}

// Run is called by kong.
func (c *ServeCmd) Run(ctx context.Context, s stdio.Streams) (err error) {
	ctx, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer release()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	o := OpenOutputs(s, &c.Config)
	defer func() { err = o.Close(err) }()
	if err := c.refuseServices(); err != nil {
		return err
	}
	c.FileRules = c.source.Path != ""
	c.NoExec = c.source.found && !c.AllowExec
	o.Log.Debug("configuration", "version", version.Read(), "flags", c.Config.String())
	if limit, ok := descriptorLimit(); ok {
		c.fitConnections(limit, o.Log)
	}
	asked, quiet := successionSignal()
	defer quiet()
	succession, err := openSuccession(asked)
	if err != nil {
		return err
	}
	c.sockets = succession.sockets
	srv := o.newServer(ctx, &c.Config, release)
	srv.succession = succession
	srv.before = openHeapFloor
	srv.interactive = s.Interactive()
	return srv.serve(ctx, func(ctx context.Context, s *server) error {
		return c.prepare(ctx, s, hangup)
	})
}

// prepare adds what "vespo serve" does besides serving: it reloads the configuration file.
func (c *ServeCmd) prepare(ctx context.Context, s *server, hangup <-chan os.Signal) error {
	if c.source.Path != "" {
		fmt.Fprintln(s.streams.Err, c.source)
	}
	fmt.Fprintln(s.streams.Err, ceilingLine(&c.Config, s.core.kind.CeilingBytes()))
	if c.source.Path == "" {
		s.work = func(ctx context.Context) error { ignoreHangup(ctx, hangup, s.log); return nil }
		return nil
	}
	r := &reloader{source: c.source, cfg: &c.Config, deployer: s.core.deployer, log: s.log, hangup: hangup}
	s.declare = r.start
	s.work = func(ctx context.Context) error { r.work(ctx); return nil }
	return r.openWatcher(ctx, s.list)
}

// ignoreHangup logs every SIGHUP until ctx ends. Without a configuration file there is nothing to reload.
func ignoreHangup(ctx context.Context, hangup <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-hangup:
			log.Info("SIGHUP is ignored: there is no configuration file to read again")
		case <-ctx.Done():
			return
		}
	}
}

// ceilingLine describes the most memory that guests can take, which is fixed from here on.
func ceilingLine(cfg *Config, ceilingBytes int64) string {
	line := fmt.Sprintf("memory ceiling %s (%d bytes): %d slots x %s", humanize.IBytes(uint64(ceilingBytes)), ceilingBytes, cfg.Slots, cfg.Memory)
	if rest := ceilingBytes - cfg.slabBytes(); rest > 0 {
		line += fmt.Sprintf(", and %s of spare slots", humanize.IBytes(uint64(rest)))
	}
	return line
}
