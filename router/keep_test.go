package router

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
)

// TestKeptRequests checks that a request whose handler has returned holds its place and its version until it is released.
func TestKeptRequests(t *testing.T) {
	limiter := admission.NewGate(1).NewLimiter(admission.Limits{})
	releases := make(chan func(), 1)
	handler := HandlerFunc(func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		releases <- r.With(r.Request).Keep() // of a copy, as in middleware
		_, err := w.Write([]byte("answer"))
		return err
	})
	h := newHouse(t, Config{})
	route := h.publish(Binding{Key: routekey.Key{Prefix: "/a"}, Service: "a", Limiter: limiter, Handler: handler})[0]
	_, body := h.do("GET", "/a", nil)
	require.Equal(t, "answer", string(body))
	<-h.records
	require.Equal(t, 1, limiter.Stats().InFlight)
	require.Equal(t, 1, route.InUse())
	answer, _ := h.do("GET", "/a", nil)
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, "there is no queue")
	h.publish()
	route.Retire()
	select {
	case <-route.Drained():
		t.Fatal("the version is in use")
	default:
	}
	(<-releases)()
	<-route.Drained()
	require.Zero(t, limiter.Stats().InFlight)
}
