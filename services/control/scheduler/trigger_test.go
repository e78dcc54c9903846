package scheduler

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
)

func sorted(lines []string) []string { return slices.Sorted(slices.Values(lines)) }

// durableCopy copies the state to another directory, as a crash would leave it.
type durableCopy struct {
	from durable.FS
	to   string
}

func (c durableCopy) open() durable.FS { return durable.Dir(c.to) }

func (c durableCopy) copy(t *testing.T) durable.FS {
	t.Helper()
	data, err := c.from.ReadFile(stateName, maxStateBytes)
	require.NoError(t, err)
	to := c.open()
	f, err := to.Create(stateName, 0o600)
	require.NoError(t, err)
	_, err = f.Write(data)
	require.NoError(t, errors.Join(err, f.Close()))
	return to
}

func TestTrigger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy("/hello", "0 0 * * * POST /a", "0 1 * * * GET /b")
		w.deploy("/one", "0 0 * * *")
		w.serve = func(own router.Own, to http.ResponseWriter, r *http.Request) error {
			switch r.RequestURI {
			case "/hello/a":
				to.Header().Set("X-Request-Id", "7")
				to.WriteHeader(http.StatusTeapot)
				_, err := io.WriteString(to, strings.Repeat("x", keptAnswerBytes+1))
				return err
			case "/hello/b":
				for {
					if _, err := io.WriteString(to, strings.Repeat("x", 1<<20)); err != nil {
						return problem.New(problem.Internal, "no more").WithCause(err)
					}
				}
			}
			return problem.New(problem.NoCapacity, "all busy").WithCause(errors.New("host internals"))
		}
		s, end := w.begin(Config{})
		defer end()
		pass(time.Second)
		for _, which := range []string{"1", "0 0 * * * POST /a", " 0  0 * * *  POST /a"} {
			a, err := s.Trigger(t.Context(), hello(), which)
			require.NoError(t, err)
			require.Equal(t, []any{TriggerManual, OutcomeFailed, 418, "7", true, keptAnswerBytes}, []any{a.Trigger, a.Outcome, a.Status, a.RequestID, a.Truncated, len(a.Body)})
			require.Equal(t, "00:00:01", a.Time.Format("15:04:05"))
		}
		a, err := s.Trigger(t.Context(), hello(), "2")
		require.NoError(t, err)
		require.Equal(t, []any{OutcomeFailed, 200, errAnswerTooLong.Error()}, []any{a.Outcome, a.Status, a.Detail})
		a, err = s.Trigger(t.Context(), routekey.MustParse("/one"), "")
		require.NoError(t, err)
		require.Equal(t, []any{OutcomeFailed, 503}, []any{a.Outcome, a.Status})
		require.Contains(t, a.Detail, "all busy")
		require.NotContains(t, a.Detail, "internals")
		for _, c := range []struct {
			key, which string
			kind       problem.Kind
			text       string
		}{
			{"/hello", "", problem.BadRequest, `1, "0 0 * * * POST /a"; 2, "0 1 * * * GET /b"`},
			{"/hello", "3", problem.NotFound, `has no schedule "3"`},
			{"/none", "1", problem.NotFound, "there is no service at /none"},
		} {
			_, err := s.Trigger(t.Context(), routekey.MustParse(c.key), c.which)
			require.Equal(t, c.kind, problem.From(err).Kind())
			require.Contains(t, problem.From(err).Detail, c.text)
		}
		require.Equal(t, Counts{Runs: 3, Failed: 3}, s.Status(hello())[0].Counts)
	})
}

// A user who does not wait for the end does not end the run.
func TestTriggerGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slow(time.Minute)
		w.deploy("/hello", "0 0 * * *")
		s, end := w.begin(Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Trigger(ctx, hello(), "")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, s.Status(hello())[0].Running)
		pass(time.Minute)
		require.Equal(t, OutcomeOK, s.Status(hello())[0].Last.Outcome)
		end()
	})
}
