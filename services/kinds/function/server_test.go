package function

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
)

// hangTimeout bounds every wait of a test.
const hangTimeout = 30 * time.Second

// front is a server on a loopback port, with functions and without a catalogue.
type front struct {
	*httptest.Server
	t      *testing.T
	kind   *Kind
	router *router.Router
	routes []*router.Route

	mu      sync.Mutex
	records []accesslog.Record // guarded by mu
}

func newFront(t *testing.T, cfg Config) *front {
	t.Helper()
	f := &front{t: t, kind: New(cfg)}
	f.router = router.New(router.Config{AccessLog: func(r *accesslog.Record) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.records = append(f.records, *r)
	}})
	f.Server = httptest.NewUnstartedServer(f.router)
	f.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	f.Start()
	t.Cleanup(func() {
		for _, r := range f.routes {
			require.NoError(t, f.closed(r.Handler.(*deployment)))
		}
		f.Server.Close()
		require.Equal(t, f.kind.cfg.HeldBytes, f.kind.budget.Left(), "all that was held is given back")
		require.Empty(t, f.kind.endpoints)
	})
	return f
}

// closed closes a deployment, once.
func (f *front) closed(d *deployment) error {
	if d.requests.Context().Err() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), hangTimeout)
	defer cancel()
	return d.Close(ctx)
}

// bind deploys the document at the prefix and returns the address of its Runtime API.
func (f *front) bind(prefix string, d Document, o registry.Options) (*deployment, string) {
	f.t.Helper()
	spec := services.Spec{Prefix: registry.Prefix(prefix), Kind: KindName, Module: d.Encode(), Options: o}
	require.NoError(f.t, f.kind.Validate(spec))
	prepared, err := f.kind.Prepare(context.Background(), spec)
	require.NoError(f.t, err)
	f.routes = append(f.routes, router.NewRoute(router.Binding{Prefix: router.Prefix(prefix), Service: prefix, Handler: prepared}))
	table, err := router.BuildTable(f.routes)
	require.NoError(f.t, err)
	f.router.Publish(table)
	own := prepared.(*deployment)
	if w, ok := own.backend.(*workers); ok {
		return own, w.endpoint.addr
	}
	return own, ""
}

type answer struct {
	*http.Response
	body string
}

func (f *front) do(method, path, body string, headers ...string) answer {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), method, f.URL+path, strings.NewReader(body))
	require.NoError(f.t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	require.NoError(f.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(f.t, err)
	return answer{resp, string(text)}
}

// start starts a request whose response arrives later.
func (f *front) start(method, path, body string, headers ...string) <-chan answer {
	done := make(chan answer, 1)
	go func() { done <- f.do(method, path, body, headers...) }()
	return done
}

func (f *front) await(a <-chan answer) answer {
	f.t.Helper()
	select {
	case got := <-a:
		return got
	case <-time.After(hangTimeout):
		require.Fail(f.t, "no answer came")
		return answer{}
	}
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
	ctx, cancel := context.WithTimeout(w.t.Context(), hangTimeout)
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
