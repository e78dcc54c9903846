package wasm_test

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestMain fails if the tests leave a goroutine, a connection, a file or a compiling process behind.
func TestMain(m *testing.M) { os.Exit(servicetest.Main(m)) }

// server is a server with modules and the functions of a test.
type server struct {
	*servicetest.Server
	tb     testing.TB
	kind   *wasm.Kind
	client *http.Client // keeps connections
}

func newServer(tb testing.TB, cfg wasm.Config) *server {
	tb.Helper()
	return newServerWith(tb, cfg, nil)
}

// newServerWith returns a server that also has functions as services.
func newServerWith(tb testing.TB, cfg wasm.Config, functions servicetest.Handlers) *server {
	tb.Helper()
	cfg.Slots = cmp.Or(cfg.Slots, 64)
	s := &server{tb: tb, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	s.Server = servicetest.New(tb, servicetest.Config{
		Deploy: deploy.Config{
			Gate:   admission.NewGate(cfg.Slots),
			Limits: admission.Limits{Concurrency: cfg.Slots, Queue: 1000, Wait: 30 * time.Second},
		},
		Router: router.Config{
			MayReport: func(*router.Request, routekey.Key, []string) error { return nil },
			WorkUnit:  wasm.WorkUnit,
		},
	})
	cfg.CacheDir = cmp.Or(cfg.CacheDir, guests.CodeCache())
	_, measured := tb.(*testing.B)
	cfg.VerifyResets = !measured
	cfg.Blob, cfg.Dispatcher, cfg.Log = s.Registry.Blob, s.Router, s.Logger
	var err error
	s.kind, err = wasm.Open(context.Background(), cfg)
	require.NoError(tb, err)
	s.Start(s.kind, functions)
	tb.Cleanup(func() {
		s.client.CloseIdleConnections()
		s.Close() // everything that was opened comes back
		require.NotContains(tb, s.Log.String(), "an instance could not be handled")
	})
	return s
}

// module returns the spec of a service with a module.
func module(key string, m []byte, options ...servicetest.Option) services.Spec {
	return servicetest.Module(wasm.KindName, key, m, options...)
}

// add deploys a module. It waits until the version before is closed, if there is one.
func (s *server) add(key string, m []byte, options ...servicetest.Option) services.Deployment {
	s.tb.Helper()
	result := s.Deploy(module(key, m, options...))
	if !result.Created {
		s.AwaitRetired(key, result.Before.Generation)
	}
	return s.Deployment(key)
}

// refused returns the error of deploying a module that cannot be served.
func (s *server) refused(key string, m []byte, options ...servicetest.Option) error {
	s.tb.Helper()
	_, err := s.Add(s.tb.Context(), module(key, m, options...))
	require.Error(s.tb, err)
	return err
}

// Client returns a client that keeps connections and follows redirects.
func (s *server) Client() *http.Client { return s.client }

// do sends a request over a connection that is kept, with header fields given as "Name: value".
func (s *server) do(method, path, body string, headers ...string) servicetest.Answer {
	s.tb.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	a, err := servicetest.SendOver(s.client.Transport, s.Request(method, path, in, headers...))
	require.NoError(s.tb, err)
	return a
}

func (s *server) get(path string) servicetest.Answer { s.tb.Helper(); return s.do("GET", path, "") }

func newRequest(method, url, body string) (*http.Request, error) {
	return http.NewRequest(method, url, strings.NewReader(body))
}
