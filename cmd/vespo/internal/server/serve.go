package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/conns"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/configfile"
	"github.com/vespo-dev/vespo/services/control/deploy"
)

// drainTimeout is how long a stopping server waits for the requests in flight.
const drainTimeout = 30 * time.Second

// defaultData is the data directory if none is given.
const defaultData = "vespo-data"

// ServeCmd runs a server until a signal stops it.
type ServeCmd struct {
	ConfigFile configFile `placeholder:"FILE" type:"path" help:"Take settings that are not given as flags, and services, from this file; see docs/configuration.md."`

	Config `embed:""`
}

// Run is called by kong.
func (c *ServeCmd) Run(ctx context.Context, s stdio.Streams) (err error) {
	ctx, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer release()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	o := OpenOutputs(s, c.LogLevel)
	defer func() { err = o.Close(err) }()
	s, log := o.Streams, o.Log
	defer raiseHeapFloor()()
	c.FileRules = c.ConfigFile != ""
	dirs, err := makeDirs(&c.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dirs.close()) }()
	log.Debug("configuration", "flags", c.Config.String())
	if limit, ok := descriptorLimit(); ok {
		c.fitConnections(limit, log)
	}
	p, err := wire(ctx, &c.Config, dirs.data, log, o.access(&c.Config))
	if err != nil {
		return err
	}
	fmt.Fprintln(s.Err, ceilingLine(&c.Config, p.kind.CeilingBytes()))
	for _, problem := range p.problems {
		log.Warn("found in the data directory", "problem", problem.String())
	}
	srv := &server{cfg: &c.Config, parts: p, dirs: dirs, drainTimeout: drainTimeout, release: release, streams: s, log: log}
	if c.ConfigFile == "" {
		srv.work = func(ctx context.Context) { ignoreHangup(ctx, hangup, log) }
		return srv.run(ctx)
	}
	r, end := c.reloader(p, hangup, log)
	defer end()
	srv.declare, srv.work = r.start, r.work
	return srv.run(ctx)
}

// ignoreHangup logs every SIGHUP until ctx ends. Without a configuration file there is nothing to reload.
func ignoreHangup(ctx context.Context, hangup <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-hangup:
			log.Info("SIGHUP is ignored: there is no --config-file to read again")
		case <-ctx.Done():
			return
		}
	}
}

// reloader returns the reloader of the configuration file, and a function that closes its watcher.
func (c *ServeCmd) reloader(p *parts, hangup <-chan os.Signal, log *slog.Logger) (r *reloader, end func()) {
	watcher := configfile.NewWatcher(func(err error) {
		log.Warn("the system does not report changes of the configuration: its files are looked at instead; SIGHUP reads them at once",
			"every", configfile.PollInterval, "error", err)
	})
	r = &reloader{path: string(c.ConfigFile), cfg: &c.Config, deployer: p.deployer, log: log, watcher: watcher, hangup: hangup}
	return r, func() { _ = watcher.Close() } // an error has no consequence
}

// ceilingLine describes the most memory that guests can take, which is fixed from here on.
func ceilingLine(cfg *Config, ceilingBytes int64) string {
	line := fmt.Sprintf("memory ceiling %s (%d bytes): %d slots x %s", humanize.IBytes(uint64(ceilingBytes)), ceilingBytes, cfg.Slots, cfg.Memory)
	if rest := ceilingBytes - cfg.slabBytes(); rest > 0 {
		line += fmt.Sprintf(", and %s of spare slots", humanize.IBytes(uint64(rest)))
	}
	return line
}

// access returns the access listener for cfg.
func (o *Outputs) access(cfg *Config) access {
	return access{listener: accessListener(cfg, o.out.Gathering(), o.Log), dropped: o.dropped}
}

