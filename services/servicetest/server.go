package servicetest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/lane"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
	"github.com/vespo-dev/vespo/registry/storetest"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
)

// Config configures a Server. The zero Config is valid.
type Config struct {
	Dir    string             // data directory; default: none, the catalogue is in memory
	Router router.Config      // AccessLog is called in addition to Records
	Deploy deploy.Config      // Registry, Router, Kinds and Log are set by the Server
	HTTP   func(*http.Server) // changes the HTTP server before it starts

	WrapStore func(registry.Store) registry.Store // replaces the store of the catalogue, such as by one that fails
}

// Server is a running server. Its methods fail the test if something goes wrong.
type Server struct {
	*deploy.Deployer // nil before Build

	URL  string // without a slash at the end; set by Listen, like Addr
	Addr string

	Store    *filestore.Store // nil without a data directory
	Registry *registry.Registry
	Blobs    registry.BlobStore // of Registry
	Router   *router.Router
	Logger   *slog.Logger // writes all levels to Log
	Log      *Log
	Records  *Records

	tb      testing.TB
	cfg     Config
	kinds   []services.Kind
	http    *http.Server
	lane    *lane.Server   // in front of http
	serving sync.WaitGroup // the goroutine of the HTTP server
	open    atomic.Int64   // requests whose handler has not returned
	clients sync.WaitGroup // requests of Begin
	closing sync.Once

	mu       sync.Mutex
	changed  *sync.Cond
	prepared map[routekey.Key]services.Deployment // guarded by mu; the last one
	retired  map[version]bool                     // guarded by mu
}

// version names a version of a service.
type version struct {
	key        routekey.Key
	generation registry.Generation
}

// New returns a Server that does not serve yet.
func New(tb testing.TB, cfg Config) *Server {
	tb.Helper()
	s := &Server{
		Log:      &Log{},
		Records:  newRecords(tb),
		tb:       tb,
		cfg:      cfg,
		prepared: make(map[routekey.Key]services.Deployment),
		retired:  make(map[version]bool),
	}
	s.changed = sync.NewCond(&s.mu)
	s.Logger = slog.New(slog.NewTextHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	tb.Cleanup(s.Close)
	s.openCatalogue(tb.Context())
	also := cfg.Router.AccessLog
	cfg.Router.AccessLog = func(rec *accesslog.Record) {
		s.Records.listen(rec)
		if also != nil {
			also(rec)
		}
	}
	s.Router = router.New(cfg.Router)
	return s
}

// openCatalogue opens the catalogue.
func (s *Server) openCatalogue(ctx context.Context) {
	s.tb.Helper()
	var store registry.Store = storetest.NewMemory(&registry.State{})
	var blobs registry.BlobStore = storetest.NewMemoryBlobs()
	if s.cfg.Dir != "" {
		var err error
		s.Store, err = filestore.Open(s.cfg.Dir)
		require.NoError(s.tb, err)
		store, blobs = s.Store, s.Store.Blobs()
	}
	if s.cfg.WrapStore != nil {
		store = s.cfg.WrapStore(store)
	}
	var problems []registry.Problem
	var err error
	s.Blobs = blobs
	s.Registry, problems, err = registry.Open(ctx, store, blobs)
	require.NoError(s.tb, err)
	require.Empty(s.tb, problems)
}

// Start builds the server and serves.
func (s *Server) Start(kinds ...services.Kind) *Server {
	s.tb.Helper()
	s.Build(kinds...)
	s.Listen()
	return s
}

// Build boots the Deployer with these kinds. The first kind that is a services.MiddlewareKind prepares the middleware,
// unless Config has one. The Server closes the kinds that have a Close method.
func (s *Server) Build(kinds ...services.Kind) {
	s.tb.Helper()
	s.kinds = kinds
	cfg := s.cfg.Deploy
	cfg.Registry, cfg.Router, cfg.Log = s.Registry, s.Router, s.Logger
	if cfg.Gate == nil {
		cfg.Gate = admission.NewGate(1 << 10)
		cfg.Limits = admission.Limits{Queue: 1 << 10, Wait: HangTimeout}
		s.cfg.Deploy.Gate = cfg.Gate
	}
	if cfg.PrepareTimeout == 0 {
		cfg.PrepareTimeout = 10 * time.Minute // the race detector compiles slowly
	}
	for _, k := range kinds {
		cfg.Kinds = append(cfg.Kinds, watched{k, s})
		if m, ok := k.(services.MiddlewareKind); ok && cfg.Middleware == nil {
			cfg.Middleware = m
		}
	}
	also := cfg.Events.Retired
	cfg.Events.Retired = func(key routekey.Key, g registry.Generation, d deploy.Drain) {
		if also != nil {
			also(key, g, d)
		}
		s.noteRetired(version{key, g})
	}
	s.Deployer = deploy.New(cfg)
	require.NoError(s.tb, s.Boot(s.tb.Context()))
}

// Listen serves HTTP on a loopback port.
func (s *Server) Listen() {
	s.tb.Helper()
	listener, err := new(net.ListenConfig).Listen(s.tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(s.tb, err)
	s.Addr = listener.Addr().String()
	s.URL = "http://" + s.Addr
	s.http = &http.Server{
		Handler:      s.Router,
		WriteTimeout: time.Hour, // as a real server has one, which kinds extend
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Protocols:    new(http.Protocols),
	}
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetUnencryptedHTTP2(true)
	if s.cfg.HTTP != nil {
		s.cfg.HTTP(s.http)
	}
	s.http.Handler = s.counted(s.http.Handler)
	s.lane = lane.New(s.http)                           // as in front of the public listener
	s.serving.Go(func() { _ = s.lane.Serve(listener) }) // ends with ErrServerClosed
}

// counted returns a handler that counts its requests.
func (s *Server) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.open.Add(1)
		defer s.open.Add(-1)
		h.ServeHTTP(w, r)
	})
}

