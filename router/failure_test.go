package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
)

func TestErrorsOfHandlersBecomeProblems(t *testing.T) {
	secret := errors.New("secret of the host")
	for name, c := range map[string]struct {
		err     error
		kind    problem.Kind
		outcome accesslog.Outcome
	}{
		"no capacity": {problem.New(problem.NoCapacity, "d"), problem.NoCapacity, accesslog.OutcomeNoCapacity},
		"not ready":   {problem.New(problem.NotReady, "d"), problem.NotReady, accesslog.OutcomeNotReady},
		"not found":   {problem.New(problem.NotFound, "d"), problem.NotFound, accesslog.OutcomeNotFound},
		"refused":     {problem.New(problem.Conflict, "d"), problem.Conflict, accesslog.OutcomeRefused},
		"wrapped":     {fmt.Errorf("%w: %w", secret, problem.New(problem.NotReady, "d")), problem.NotReady, accesslog.OutcomeNotReady},
		"deadline":    {fmt.Errorf("%w: %w", secret, context.DeadlineExceeded), problem.Deadline, accesslog.OutcomeDeadline},
		"canceled":    {context.Canceled, problem.Internal, accesslog.OutcomeHostError}, // not caused by the client
		"any":         {secret, problem.Internal, accesslog.OutcomeHostError},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, Config{}, binding("/test", func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
				w.Header().Set("Set-Cookie", "from=guest")
				w.Header().Set("Content-Length", "3")
				return c.err
			}))
			answer, body := h.do("GET", "/test", nil)
			_, rec := h.requireProblem(c.kind, answer, body)
			require.Equal(t, c.outcome, rec.Outcome)
			require.ErrorIs(t, rec.Err, c.err)
			require.NotContains(t, string(body), "secret")
			require.Empty(t, answer.Header["Set-Cookie"], "a header of the answer that failed")
			require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
		})
	}
}

func TestHandlerKeepsItsOwnOutcomeAndError(t *testing.T) {
	own := errors.New("own")
	h := newHouse(t, Config{}, binding("/test", func(_ http.ResponseWriter, _ *Request, res *accesslog.Result) error {
		res.Outcome, res.Err = accesslog.OutcomeOutOfMemory, own
		return problem.New(problem.Trap, "")
	}))
	answer, body := h.do("GET", "/test", nil)
	_, rec := h.requireProblem(problem.Trap, answer, body)
	require.Equal(t, accesslog.OutcomeOutOfMemory, rec.Outcome)
	require.Equal(t, own, rec.Err)
}

func TestHeadersFromBeforeTheRouterSurviveAProblem(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		w.Header().Set("X-Outer", "changed by the guest")
		return errors.New("any")
	}))
	h.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Outer", "outer")
		h.ServeHTTP(w, r)
	}))
	answer, body := h.do("GET", "/test", nil)
	h.requireProblem(problem.Internal, answer, body)
	require.Equal(t, "outer", answer.Header.Get("X-Outer"))
}

func TestBodyOverItsLimit(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		_, err := io.ReadAll(client.NewBody(w, r.Request, client.Terms{Bytes: 10}))
		return err
	}))
	answer, body := h.do("POST", "/test", strings.NewReader("more than ten bytes"))
	detail, rec := h.requireProblem(problem.BodyTooLarge, answer, body)
	require.Contains(t, detail, "10 bytes")
	require.GreaterOrEqual(t, rec.BytesIn, int64(10))
}

func TestPanicsOfHandlers(t *testing.T) {
	for name, value := range map[string]any{"error": errors.New("secret"), "text": "secret", "nil": nil} {
		t.Run(name, func(t *testing.T) {
			limiter := admission.NewGate(1).NewLimiter(admission.Limits{})
			b := binding("/test", func(http.ResponseWriter, *Request, *accesslog.Result) error { panic(value) })
			b.Limiter = limiter
			h := newHouse(t, Config{Admin: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(value) })}, b)
			for _, path := range []string{"/test", "/services/add"} {
				answer, body := h.do("GET", path, nil)
				_, rec := h.requireProblem(problem.Internal, answer, body)
				require.NotContains(t, string(body), "secret")
				require.Equal(t, accesslog.OutcomeHostError, rec.Outcome)
				var panicked *PanicError
				require.ErrorAs(t, rec.Err, &panicked)
				require.Contains(t, string(panicked.Stack()), "TestPanicsOfHandlers")
			}
			h.requireAllReleased(limiter)
		})
	}
}

// requireAllReleased checks that finished requests hold neither capacity nor routes.
func (h *house) requireAllReleased(limiter *admission.Limiter) {
	h.t.Helper()
	require.Zero(h.t, limiter.Stats().InFlight)
	for _, route := range h.Table().Routes() {
		require.Zero(h.t, route.pins.Load())
		route.Retire()
		<-route.Drained()
	}
}

