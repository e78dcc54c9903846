package lambda

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/internal/access"
)

// moduleCatalogue has a service that is no function.
type moduleCatalogue struct{ ready }

func (moduleCatalogue) Inspect(routekey.Key) (deploy.Entry, error) {
	return deploy.Entry{Service: registry.Service{Current: registry.Version{Kind: "wasm"}}}, nil
}

func (moduleCatalogue) Record(string) registry.Record { return registry.Record{} }

// answers is a Dispatcher that returns an error, or answers 500 itself.
type answers struct{ err error }

func (a answers) Dispatch(_ routekey.Prefix, w http.ResponseWriter, _ *http.Request, _ any) error {
	if a.err == nil {
		w.WriteHeader(http.StatusInternalServerError)
	}
	return a.err
}

// TestEventsOfServicesThatAreNoFunctions checks that an event ends with an answer of its service, and not with one that the server gives in
// its place.
func TestEventsOfServicesThatAreNoFunctions(t *testing.T) {
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx                 context.Context
		err                 error
		retries             bool
		attempts, throttles int
	}{
		"own answer":      {},
		"about the event": {err: problem.New(problem.NotFound, "d")},
		"no capacity":     {err: problem.New(problem.NoCapacity, "d"), retries: true, throttles: 1},
		"not ready":       {err: problem.New(problem.NotReady, "d"), retries: true, throttles: 1},
		"elsewhere":       {err: problem.New(problem.NoHost, "d"), retries: true, throttles: 1},
		"trap":            {err: problem.New(problem.Trap, "d"), retries: true, attempts: 1},
		"of the host":     {err: errors.New("secret"), retries: true, attempts: 1},
		"cut off":         {ctx: cut, err: context.Canceled, retries: true, attempts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := New(Config{Catalogue: moduleCatalogue{}, Dispatcher: answers{c.err}})
			ctx := c.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			e := newEvent("e", `{"version":"2.0","rawPath":"/","requestContext":{"http":{"method":"GET","path":"/"}}}`)
			retry, final := h.carryOut(ctx, e)
			require.NoError(t, final)
			require.Equal(t, c.retries, retry > 0)
			require.Equal(t, c.attempts, e.Attempts)
			require.Equal(t, c.throttles, e.Throttles)
		})
	}
}

// TestEventsForOtherHosts checks that an event does not become a dead letter because hosts without its service have taken it.
func TestEventsForOtherHosts(t *testing.T) {
	for _, shared := range []bool{false, true} {
		h := New(Config{Catalogue: moduleCatalogue{}, Dispatcher: answers{problem.New(problem.NoHost, "d")}, Shared: shared})
		e := newEvent("e", `{"version":"2.0","rawPath":"/","requestContext":{"http":{"method":"GET","path":"/"}}}`)
		e.Throttles = maxThrottles
		retry, final := h.carryOut(t.Context(), e)
		require.Equal(t, shared, final == nil)
		require.Equal(t, shared, retry > 0)
	}
}

// loading is a catalogue whose services are being loaded.
type loading struct{ Catalogue }

func (loading) Ready() bool { return false }

// TestAServerThatIsLoadingHasNotFailed checks that clients are told to try again, without an error in the log.
func TestAServerThatIsLoadingHasNotFailed(t *testing.T) {
	var log bytes.Buffer
	h := New(Config{Catalogue: loading{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	s := httptest.NewUnstartedServer(h)
	s.Config.BaseContext = func(l net.Listener) context.Context { return access.WithListener(context.Background(), l.Addr()) }
	s.Start()
	resp, err := http.Post(s.URL+"/2015-03-31/functions/fn/invocations", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	s.Close()
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Equal(t, "1", resp.Header.Get("Retry-After"))
	require.Equal(t, "ServiceException", resp.Header.Get("X-Amzn-Errortype"))
	require.Contains(t, log.String(), "level=WARN")
	require.NotContains(t, log.String(), "level=ERROR")
}
