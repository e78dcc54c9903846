package wasm_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestLateBodyBehindMiddleware checks that a body which does not arrive is the reason of the failure, also if
// the handler behind, as a proxy does, learns of it only by the end of the request's context.
func TestLateBodyBehindMiddleware(t *testing.T) {
	late := func(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		read := make(chan struct{})
		go func() { defer close(read); _, _ = io.Copy(io.Discard, r.Body) }()
		<-r.Context().Done()
		<-read
		return r.Context().Err()
	}
	s := newServerWith(t, wasm.Config{}, servicetest.Handlers{"late": late})
	s.Deploy(servicetest.Handler("/a", "late", servicetest.WithMiddleware(nil, layerModule(passOnCode, nothingCode))))
	conn, from := s.Dial()
	_, err := fmt.Fprint(conn, "POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx")
	require.NoError(t, err)
	resp, err := http.ReadResponse(from, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestTimeout, resp.StatusCode)
	err = s.Records.Nth(1).Err
	require.Equal(t, problem.RequestTimeout, problem.From(err).Kind(), err)
	require.NotErrorIs(t, err, context.Canceled, "the router would take the client for gone")
}
