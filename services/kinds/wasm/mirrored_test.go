package wasm_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// mirrored sends a request to a service as the copy for a mirror, and returns the status.
func (s *server) mirrored(method, path, body string) int {
	s.tb.Helper()
	route, rest, ok := s.Router.Table().Lookup(path, nil)
	require.True(s.tb, ok)
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	w, now := httptest.NewRecorder(), time.Now()
	request := &router.Request{Request: r, Prefix: string(route.Key.Prefix), Rest: rest, Arrived: now, Admitted: now, Mirrored: true}
	if err := router.Call(route.Handler, w, request, &accesslog.Result{}); err != nil {
		return problem.From(err).Status
	}
	return w.Code
}

// A copy of a request can read key-value stores, and changes nothing: neither in a store nor on another server.
func TestMirroredRequestsHaveNoEffects(t *testing.T) {
	called := 0
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called++ }))
	defer upstream.Close()
	s := newServer(t, wasm.Config{KeyValue: newStores(t)})
	s.add("/kv", guests.SDK(t, "key-value"), servicetest.WithKV("notes"))
	s.add("/out", guests.SDK(t, "fetch"), servicetest.WithAllow(upstream.URL), servicetest.WithConfig(map[string]string{"upstream": upstream.URL}))

	require.Equal(t, 204, s.do("PUT", "/kv/notes/x", "text").StatusCode)
	require.Equal(t, 200, s.mirrored("GET", "/kv/notes/x", ""))
	require.GreaterOrEqual(t, s.mirrored("PUT", "/kv/notes/x", "changed"), 500)
	require.GreaterOrEqual(t, s.mirrored("DELETE", "/kv/notes/x", ""), 500)
	require.Equal(t, "text", s.get("/kv/notes/x").Body)

	require.Equal(t, 200, s.get("/out").StatusCode)
	require.Equal(t, 1, called)
	require.GreaterOrEqual(t, s.mirrored("GET", "/out", ""), 400)
	require.Equal(t, 1, called)
}
