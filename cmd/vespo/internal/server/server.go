package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
)

// drainTimeout is how long a stopping server waits for the requests in flight.
const drainTimeout = 30 * time.Second

// When the server stops, requests on their way are still answered.
const (
	// lingerTime is how long idle connections stay open for that.
	lingerTime = time.Second
	// refuseTime is the end of lingerTime, in which no new connections are opened,
	// and those being opened are accepted. It allows for a round trip to a client.
	refuseTime = 100 * time.Millisecond
)

// server is a server between its opening and the end of its drain. All that it owns, with
// the goroutines, is in list: the core, the surfaces, and the work in the background.
type server struct {
	cfg          *Config     // immutable, like all below except the results of open
	list         *parts.List // made with the context of run
	drainTimeout time.Duration
	release      context.CancelFunc // restores default signal handling: the next signal ends the process
	streams      stdio.Streams
	log          *slog.Logger
	access       access

	succession *succession // set before serve; nil: the server neither takes over nor hands over

	interactive bool // standard error is a terminal; set before serve

	// Set before serve; may be nil. It opens what the command needs, before all other parts.
	before func(ctx context.Context, list *parts.List) error

	// Set before run; each may be nil.
	announce func(net.Addr)                       // takes the place of the line with the address
	handler  func(next http.Handler) http.Handler // wraps the public handler
	declare  func(ctx context.Context) error      // applies the configuration file before the server is ready
	work     func(ctx context.Context) error      // runs while the server serves, until its context ends; its error ends the server

	loaded bool // load was called

	dirs     *dirs // set by open, like all below
	core     *core
	surfaces []*surface // the public one first
}

// newServer returns a server which has opened nothing yet. ctx is that of its run.
func newServer(ctx context.Context, cfg *Config, streams stdio.Streams, log *slog.Logger) *server {
	return &server{
		cfg:          cfg,
		list:         parts.New(ctx),
		drainTimeout: drainTimeout,
		release:      func() {},
		streams:      streams,
		log:          log,
	}
}

// serve runs the server until ctx ends or a part of it fails. prepare is called before the listeners are opened.
func (s *server) serve(ctx context.Context, prepare func(context.Context, *server) error) (err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	if s.before != nil {
		if err := s.before(ctx, s.list); err != nil {
			return err
		}
	}
	if err := s.succession.awaitTurn(ctx, s.cfg); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := prepare(ctx, s); err != nil {
		return err
	}
	for _, problem := range grouped(s.core.problems) {
		s.log.Warn("found at the start", "problem", problem)
	}
	return s.run(ctx)
}

// open opens all that needs no listener.
func (s *server) open(ctx context.Context) (err error) {
	if s.dirs, err = openDirs(ctx, s.list, s.cfg); err != nil {
		return err
	}
	s.core, err = wire(ctx, s.list, s.cfg, s.dirs.data, s.log, s.access)
	return dataError(s.dirs.data, err)
}

// close closes all parts that are open, as far as run has not done so.
func (s *server) close() error { return s.list.Close(s.drainTimeout) }

// run serves until ctx ends or a part fails. Then it drains and closes all parts.
func (s *server) run(signalled context.Context) error {
	ctx := s.list.Context()
	err := s.load(ctx) // before the first connection, so that requests wait for services
	if err == nil {
		err = s.listen(ctx)
	}
	for _, f := range s.surfaces {
		s.core.listening.add(f.listener)
	}
	if err == nil {
		err = s.start(ctx, s.surfaces[0].listener.Addr())
	}
	if err == nil {
		err = s.openBackground(ctx)
	}
	if err == nil {
		s.serveUntil(ctx)
	}
	if ctx.Err() != nil {
		s.release() // before the log announces it
		s.log.Info("draining; a second signal ends the server at once", "cause", context.Cause(ctx), "delay", s.cfg.ShutdownDelay, "at_most", s.drainTimeout)
		if err == nil && signalled.Err() != nil {
			s.leave()
		}
		err = nil // interrupting the start is not a failure
	}
	s.core.observer.stopFollowers()
	s.core.feed.Stop()
	s.core.deployer.BeginClose() // otherwise a deploy request would last as long as its compilation
	return errors.Join(err, s.close())
}

