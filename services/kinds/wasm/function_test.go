package wasm_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// prepareFunction prepares a module of the testdata as the function /fn.
func (s *server) prepareFunction(name string, options ...servicetest.Option) services.Runner {
	s.tb.Helper()
	spec := servicetest.Module(wasm.FunctionKindName, "/fn", guests.Go(s.tb, name), options...)
	functions := s.kind.Functions()
	require.Equal(s.tb, wasm.FunctionKindName, functions.Describe().Name)
	require.NoError(s.tb, functions.Validate(spec))
	r, err := functions.PrepareRunner(s.tb.Context(), spec)
	require.NoError(s.tb, err)
	require.Equal(s.tb, "command", r.Status().ABI)
	s.tb.Cleanup(func() { require.NoError(s.tb, r.Close(context.Background())) })
	return r
}

// event returns an event with an instruction for the guest gofunction.
func event(what string, output io.Writer) services.Event {
	return services.Event{
		Prefix:    "/fn",
		RequestID: "id",
		Deadline:  time.Now().Add(10 * time.Second),
		Payload:   strings.NewReader(`{"do":"` + what + `"}`),
		Output:    output,
	}
}

func TestEventsAreRun(t *testing.T) {
	f := newServer(t, wasm.Config{}).prepareFunction("gofunction", servicetest.WithConfig(map[string]string{"GREETING": "hi"}))
	var output, log bytes.Buffer
	e := event("/env", &output)
	e.Log = &log
	res, err := f.Run(t.Context(), e)
	require.NoError(t, err)
	require.Equal(t, accesslog.OutcomeOK, res.Outcome)
	require.Equal(t, `"hi /fn"`, output.String())
	require.Equal(t, "got 13 bytes\n", log.String())
	require.Equal(t, accesslog.StartWarm, res.Start)
	require.Positive(t, res.GuestTime)
	require.Positive(t, res.DirtyBytes)
	require.GreaterOrEqual(t, res.PeakBytes, res.SnapshotBytes)
	require.Positive(t, res.SnapshotBytes)

	output.Reset()
	echo := event("", &output)
	echo.Payload = io.MultiReader(strings.NewReader("in "), strings.NewReader("pieces"))
	_, err = f.Run(t.Context(), echo)
	require.NoError(t, err)
	require.Equal(t, "in pieces", output.String())
}

func TestEventsFail(t *testing.T) {
	f := newServer(t, wasm.Config{}).prepareFunction("gofunction")
	for _, c := range []struct {
		what    string
		outcome accesslog.Outcome
		kind    problem.Kind
		output  string
	}{
		{"exit", accesslog.OutcomeExit, problem.GuestExit, `{"errorMessage":"no luck","errorType":"Luck"}`},
		{"panic", accesslog.OutcomeExit, problem.GuestExit, ""},
		{"loop", accesslog.OutcomeDeadline, problem.Deadline, ""},
	} {
		var output bytes.Buffer
		e := event(c.what, &output)
		if c.what == "loop" {
			e.Deadline = time.Now().Add(100 * time.Millisecond)
		}
		res, err := f.Run(t.Context(), e)
		require.Equal(t, c.outcome, res.Outcome)
		require.Equal(t, c.kind, problem.From(err).Kind(), c.what)
		require.Equal(t, c.output, output.String())
		require.Zero(t, res.DirtyBytes, "the instance is not used again")
	}
}

// fullWriter takes nothing.
type fullWriter struct{ err error }

func (w fullWriter) Write([]byte) (int, error) { return 0, w.err }

func TestEventsAreStopped(t *testing.T) {
	f := newServer(t, wasm.Config{}).prepareFunction("gofunction")
	full := errors.New("full")
	res, err := f.Run(t.Context(), event("/env", fullWriter{full}))
	require.Empty(t, res.Outcome)
	require.ErrorIs(t, err, full)

	ctx, cancel := context.WithCancel(t.Context())
	e := event("loop", io.Discard)
	e.Log = writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	res, err = f.Run(ctx, e)
	require.Empty(t, res.Outcome)
	require.ErrorIs(t, err, context.Canceled)

	running, done := make(chan struct{}), make(chan error)
	e = event("loop", io.Discard)
	e.Log = writerFunc(func(p []byte) (int, error) { close(running); return len(p), nil })
	go func() {
		_, err := f.Run(context.Background(), e)
		done <- err
	}()
	<-running
	require.NoError(t, f.Close(context.Background()))
	require.Equal(t, problem.NotReady, problem.From(<-done).Kind())
	_, err = f.Run(t.Context(), event("", io.Discard))
	require.Equal(t, problem.NotReady, problem.From(err).Kind())
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
