package proxy

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/services"
)

// hangTimeout fails a test that waits for an event that never comes.
const hangTimeout = 30 * time.Second

// front is a server on a loopback port, with proxies and without a catalogue.
type front struct {
	*httptest.Server
	t      *testing.T
	kind   *Kind
	router *router.Router
	routes []*router.Route

	mu       sync.Mutex
	recorded *sync.Cond
	records  []accesslog.Record // guarded by mu
}

func newFront(t *testing.T, cfg Config) *front {
	t.Helper()
	return newFrontBehind(t, cfg, nil)
}

// newFrontBehind returns a front behind trusted proxies.
func newFrontBehind(t *testing.T, cfg Config, trust *forwarded.Trust) *front {
	t.Helper()
	f := &front{t: t, kind: New(cfg)}
	f.recorded = sync.NewCond(&f.mu)
	f.router = router.New(router.Config{AccessLog: f.record, Trust: trust})
	f.Server = httptest.NewUnstartedServer(f.router)
	f.Config.Protocols = new(http.Protocols)
	f.Config.Protocols.SetHTTP1(true)
	f.Config.Protocols.SetUnencryptedHTTP2(true)
	f.Config.WriteTimeout = time.Hour
	f.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	f.Start()
	t.Cleanup(func() {
		for _, r := range f.routes {
			require.NoError(t, f.closed(r))
		}
		f.Server.Close()
	})
	return f
}

// closed closes the deployment of a route, once.
func (f *front) closed(r *router.Route) error {
	d := r.Handler.(*deployment)
	if d.requests.Context().Err() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), hangTimeout)
	defer cancel()
	return d.Close(ctx)
}

// bind deploys the document at a prefix.
func (f *front) bind(prefix string, d Document, o registry.Options) *deployment {
	f.t.Helper()
	spec := services.Spec{Prefix: registry.Prefix(prefix), Kind: KindName, Module: d.Encode(), Options: o}
	require.NoError(f.t, f.kind.Validate(spec))
	prepared, err := f.kind.Prepare(context.Background(), spec)
	require.NoError(f.t, err)
	f.routes = append(f.routes, router.NewRoute(router.Binding{Prefix: router.Prefix(prefix), Service: prefix, Handler: prepared}))
	table, err := router.BuildTable(f.routes)
	require.NoError(f.t, err)
	f.router.Publish(table)
	return prepared.(*deployment)
}

// to deploys a proxy with default settings at a prefix.
func (f *front) to(prefix string, upstreams ...string) *deployment {
	f.t.Helper()
	return f.bind(prefix, Document{Upstreams: upstreams}, registry.Options{})
}

func (f *front) record(r *accesslog.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records = append(f.records, *r)
	f.recorded.Broadcast()
}

// lastRecord waits for the n-th access record.
func (f *front) lastRecord(n int) accesslog.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.records) < n {
		f.recorded.Wait()
	}
	return f.records[n-1]
}

type answer struct {
	*http.Response
	body string
}

// request returns a request with headers given as "Name: value".
func (f *front) request(method, path string, body io.Reader, headers ...string) *http.Request {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), method, f.URL+path, body)
	require.NoError(f.t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header[name] = append(r.Header[name], value) // without canonicalization
	}
	return r
}

func (f *front) do(r *http.Request) answer {
	f.t.Helper()
	resp, err := f.roundTrip(r)
	require.NoError(f.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(f.t, err)
	return answer{resp, string(body)}
}

// roundTrip sends r over a new connection.
func (f *front) roundTrip(r *http.Request) (*http.Response, error) {
	return (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(r)
}

func (f *front) get(path string, headers ...string) answer {
	f.t.Helper()
	return f.do(f.request("GET", path, nil, headers...))
}

// requireProblem checks that the response is a problem that reveals nothing about the upstream.
func (a answer) requireProblem(t *testing.T, kind problem.Kind) {
	t.Helper()
	require.Equal(t, kind.Status(), a.StatusCode, a.body)
	require.Equal(t, problem.ContentType, a.Header.Get("Content-Type"))
	require.Contains(t, a.body, kind.Type())
	for _, inside := range []string{"127.0.0.1", "dial", "EOF", "malformed", "refused", "reset", "read tcp"} {
		require.NotContains(t, a.body, inside)
	}
}

// serveHTTP starts an upstream.
func serveHTTP(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// serveRaw starts an upstream that runs serve for each connection. It returns the URL.
func serveRaw(t *testing.T, serve func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		all.Wait()
	})
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				serve(conn, bufio.NewReader(conn))
			})
		}
	})
	return "http://" + l.Addr().String()
}

// unreachable returns the URL of a local port without a listener.
func unreachable(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return "http://" + l.Addr().String()
}

// readHeader reads the header of a request or response and returns its first line.
func readHeader(from *bufio.Reader) (first string) {
	for {
		line, err := from.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); err != nil || line == "" {
			return first
		}
		if first == "" {
			first = line
		}
	}
}
