package lambda

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/event/invocation"
)

// TestFailuresOfDispatch checks that an error of the dispatch is reported by its origin: a failure of the function, with
// status 200, or one of the server.
func TestFailuresOfDispatch(t *testing.T) {
	own := &invocation.Error{Type: "Own", Message: "m"}
	full := problem.New(problem.NoCapacity, "busy")
	full.RetryAfter = 7 * time.Second
	for name, c := range map[string]struct {
		full    bool
		err     error
		failed  string // type of the function's failure
		refused string // type of the server's
		status  int
	}{
		"none":                    {},
		"of the function":         {err: problem.New(problem.BadGateway, "d").WithCause(own), failed: "Own"},
		"of a function that sent": {err: fmt.Errorf("%w: %w", http.ErrAbortHandler, own), failed: "Own"},
		"broken off":              {err: fmt.Errorf("%w: %w", http.ErrAbortHandler, errors.New("x")), failed: "Runtime.TruncatedResponse"},
		"too long":                {full: true, err: http.ErrAbortHandler, failed: "Function.ResponseSizeTooLarge"},
		"no capacity":             {err: full, refused: "TooManyRequestsException", status: 429},
		"not ready":               {err: problem.New(problem.NotReady, "d"), refused: "ServiceException", status: 503},
		"of the host":             {err: errors.New("secret"), refused: "ServiceException", status: 500},
	} {
		t.Run(name, func(t *testing.T) {
			failed, err := failedOf(&call{}, c.full, c.err)
			if c.failed == "" {
				require.Nil(t, failed)
			} else {
				require.Equal(t, c.failed, failed.Type)
			}
			if c.refused == "" {
				require.NoError(t, err)
				return
			}
			f := failureOf(err)
			require.Equal(t, c.refused, f.errorType)
			require.Equal(t, c.status, f.status)
			require.NotContains(t, f.message, "secret")
			if c.err == full {
				require.Equal(t, full.RetryAfter, f.retryAfter, "it is not lost on the way")
			}
		})
	}
}
