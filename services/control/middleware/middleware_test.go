package middleware

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
)

// stub is a deployment whose methods are functions.
type stub struct {
	serve  func(w http.ResponseWriter, res *accesslog.Result) error
	before func(w http.ResponseWriter, res *accesslog.Result, next func() error) error
}

func (s stub) Status() services.Status                     { return services.Status{} }
func (s stub) Scale(context.Context, services.Scale) error { return nil }
func (s stub) Close(context.Context) error                 { return nil }

func (s stub) Serve(w http.ResponseWriter, _ *router.Request, res *accesslog.Result) error {
	return s.serve(w, res)
}

func (s stub) ServeBefore(w http.ResponseWriter, r *router.Request, res *accesslog.Result, next router.Handler) error {
	return s.before(w, res, func() error { return next.Serve(w, r, &accesslog.Result{}) })
}

// TestFailuresBehindAreRecorded checks that the record has the failure of the service, even if the middleware replaces it.
func TestFailuresBehindAreRecorded(t *testing.T) {
	failure := problem.New(problem.BadGateway, "d")
	unreachable := func(_ http.ResponseWriter, res *accesslog.Result) error {
		res.Outcome = accesslog.OutcomeUnreachable
		return failure
	}
	pass := func(_ http.ResponseWriter, _ *accesslog.Result, next func() error) error { return next() }
	for name, c := range map[string]struct {
		serve   func(http.ResponseWriter, *accesslog.Result) error
		before  func(http.ResponseWriter, *accesslog.Result, func() error) error
		err     error
		outcome accesslog.Outcome
		told    error
	}{
		"passed on": {serve: unreachable, before: pass, err: failure, outcome: accesslog.OutcomeUnreachable, told: failure},
		"answered in its place": {
			serve: unreachable,
			before: func(w http.ResponseWriter, _ *accesslog.Result, next func() error) error {
				if next() != nil {
					_, _ = io.WriteString(w, "a page")
				}
				return nil
			},
			outcome: accesslog.OutcomeUnreachable,
			told:    failure,
		},
		"the middleware's own": {
			serve: unreachable,
			before: func(_ http.ResponseWriter, res *accesslog.Result, next func() error) error {
				_ = next()
				res.Outcome = accesslog.OutcomeTrap
				return io.ErrUnexpectedEOF
			},
			err:     io.ErrUnexpectedEOF,
			outcome: accesslog.OutcomeTrap,
		},
		"a refusal that the service has written": {
			serve: func(_ http.ResponseWriter, res *accesslog.Result) error {
				res.Outcome, res.Err = accesslog.OutcomeNotFound, failure
				return nil
			},
			before:  pass,
			outcome: accesslog.OutcomeNotFound,
			told:    failure,
		},
		"none": {serve: func(http.ResponseWriter, *accesslog.Result) error { return nil }, before: pass},
	} {
		t.Run(name, func(t *testing.T) {
			chain := New([]services.Middleware{stub{before: c.before}, stub{before: pass}}, stub{serve: c.serve})
			var res accesslog.Result
			err := chain.Serve(httptest.NewRecorder(), &router.Request{Request: httptest.NewRequest("GET", "/", nil)}, &res)
			require.True(t, errors.Is(err, c.err), err)
			require.Equal(t, c.outcome, res.Outcome)
			require.Equal(t, c.told, res.Err)
		})
	}
}
