package function_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/tail"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// serveModule serves a module as the function at /fn.
func serveModule(t *testing.T, options ...servicetest.Option) *servicetest.Server {
	t.Helper()
	s := servicetest.New(t, servicetest.Config{})
	runs, err := wasm.Open(t.Context(), wasm.Config{
		Slots:     4,
		SlotBytes: 16 << 20,
		CacheDir:  guests.CodeCache(),
		Blob:      s.Registry.Blob,
	})
	require.NoError(t, err)
	kind := function.NewModules(function.New(function.Config{Timeout: time.Minute}), runs.Functions())
	require.Equal(t, wasm.FunctionKindName, kind.Describe().Name)
	s.Start(runs, kind)
	result := s.Deploy(servicetest.Module(kind.Describe().Name, "/fn", guests.Go(t, "gofunction"), options...))
	require.Equal(t, "command", result.Status.ABI)
	return s
}

func TestModuleAnswersHTTP(t *testing.T) {
	s := serveModule(t, servicetest.WithConfig(map[string]string{"GREETING": "hello"}), servicetest.WithTimeout(5*time.Second))
	for n, c := range []struct {
		path, body string
		status     int
		want       string
		outcome    accesslog.Outcome
	}{
		{"/fn/answer", "it", 201, "got it", accesslog.OutcomeOK},
		{"/fn/env", "", 200, `"hello /fn"`, accesslog.OutcomeOK},
		{"/fn", "", 200, `"version":"2.0"`, accesslog.OutcomeOK}, // the event, echoed
		{"/fn/exit", "", 502, "reported an error", accesslog.OutcomeExit},
		{"/fn/panic", "", 502, "reported an error", accesslog.OutcomeExit}, // written in Go, exits with code 2
		{"/fn/bad", "", 502, "could not be used", accesslog.OutcomeBadAnswer},
		{"/fn/large", "", 502, "larger than", accesslog.OutcomeBadAnswer},
		{"/fn/answer", "again", 201, "got again", accesslog.OutcomeOK},
	} {
		a := s.Send("POST", c.path, c.body)
		require.Equal(t, c.status, a.StatusCode, c.path)
		require.Contains(t, a.Body, c.want)
		require.NotContains(t, a.Body, "no luck")
		require.Equal(t, c.outcome, s.Records.Nth(n+1).Outcome, c.path)
	}
	require.Equal(t, []string{"c=d"}, s.Get("/fn/answer").Header["Set-Cookie"])
	require.Positive(t, s.Records.Nth(9).GuestTime)
}

func TestModuleDeadline(t *testing.T) {
	s := serveModule(t, servicetest.WithTimeout(200*time.Millisecond))
	a := s.Get("/fn/loop")
	require.Equal(t, 504, a.StatusCode, a.Body)
	require.Equal(t, accesslog.OutcomeDeadline, s.Records.Nth(1).Outcome)
}

func TestModuleIsInvoked(t *testing.T) {
	s := serveModule(t, servicetest.WithTimeout(5*time.Second))
	invoke := func(event string) (c *invocation.Call, output string, failed *invocation.Error) {
		c = &invocation.Call{RequestID: "id", Log: tail.New(invocation.TailBytes)}
		r, err := http.NewRequestWithContext(t.Context(), "POST", "/fn", io.NopCloser(strings.NewReader(event)))
		require.NoError(t, err)
		r.RequestURI = "/fn"
		w := httptest.NewRecorder()
		err = s.Router.Dispatch("/fn", w, r, c)
		require.Equal(t, err != nil, errors.As(err, &failed), err)
		return c, w.Body.String(), failed
	}
	c, output, failed := invoke(`[1,2]`)
	require.Equal(t, `[1,2]`, output)
	require.Nil(t, failed)
	require.Equal(t, "got 5 bytes\n", string(c.Log.Bytes()))
	for i, want := range []struct {
		event, json string
		outcome     accesslog.Outcome
	}{
		{`{"do":"exit"}`, `{"errorMessage":"no luck","errorType":"Luck"}`, accesslog.OutcomeExit}, // what it has printed
		{`{"do":"panic"}`, `"errorType":"Runtime.ExitError"`, accesslog.OutcomeExit},
		{`{"do":"large"}`, "Function.ResponseSizeTooLarge", accesslog.OutcomeBadAnswer},
	} {
		_, output, failed = invoke(want.event)
		require.Empty(t, output, "an error is not rendered")
		require.Contains(t, string(failed.JSON()), want.json)
		rec := s.Records.Nth(i + 2)
		require.Equal(t, want.outcome, rec.Outcome)
		require.Equal(t, http.StatusBadGateway, rec.Status)
	}
}
