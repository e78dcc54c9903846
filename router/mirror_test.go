package router

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
)

// TestCopiesLeaveHalfOfTheServiceToRequests serves copies of a service that has few places, by a server that has many.
func TestCopiesLeaveHalfOfTheServiceToRequests(t *testing.T) {
	limiter := admission.NewGate(64).NewLimiter(admission.Limits{Concurrency: 4})
	var within func()
	route := NewRoute(Binding{
		Limiter: limiter,
		Handler: HandlerFunc(func(http.ResponseWriter, *Request, *accesslog.Result) error { within(); return nil }),
	})
	serve := func() bool {
		served, err := (&Copy{Route: route}).Serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		require.NoError(t, err)
		return served
	}
	for i, copies := range []int{0, 1, 1, 2} {
		most := i + 1
		limiter.Limit(most)
		began := 0
		within = func() {
			began++
			serve()
			require.LessOrEqual(t, limiter.Stats().InFlight, copies)
		}
		require.Equal(t, copies > 0, serve(), most)
		require.Equal(t, copies, began, "with a limit of %d", most)
		require.Zero(t, limiter.Stats().InFlight)
	}
}