func TestConnectionIsAbortedOnceTheAnswerHasBegun(t *testing.T) {
	for name, c := range map[string]struct {
		end     func() error
		outcome accesslog.Outcome
	}{
		"error":  {func() error { return problem.New(problem.Deadline, "") }, accesslog.OutcomeDeadline},
		"panic":  {func() error { panic("secret") }, accesslog.OutcomeHostError},
		"abort":  {func() error { panic(http.ErrAbortHandler) }, accesslog.OutcomeAborted},
		"return": {func() error { return http.ErrAbortHandler }, accesslog.OutcomeAborted},
	} {
		t.Run(name, func(t *testing.T) {
			limiter := admission.NewGate(1).NewLimiter(admission.Limits{})
			b := binding("/test", func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
				_, _ = io.WriteString(w, "begun")
				if err := http.NewResponseController(w).Flush(); err != nil {
					return err
				}
				return c.end()
			})
			b.Limiter = limiter
			h := newHouse(t, Config{}, b)
			answer, err := h.server.Client().Get(h.server.URL + "/test")
			require.NoError(t, err)
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, "begun", string(body))
			rec := h.record()
			require.Equal(t, c.outcome, rec.Outcome)
			require.Equal(t, http.StatusOK, rec.Status)
			require.EqualValues(t, len("begun"), rec.BytesOut)
			h.requireAllReleased(limiter)
		})
	}
}

func TestAbortBeforeTheAnswerHasBegun(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", func(http.ResponseWriter, *Request, *accesslog.Result) error {
		panic(http.ErrAbortHandler)
	}))
	_, err := h.server.Client().Post(h.server.URL+"/test", "", nil)
	require.ErrorIs(t, err, io.EOF)
	rec := h.record()
	require.Zero(t, rec.Status)
	require.Equal(t, accesslog.OutcomeAborted, rec.Outcome)
}

func TestRecordIsEmittedAfterAllIsReleased(t *testing.T) {
	limiter := admission.NewGate(1).NewLimiter(admission.Limits{})
	b := binding("/test", say("x"))
	b.Limiter = limiter
	seen := make(chan [2]int64, 1)
	var route *Route
	rt := New(Config{AccessLog: func(*accesslog.Record) {
		seen <- [2]int64{int64(limiter.Stats().InFlight), route.pins.Load()}
	}})
	h := newHouse(t, Config{})
	route = h.publish(b)[0]
	rt.Publish(h.Table())
	h.serve(rt)
	h.do("GET", "/test", nil)
	require.Equal(t, [2]int64{}, <-seen)
}

// blocking returns a service that holds its requests until release is closed.
func blocking(limits admission.Limits, capacity int) (b Binding, entered chan struct{}, release chan struct{}) {
	entered, release = make(chan struct{}, 100), make(chan struct{})
	b = binding("/test", func(http.ResponseWriter, *Request, *accesslog.Result) error {
		entered <- struct{}{}
		<-release
		return nil
	})
	b.Limiter = admission.NewGate(capacity).NewLimiter(limits)
	return b, entered, release
}

func TestShedRequests(t *testing.T) {
	for name, limits := range map[string]admission.Limits{
		"queue full": {},
		"wait over":  {Queue: 1, Wait: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			b, entered, release := blocking(limits, 1)
			h := newHouse(t, Config{}, b)
			first := make(chan int, 1)
			go func() {
				answer, err := h.server.Client().Get(h.server.URL + "/test")
				if err != nil {
					first <- 0
					return
				}
				answer.Body.Close()
				first <- answer.StatusCode
			}()
			<-entered
			answer, body := h.do("GET", "/test", nil)
			_, rec := h.requireProblem(problem.NoCapacity, answer, body)
			require.Equal(t, "1", answer.Header.Get("Retry-After"))
			require.Equal(t, accesslog.OutcomeNoCapacity, rec.Outcome)
			require.Equal(t, "service of /test", rec.Service)
			require.GreaterOrEqual(t, rec.QueueWait, limits.Wait)
			close(release)
			require.Equal(t, http.StatusOK, <-first)
			h.record()
			h.requireAllReleased(b.Limiter)
		})
	}
}

func TestClientThatLeavesTheQueue(t *testing.T) {
	b, entered, release := blocking(admission.Limits{Queue: 10, Wait: time.Hour}, 1)
	h := newHouse(t, Config{}, b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if answer, err := h.server.Client().Get(h.server.URL + "/test"); err == nil {
			answer.Body.Close()
		}
	}()
	<-entered

	ctx, leave := context.WithCancel(t.Context())
	queued := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, "GET", h.server.URL+"/test", nil)
		if err == nil {
			_, err = h.server.Client().Do(r)
		}
		queued <- err
	}()
	require.Eventually(t, func() bool { return b.Limiter.Stats().Queued == 1 }, time.Minute, time.Millisecond)
	leave()
	require.ErrorIs(t, <-queued, context.Canceled)
	rec := h.record() // of the request whose client left, while the first is still served
	require.Equal(t, accesslog.OutcomeClientGone, rec.Outcome)
	require.Zero(t, rec.Status)
	require.Positive(t, rec.QueueWait)
	close(release)
	<-done
	h.record()
	h.requireAllReleased(b.Limiter)
	require.Zero(t, b.Limiter.Stats().Shed)
}

func TestPanicErrorUnwraps(t *testing.T) {
	cause := errors.New("cause")
	require.ErrorIs(t, &PanicError{Value: cause}, cause)
	require.NoError(t, errors.Unwrap(&PanicError{Value: "text"}))
	require.EqualError(t, &PanicError{Value: "text"}, "panic in handler: text")
}