// listen opens the listeners, and serves on them.
func (s *server) listen(ctx context.Context) error {
	var handler http.Handler = s.core.handler
	if s.handler != nil {
		handler = s.handler(handler)
	}
	management, err := s.listenAdmin(ctx) // first, so that it is closed last: it shows what a drain waits for
	if err != nil {
		return err
	}
	public := newSurface("the public server", handler, s.drainTimeout, s.log)
	if s.cfg.ProxyProtocol {
		public.server.ConnContext = withRelay
	}
	connections := s.cfg.publicConnections(s.log)
	connections.TLS = s.core.security.of(onPublic, s.cfg.Listen, "h2", "http/1.1")
	if err := public.open(ctx, s.list, s.cfg.Listen, connections, s.cfg.FastLane == laneOn); err != nil {
		return err
	}
	s.surfaces = append(s.surfaces, public)
	s.core.lane.Store(public.lane)
	defer func() {
		if management != nil {
			s.surfaces = append(s.surfaces, management)
		}
	}()
	s.core.public.Store(s.url(public.listener.Addr().String()))
	if err := s.listenForRedirects(ctx, public.listener.Addr()); err != nil {
		return err
	}
	if s.core.lambda == nil {
		return nil
	}
	api := newSurface("the Lambda API", s.core.lambda, s.drainTimeout, s.log)
	api.server.Protocols = new(http.Protocols)
	api.server.Protocols.SetHTTP1(true)
	connections = s.cfg.connections("--lambda-listen", s.log)
	connections.TLS = s.core.security.of(onLambda, s.cfg.LambdaListen, "http/1.1")
	if err := api.open(ctx, s.list, s.cfg.LambdaListen, connections, false); err != nil {
		return fmt.Errorf("%s: %w", api.name, err)
	}
	s.surfaces = append(s.surfaces, api)
	fmt.Fprintf(s.streams.Err, "%s on %s://%s\n", api.name, scheme(connections.TLS != nil), api.listener.Addr())
	return nil
}

// openBackground starts the work besides requests.
func (s *server) openBackground(ctx context.Context) error {
	s.core.trimmer.want() // memory left from starting
	for _, p := range []parts.Part{
		{Name: "the idle loop", Run: func(ctx context.Context) error { s.core.deployer.RunIdle(ctx); return nil }},
		s.core.timesPart(),
		{Name: "the trimmer of the heap", Run: func(ctx context.Context) error { s.core.trimmer.run(ctx, debug.FreeOSMemory); return nil }},
		s.core.observer.part(),
		s.core.canariesPart(),
		s.core.mirrorsPart(),
		s.core.followPart(),
		s.core.followerPart(),
		{Name: "the work in the background", Run: s.work},
	} {
		if err := s.list.Open(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// leave announces to clients and load balancers that the server is about to stop, and keeps serving until
// they had time to notice: for ShutdownDelay, and then while connections are open, up to lingerTime.
// Clients may connect at any moment until the kernel refuses them.
func (s *server) leave() {
	s.core.leave()
	for _, f := range s.surfaces {
		f.leaving.Store(true)
	}
	if s.cfg.ShutdownDelay > 0 {
		<-time.After(s.cfg.ShutdownDelay)
	}
	s.core.deployer.BeginClose() // otherwise a compilation would be waited for
	s.linger(lingerTime - refuseTime)
	refused := false
	for _, f := range s.surfaces {
		refused = f.listener.Refuse() || refused
	}
	if refused {
		<-time.After(refuseTime)
	}
}

// start prepares all services and announces when the last is ready. Ready services are served meanwhile.
func (s *server) start(ctx context.Context, addr net.Addr) error {
	if !s.manageable(addr) {
		fmt.Fprintf(s.streams.Err, "management is off on %s, as other machines reach it and there is no --admin-token\n", addr)
	}
	if err := s.startServices(ctx, addr); err != nil {
		return err
	}
	var demo *demo
	if s.cfg.Demo {
		began := time.Now()
		fmt.Fprintln(s.streams.Err, "compiling the services of the demo")
		var err error
		if demo, err = addDemo(ctx, s.core.deployer, s.cfg, s.dirs.temp); err != nil {
			return err
		}
		fmt.Fprintf(s.streams.Err, "compiled them in %.1f s\n", time.Since(began).Seconds())
	}
	if s.announce != nil {
		s.announce(addr)
	} else {
		fmt.Fprintf(s.streams.Err, "listening on %s\n", s.url(addr.String()))
	}
	s.tellReady()
	if demo != nil {
		demo.explain(s.streams.Err, s.url(Reachable(addr)))
	}
	s.guide(s.streams.Err, addr)
	return nil
}

// load publishes the services of the catalogue, as ones that start. Requests for them wait.
func (s *server) load(ctx context.Context) error {
	if s.loaded {
		return nil
	}
	s.loaded = true
	return s.core.deployer.Load(ctx)
}

// startServices prepares the services of the catalogue, and applies the configuration file at the same time.
func (s *server) startServices(ctx context.Context, addr net.Addr) error {
	d := s.core.deployer
	if err := s.load(ctx); err != nil {
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
