package router

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
)

// TestPassedRequests serves requests of other hosts for services, but not those for management, or beyond the memory for headers.
func TestPassedRequests(t *testing.T) {
	rt := New(Config{Admin: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("management is called") })})
	key, served := routekey.Key{Prefix: "/"}, 0
	table, err := BuildTable([]*Route{NewRoute(Binding{
		Key:      key,
		Content:  "v",
		Limiter:  admission.NewGate(4).NewLimiter(admission.Limits{}),
		Passable: true,
		Handler: HandlerFunc(func(http.ResponseWriter, *Request, *accesslog.Result) error {
			served++
			return nil
		}),
	})})
	require.NoError(t, err)
	rt.Publish(table)
	for path, want := range map[string]bool{"/services": false, "/services/list": false, "/%73ervices/list": false, "/other": true} {
		r := httptest.NewRequest("GET", path, http.NoBody)
		require.Equal(t, want, rt.ServePassed(Passed{Key: key, Version: "v"}, httptest.NewRecorder(), r), path)
	}
	require.Equal(t, 1, served)
	full := New(Config{HeaderBytes: 1})
	full.Publish(table)
	require.False(t, full.ServePassed(Passed{Key: key, Version: "v"}, httptest.NewRecorder(), httptest.NewRequest("GET", "/other", http.NoBody)))
	require.Zero(t, full.Stats().HeldBytes)
}
