package wasm

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/middleware"
)

// TestLateBodyBehindMiddleware checks that a body which does not arrive is the reason of the failure, also if
// the handler behind, as a proxy does, learns of it only by the end of the request's context.
func TestLateBodyBehindMiddleware(t *testing.T) {
	s := newServer(t, Config{})
	layer, err := s.kind.PrepareMiddleware(t.Context(), specOf("/a", layerModule(passOnCode, nothingCode), registry.Options{}))
	require.NoError(t, err)
	c := middleware.New([]services.Middleware{layer}, handled{func(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		read := make(chan struct{})
		go func() { defer close(read); _, _ = io.Copy(io.Discard, r.Body) }()
		<-r.Context().Done()
		<-read
		return r.Context().Err()
	}})
	defer func() { require.NoError(t, c.Close(context.Background())) }()
	failed := make(chan error, 1)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		failed <- c.Serve(w, requestAt("/a", "/b", r), &accesslog.Result{})
	}))
	defer front.Close()
	conn, err := net.Dial("tcp", front.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprint(conn, "POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx")
	require.NoError(t, err)
	err = <-failed
	require.Equal(t, problem.RequestTimeout, problem.From(err).Kind(), err)
	require.NotErrorIs(t, err, context.Canceled, "the router would take the client for gone")
}
