package function_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// serveModule serves a module as the function at /fn. It returns the router and the last access record.
func serveModule(t *testing.T, o registry.Options) (rt *router.Router, last func() accesslog.Record) {
	t.Helper()
	runs, err := wasm.Open(t.Context(), wasm.Config{Slots: 4, SlotBytes: 16 << 20, Blob: func(context.Context, registry.Digest) ([]byte, error) {
		return nil, errors.New("nothing is evicted here")
	}})
	require.NoError(t, err)
	kind := function.NewModules(function.New(function.Config{Timeout: time.Minute}), runs.Functions())
	require.Equal(t, wasm.FunctionKindName, kind.Name())
	spec := services.Spec{Prefix: "/fn", Kind: kind.Name(), Module: guests.Go(t, "gofunction"), Options: o}
	require.NoError(t, kind.Validate(spec))
	d, err := kind.Prepare(t.Context(), spec)
	require.NoError(t, err)
	require.Equal(t, "command", d.Status().ABI)
	t.Cleanup(func() {
		require.NoError(t, d.Close(context.Background()))
		require.NoError(t, runs.Close(context.Background()))
	})
	var record accesslog.Record
	rt = router.New(router.Config{AccessLog: func(r *accesslog.Record) { record = *r }})
	table, err := router.BuildTable([]*router.Route{router.NewRoute(router.Binding{Prefix: "/fn", Service: "/fn", Handler: d})})
	require.NoError(t, err)
	rt.Publish(table)
	return rt, func() accesslog.Record { return record }
}

func TestModuleAnswersHTTP(t *testing.T) {
	rt, last := serveModule(t, registry.Options{Config: map[string]string{"GREETING": "hello"}, Timeout: 5 * time.Second})
	for _, c := range []struct {
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
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, httptest.NewRequest("POST", c.path, strings.NewReader(c.body)))
		require.Equal(t, c.status, w.Code, c.path)
		require.Contains(t, w.Body.String(), c.want)
		require.NotContains(t, w.Body.String(), "no luck")
		require.Equal(t, c.outcome, last().Outcome, c.path)
	}
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, httptest.NewRequest("GET", "/fn/answer", nil))
	require.Equal(t, []string{"c=d"}, w.Header()["Set-Cookie"])
	require.Positive(t, last().GuestTime)
}

func TestModuleDeadline(t *testing.T) {
	rt, last := serveModule(t, registry.Options{Timeout: 200 * time.Millisecond})
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, httptest.NewRequest("GET", "/fn/loop", nil))
	require.Equal(t, 504, w.Code, w.Body)
	require.Equal(t, accesslog.OutcomeDeadline, last().Outcome)
}

func TestModuleIsInvoked(t *testing.T) {
	rt, _ := serveModule(t, registry.Options{Timeout: 5 * time.Second})
	invoke := func(event string) (*invocation.Call, string) {
		c := &invocation.Call{RequestID: "id", WantsLog: true}
		r, err := http.NewRequestWithContext(invocation.With(t.Context(), c), "POST", "/fn", io.NopCloser(strings.NewReader(event)))
		require.NoError(t, err)
		r.RequestURI = "/fn"
		w := httptest.NewRecorder()
		rt.ServeService("/fn", w, r)
		require.Equal(t, 200, w.Code, w.Body)
		return c, w.Body.String()
	}
	c, output := invoke(`[1,2]`)
	require.Equal(t, `[1,2]`, output)
	require.Empty(t, c.Failure)
	require.Equal(t, "got 5 bytes\n", string(c.Log.Bytes()))
	c, output = invoke(`{"do":"exit"}`)
	require.Equal(t, invocation.Unhandled, c.Failure)
	require.JSONEq(t, `{"errorMessage":"no luck","errorType":"Luck"}`, output, "what it has printed")
	c, output = invoke(`{"do":"panic"}`)
	require.Equal(t, invocation.Unhandled, c.Failure)
	var e invocation.Error
	require.NoError(t, json.Unmarshal([]byte(output), &e))
	require.Equal(t, "Runtime.ExitError", e.Type)
	c, output = invoke(`{"do":"large"}`)
	require.Equal(t, invocation.Unhandled, c.Failure)
	require.Contains(t, output, "Function.ResponseSizeTooLarge")
}
