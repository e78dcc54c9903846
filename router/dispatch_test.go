package router

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// TestDispatchRendersNothing checks that a caller within the server gets the handler's error itself.
func TestDispatchRendersNothing(t *testing.T) {
	own := errors.New("own")
	for name, c := range map[string]struct {
		path    string
		serve   HandlerFunc
		aborted bool
		kind    problem.Kind
		status  int
		outcome accesslog.Outcome
	}{
		"problem": {
			path: "/a/x",
			serve: func(w http.ResponseWriter, _ *Request, res *accesslog.Result) error {
				w.Header().Set("Set-Cookie", "from=guest")
				res.Outcome = accesslog.OutcomeUnreachable
				return problem.New(problem.BadGateway, "d").WithCause(own)
			},
			kind:    problem.BadGateway,
			status:  502,
			outcome: accesslog.OutcomeUnreachable,
		},
		"panic": {
			path:    "/a",
			serve:   func(http.ResponseWriter, *Request, *accesslog.Result) error { panic(own) },
			kind:    problem.Internal,
			status:  500,
			outcome: accesslog.OutcomeHostError,
		},
		"broken off": {
			path: "/a",
			serve: func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
				_, err := io.WriteString(w, "part")
				return errors.Join(err, own)
			},
			aborted: true,
			kind:    problem.Internal,
			status:  200,
			outcome: accesslog.OutcomeHostError,
		},
		"no service": {path: "/b", kind: problem.NotFound, status: 404, outcome: accesslog.OutcomeNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, Config{}, binding("/a", c.serve))
			w := httptest.NewRecorder()
			err := h.Dispatch("/a", w, httptest.NewRequest("GET", c.path, nil), nil)
			require.Equal(t, c.aborted, errors.Is(err, http.ErrAbortHandler))
			require.Equal(t, c.kind, problem.From(err).Kind(), err)
			if c.serve != nil {
				require.ErrorIs(t, err, own)
			}
			if !c.aborted {
				require.Empty(t, w.Body.String())
				require.Empty(t, w.Header()["Set-Cookie"])
			}
			rec := h.record()
			require.Equal(t, []string{rec.RequestID}, w.Header()[RequestIDHeader])
			require.Equal(t, c.status, rec.Status)
			require.Equal(t, c.outcome, rec.Outcome)
		})
	}
}

func TestDispatchPassesTheCall(t *testing.T) {
	h := newHouse(t, Config{}, binding("/a", func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		_, err := io.WriteString(w, r.Call.(string))
		return err
	}))
	w := httptest.NewRecorder()
	require.NoError(t, h.Dispatch("/a", w, httptest.NewRequest("GET", "/a", nil), "call"))
	require.Equal(t, "call", w.Body.String())
}
