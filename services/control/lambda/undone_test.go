package lambda

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
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