// Close closes the connections, the services, the kinds and the catalogue, once. It checks that no request is left. The
// end of the test calls it.
func (s *Server) Close() { s.closing.Do(s.close) }

// close goes on after a failure, so that nothing is left for the check of leaks to find.
func (s *Server) close() {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), HangTimeout)
	defer cancel()
	if s.http != nil {
		assert.NoError(s.tb, errors.Join(s.lane.Close(), s.http.Close()))
		s.serving.Wait()
	}
	if s.Deployer != nil {
		assert.NoError(s.tb, s.Deployer.Close(ctx))
		idle := func() bool { return s.InFlight() == 0 && s.open.Load() == 0 }
		assert.Eventually(s.tb, idle, HangTimeout, time.Millisecond, "requests are in flight")
	}
	s.clients.Wait()
	for _, k := range s.kinds {
		assert.NoError(s.tb, closeKind(ctx, k))
	}
	if s.Store != nil {
		assert.NoError(s.tb, s.Store.Close())
	}
}

// closeKind closes a kind, if it has something to close.
func closeKind(ctx context.Context, k services.Kind) error {
	switch c := k.(type) {
	case io.Closer:
		return c.Close()
	case interface{ Close(context.Context) error }:
		return c.Close(ctx)
	}
	return nil
}

// InFlight returns the number of requests that are admitted and not answered.
func (s *Server) InFlight() (n int) {
	n = s.cfg.Deploy.Gate.Stats().InFlight
	for _, own := range s.cfg.Deploy.Admission {
		n += own.Gate.Stats().InFlight
	}
	return n
}

// watched is a kind whose deployments the server remembers.
type watched struct {
	services.Kind
	server *Server
}

// Prepare implements services.Kind.
func (w watched) Prepare(ctx context.Context, spec services.Spec) (services.Deployment, error) {
	d, err := w.Kind.Prepare(ctx, spec)
	if err == nil {
		w.server.mu.Lock()
		defer w.server.mu.Unlock()
		w.server.prepared[spec.Key] = d
	}
	return d, err
}
