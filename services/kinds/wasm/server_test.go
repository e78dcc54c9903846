package wasm

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
)

// server is a router on a loopback port with services of this kind, without a catalogue.
type server struct {
	*httptest.Server
	tb     testing.TB
	kind   *Kind
	gate   *admission.Gate
	router *router.Router
	log    *logLines

	mu      sync.Mutex
	blobs   map[registry.Digest][]byte
	routes  map[string]*router.Route
	records []accesslog.Record
}

func newServer(tb testing.TB, cfg Config) *server {
	tb.Helper()
	s := &server{tb: tb, blobs: map[registry.Digest][]byte{}, routes: map[string]*router.Route{}, log: &logLines{}}
	cfg.Blob = s.blob
	if base, err := os.UserCacheDir(); err == nil && cfg.CacheDir == "" {
		cfg.CacheDir = filepath.Join(base, "vespo-test-code") // the Go guests take seconds to compile
	}
	_, measured := tb.(*testing.B)
	cfg.VerifyResets = !measured
	cfg.Log = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	s.router = router.New(router.Config{AccessLog: s.record})
	cfg.Dispatcher = s.router
	s.kind, err = Open(context.Background(), cfg)
	require.NoError(tb, err)
	s.gate = admission.NewGate(s.kind.cfg.Slots)
	s.Server = httptest.NewUnstartedServer(s.router)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	tb.Cleanup(s.close)
	return s
}

func (s *server) close() {
	s.Server.Close()
	for _, r := range s.routes {
		require.NoError(s.tb, r.Handler.(services.Deployment).Close(context.Background()))
	}
	require.NoError(s.tb, s.kind.Close(context.Background()), "everything that was opened came back")
	require.NotContains(s.tb, s.log.String(), "an instance could not be handled")
}

func (s *server) blob(_ context.Context, d registry.Digest) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blobs[d], nil
}

func (s *server) record(r *accesslog.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, *r)
}

// lastRecord waits for the n-th access record and returns it.
func (s *server) lastRecord(n int) accesslog.Record {
	s.tb.Helper()
	var rec accesslog.Record
	require.Eventually(s.tb, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.records) < n {
			return false
		}
		rec = s.records[n-1]
		return true
	}, 10*time.Second, time.Millisecond)
	return rec
}

// add deploys a module at a prefix, replacing the previous one.
func (s *server) add(prefix string, module []byte, o registry.Options) *deployment {
	s.tb.Helper()
	d, err := s.prepare(prefix, module, o)
	require.NoError(s.tb, err)
	s.serve(prefix, d)
	return d
}

// serve routes the prefix to a deployment, and closes the previous one.
func (s *server) serve(prefix string, d services.Deployment) {
	s.tb.Helper()
	old := s.routes[prefix]
	s.routes[prefix] = router.NewRoute(router.Binding{Prefix: router.Prefix(prefix), Service: prefix, Handler: d,
		Limiter: s.gate.NewLimiter(admission.Limits{Concurrency: s.kind.cfg.Slots, Queue: 1000, Wait: 30 * time.Second})})
	var routes []*router.Route
	for _, r := range s.routes {
		routes = append(routes, r)
	}
	table, err := router.BuildTable(routes)
	require.NoError(s.tb, err)
	s.router.Publish(table)
	if old != nil {
		old.Retire()
		<-old.Drained()
		require.NoError(s.tb, old.Handler.(services.Deployment).Close(context.Background()))
	}
}

func (s *server) prepare(prefix string, module []byte, o registry.Options) (*deployment, error) {
	digest := registry.DigestOf(module)
	s.mu.Lock()
	s.blobs[digest] = module
	s.mu.Unlock()
	spec := specOf(prefix, module, o)
	if err := s.kind.Validate(spec); err != nil {
		return nil, err
	}
	d, err := s.kind.Prepare(context.Background(), spec)
	if err != nil {
		return nil, err
	}
	return d.(*deployment), nil
}

func specOf(prefix string, module []byte, o registry.Options) services.Spec {
	return services.Spec{Prefix: registry.Prefix(prefix), Kind: KindName, Digest: registry.DigestOf(module), Module: module, Options: o}
}

type answer struct {
	*http.Response
	body string
}

func (s *server) do(method, path, body string, header ...string) answer {
	s.tb.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, s.URL+path, in)
	require.NoError(s.tb, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := s.Client().Do(req)
	require.NoError(s.tb, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(s.tb, err)
	return answer{res, string(b)}
}

func (s *server) get(path string) answer { s.tb.Helper(); return s.do("GET", path, "") }

// logLines collects the log of the kind.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newRequest(method, url, body string) (*http.Request, error) {
	return http.NewRequest(method, url, strings.NewReader(body))
}
