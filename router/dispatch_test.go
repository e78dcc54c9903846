package router

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
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

// TestDispatchOwnReachesOneService checks that neither a match nor a longer prefix is in the way of the server itself.
func TestDispatchOwnReachesOneService(t *testing.T) {
	answer := func(name string) HandlerFunc {
		return func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
			_, err := io.WriteString(w, name+" "+r.Rest+" "+r.Header.Get("Vespo-Schedule"))
			return err
		}
	}
	var bindings []Binding
	for _, key := range []string{"/", "/a", "/a Host: iam", "/a X-Beta: 1", "/a/b"} {
		b := binding("/", answer(key))
		b.Key, b.Service = routekey.MustParse(key), key
		bindings = append(bindings, b)
	}
	h := newHouse(t, Config{}, bindings...)
	for _, c := range []struct{ key, path, want string }{
		{"/a", "/a", "/a  now"},
		{"/a", "/a/b/c", "/a /b/c now"},
		{"/a Host: iam", "/a/b", "/a Host: iam /b now"},
		{"/a X-Beta: 1", "/a/x", "/a X-Beta: 1 /x now"},
		{"/", "/a/b", "/ /a/b now"},
		{"/a", "/ab", ""},
		{"/a", "/b", ""},
		{"/a Host: you", "/a", ""},
		{"/c", "/c", ""},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", c.path, nil)
		r.Header = http.Header{"Vespo-Schedule": {"forged"}}
		err := h.DispatchOwn(Own{Key: routekey.MustParse(c.key), Header: http.Header{"Vespo-Schedule": {"now"}}}, w, r)
		if c.want == "" {
			require.Equal(t, problem.NotFound, problem.From(err).Kind(), c.path)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, w.Body.String())
		require.Equal(t, http.Header{"Vespo-Schedule": {"forged"}}, r.Header, "the header of the caller is its own")
	}
	w := httptest.NewRecorder()
	require.NoError(t, h.DispatchOwn(Own{Key: routekey.MustParse("/a"), Call: 7}, w, httptest.NewRequest("GET", "/a", nil)))
	require.Equal(t, "/a  ", w.Body.String())
}

// TestSchedulesAreNotForged checks that neither clients nor services can claim to be a schedule.
func TestSchedulesAreNotForged(t *testing.T) {
	h := newHouse(t, Config{}, binding("/a", func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		for name := range r.Header {
			if strings.HasPrefix(strings.ToLower(name), "vespo") {
				return problem.New(problem.Internal, name)
			}
		}
		return nil
	}))
	for _, name := range []string{"Vespo-Schedule", "Vespo-Schedule-Time", "vespo_schedule", "Vespo.Schedule-Time", "VESPO-SCHEDULE"} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", h.server.URL+"/a", nil)
		require.NoError(t, err)
		r.Header[name] = []string{"* * * * *"}
		answer, err := h.server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusOK, answer.StatusCode, name)

		inside := httptest.NewRequest("POST", "/a", nil)
		inside.Header[http.CanonicalHeaderKey(name)] = []string{"* * * * *"}
		require.NoError(t, h.Dispatch("/a", httptest.NewRecorder(), inside, nil), name)
	}
}