// accessListener returns the listener for cfg, which writes records to out. If records are off, or
// in common format, which has no field for the cause of a failure, failed requests go to the log.
func accessListener(cfg *Config, out io.Writer, log *slog.Logger) accesslog.Listener {
	switch cfg.AccessLog {
	case "text":
		return accesslog.Slog(slog.New(slog.NewTextHandler(out, nil)))
	case "json":
		return accesslog.Slog(slog.New(slog.NewJSONHandler(out, nil)))
	}
	failures := accesslog.Failures(log)
	if cfg.AccessLog != "common" {
		return failures
	}
	records := accesslog.Common(out)
	return func(rec *accesslog.Record) {
		records(rec)
		failures(rec)
	}
}

// dirs are the directories of a server.
type dirs struct {
	data string
	temp string // for the demo, removed by close; else empty
}

// makeDirs chooses the data directory, and creates a temporary one for the demo.
func makeDirs(cfg *Config) (*dirs, error) {
	d := &dirs{data: cfg.Data}
	if cfg.Demo {
		temp, err := os.MkdirTemp("", "vespo-demo-")
		if err != nil {
			return nil, fmt.Errorf("make a temporary directory for the demo: %w", err)
		}
		d.temp = temp
		if d.data == "" {
			d.data = filepath.Join(temp, "data")
		}
	}
	if d.data == "" {
		d.data = defaultData
	}
	return d, nil
}

func (d *dirs) close() error {
	if d.temp == "" {
		return nil
	}
	return os.RemoveAll(d.temp)
}

// When the server stops, requests on their way are still answered.
const (
	// lingerTime is how long idle connections stay open for that.
	lingerTime = time.Second
	// refuseTime is the end of lingerTime, in which no new connections are opened,
	// and those being opened are accepted. It allows for a round trip to a client.
	refuseTime = 100 * time.Millisecond
)

// server is a running server. It owns parts and up to five goroutines: they accept connections,
// watch them, look for idle services, trim the heap, and run work. Each surface adds two or three.
type server struct {
	cfg          *Config // immutable, like all below
	parts        *parts
	declare      func(context.Context) error // applies the configuration file before the server is ready; may be nil
	work         func(context.Context)       // runs while the server serves, until its context ends; may be nil
	dirs         *dirs
	drainTimeout time.Duration      // for requests in flight, when stopping
	release      context.CancelFunc // restores default signal handling: the next signal ends the process
	streams      stdio.Streams
	log          *slog.Logger
}

// run serves until ctx ends or the listener fails. Then it drains and closes the parts.
func (s *server) run(ctx context.Context) error {
	listener, err := conns.Listen(ctx, s.cfg.Listen, s.cfg.publicConnections(s.log))
	if err != nil {
		return errors.Join(err, s.parts.close(ctx), s.parts.closeSurfaces())
	}
	s.parts.http.ConnState = listener.ConnState
	signalled := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	running, end := context.WithCancel(context.WithoutCancel(ctx)) // background work goes on until the drain
	defer end()
	watched, endWatch := context.WithCancel(context.WithoutCancel(ctx)) // connections are watched until the drain is over
	defer endWatch()
	var owned sync.WaitGroup
	var failed error // written by the first goroutine; read after owned.Wait
	owned.Go(func() {
		if err := s.parts.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed = fmt.Errorf("accept connections on %s: %w", listener.Addr(), err)
			cancel(failed)
		}
	})
	owned.Go(func() { listener.Watch(watched) })
	s.parts.public.Store("http://" + listener.Addr().String())
	if err = s.openSurfaces(running, watched, &owned, cancel); err == nil {
		err = s.start(ctx, listener.Addr())
	}
	if err == nil {
		owned.Go(func() { s.parts.deployer.RunIdle(running) })
		owned.Go(func() { s.parts.trimmer.run(running, debug.FreeOSMemory) })
		s.parts.trimmer.want() // memory left from starting
		if s.work != nil {
			owned.Go(func() { s.work(running) })
		}
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		s.release() // before the log announces it
		s.log.Info("draining; a second signal ends the server at once", "cause", context.Cause(ctx), "delay", s.cfg.ShutdownDelay, "at_most", s.drainTimeout)
		if err == nil && signalled.Err() != nil {
			s.leave(listener)
		}
		err = nil // interrupting the start is not a failure
	}
	cancel(nil)
	end()
	stopped := s.stop()
	endWatch()
	owned.Wait()
	return errors.Join(err, failed, stopped, s.parts.closeSurfaces())
}

