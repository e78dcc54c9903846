package function_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestMain runs workerMain if the test binary was started as the program of a function. Otherwise it runs the tests, and
// fails if they leave a goroutine or a connection of a server, a worker or an endpoint behind.
func TestMain(m *testing.M) {
	if addr := os.Getenv("AWS_LAMBDA_RUNTIME_API"); addr != "" { // started as the program of a function
		os.Exit(workerMain(addr))
	}
	os.Exit(servicetest.Main(m))
}

// front is a server with functions.
type front struct {
	*servicetest.Server
	kind *function.Kind
}

// newFront returns a front that closes a version at once if it is replaced or removed.
func newFront(t *testing.T, cfg function.Config) *front {
	t.Helper()
	return newFrontWith(t, cfg, 1)
}

// newFrontWith returns a front that lets the requests of a version go on for a time.
func newFrontWith(t *testing.T, cfg function.Config, retireAfter time.Duration) *front {
	t.Helper()
	f := &front{kind: function.New(cfg)}
	f.Server = servicetest.New(t, servicetest.Config{Deploy: deploy.Config{RetireAfter: retireAfter}})
	f.Start(f.kind)
	t.Cleanup(func() {
		f.Close()
		stats := f.kind.Stats()
		require.Zero(t, stats.Held.HeldBytes, "all that was held is given back")
		require.Zero(t, stats.Endpoints)
	})
	return f
}

func spec(key string, d function.Document, options ...servicetest.Option) services.Spec {
	return servicetest.Spec(function.KindName, key, d, options...)
}

// bind deploys the document and returns the address of its Runtime API, which functions with a program do not show.
func (f *front) bind(key string, d function.Document, options ...servicetest.Option) string {
	_, rest, _ := strings.Cut(f.Deploy(spec(key, d, options...)).Status.Target, "AWS_LAMBDA_RUNTIME_API=")
	addr, _, _ := strings.Cut(rest, ",")
	return addr
}

// requireProblem checks that the response is a problem without the text of the function.
func requireProblem(t *testing.T, a servicetest.Answer, kind problem.Kind) {
	t.Helper()
	a.RequireProblem(t, kind)
	require.NotContains(t, a.Body, "secret")
}

// worker is a client of the Runtime API, played by the test.
type worker struct {
	t         *testing.T
	addr      string
	transport *http.Transport
}

func newWorker(t *testing.T, addr string) *worker {
	w := &worker{t: t, addr: addr, transport: &http.Transport{}}
	t.Cleanup(w.die)
	return w
}

// die closes the worker's idle connections.
func (w *worker) die() { w.transport.CloseIdleConnections() }

func (w *worker) call(ctx context.Context, method, path string, body io.Reader, headers ...string) (*http.Response, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+w.addr+path, body)
	require.NoError(w.t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := w.transport.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), err
}

// next requests an event.
func (w *worker) next() (id, event string, h http.Header) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), servicetest.HangTimeout)
	defer cancel()
	resp, event, err := w.call(ctx, "GET", "/2018-06-01/runtime/invocation/next", nil)
	require.NoError(w.t, err)
	require.Equal(w.t, 200, resp.StatusCode, event)
	return resp.Header.Get("Lambda-Runtime-Aws-Request-Id"), event, resp.Header
}

// post posts a result. The path element what is "response", "error" or invalid.
func (w *worker) post(id, what, body string, headers ...string) (int, string) {
	w.t.Helper()
	resp, text, err := w.call(w.t.Context(), "POST", "/2018-06-01/runtime/invocation/"+id+"/"+what, bytes.NewReader([]byte(body)), headers...)
	require.NoError(w.t, err)
	return resp.StatusCode, text
}

// answer takes one event and answers it.
func (w *worker) answer(output string) (event string) {
	w.t.Helper()
	id, event, _ := w.next()
	status, text := w.post(id, "response", output)
	require.Equal(w.t, 202, status, text)
	require.JSONEq(w.t, `{"status":"OK"}`, text)
	return event
}