// leave announces to clients and load balancers that the server is about to stop, and keeps serving until
// they had time to notice: for ShutdownDelay, and then while connections are open, up to lingerTime.
// Clients may connect at any moment until the kernel is told to refuse them.
func (s *server) leave(listener *conns.Listener) {
	s.parts.leave()
	for _, f := range s.parts.surfaces {
		f.leaving.Store(true)
	}
	if s.cfg.ShutdownDelay > 0 {
		<-time.After(s.cfg.ShutdownDelay)
	}
	s.parts.deployer.BeginClose() // otherwise a compilation would be waited for
	listeners := []*conns.Listener{listener}
	for _, f := range s.parts.surfaces {
		listeners = append(listeners, f.listener)
	}
	linger := func(d time.Duration) {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		for _, l := range listeners {
			l.Linger(ctx)
		}
	}
	linger(lingerTime - refuseTime)
	refused := false
	for _, l := range listeners {
		refused = l.Refuse() || refused
	}
	if refused {
		<-time.After(refuseTime)
	}
}

// openSurfaces opens the listeners besides the public one.
func (s *server) openSurfaces(ctx, watched context.Context, owned *sync.WaitGroup, cancel context.CancelCauseFunc) error {
	for _, f := range s.parts.surfaces {
		if err := f.open(ctx, watched, s, owned, cancel); err != nil {
			return err
		}
	}
	return nil
}

// start prepares all services and announces when the last is ready. Ready services are served meanwhile.
func (s *server) start(ctx context.Context, addr net.Addr) error {
	if !admin.Enabled(addr, s.cfg.AdminToken) {
		fmt.Fprintf(s.streams.Err, "management is off on %s, as other machines reach it and there is no --admin-token\n", addr)
	}
	if err := s.startServices(ctx, addr); err != nil {
		return err
	}
	var demo *demo
	if s.cfg.Demo {
		var err error
		if demo, err = addDemo(ctx, s.parts.deployer, s.cfg, s.dirs.temp); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.streams.Err, "listening on http://%s\n", addr)
	if demo != nil {
		demo.explain(s.streams.Err, addr)
	}
	return nil
}

// startServices prepares the services of the catalogue, and applies the configuration file at the same time.
func (s *server) startServices(ctx context.Context, addr net.Addr) error {
	d := s.parts.deployer
	if err := d.Load(ctx); err != nil {
		return err
	}
	if _, total := d.Progress(); total > 0 || s.declare != nil {
		s.log.Info("starting", "address", addr.String(), "services", total)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	started := make(chan error, 1)
	go func() { started <- d.Start(ctx) }() // received below, before returning
	var refused error
	if s.declare != nil {
		if refused = s.declare(ctx); refused != nil {
			cancel()
		}
	}
	err := <-started
	if refused != nil {
		return refused
	}
	if err == nil && s.declare != nil && slices.ContainsFunc(d.List(), brokenByFile) {
		return s.declare(ctx) // retries them, and returns the cause with its line
	}
	return err
}

// brokenByFile reports whether e is declared by the configuration file and could not be prepared.
func brokenByFile(e deploy.Entry) bool {
	return e.Problem != nil && e.Service.Current.Origin == registry.OriginFile
}

// stop closes the listeners, waits up to drainTimeout for
// requests in flight, cuts off the rest, and closes the parts.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.drainTimeout)
	defer cancel()
	s.parts.deployer.BeginClose() // otherwise a deploy request would last as long as its compilation
	var err error
	for _, f := range s.parts.surfaces {
		err = errors.Join(err, f.stop(ctx))
	}
	if err = errors.Join(err, s.parts.http.Shutdown(ctx)); err != nil {
		err = fmt.Errorf("requests were cut off that had not ended within %s", s.drainTimeout)
		_ = s.parts.http.Close() // its error concerns connections that are cut off anyway
	}
	return errors.Join(err, s.parts.close(ctx))
}
