package queue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/queue"
)

// hangTimeout bounds every wait of a test.
const hangTimeout = 30 * time.Second

// house is a complete server with queues, except for the management API.
type house struct {
	*deploy.Deployer
	t    *testing.T
	url  string
	http *http.Client

	mu       sync.Mutex
	recorded *sync.Cond
	records  []accesslog.Record // guarded by mu
}

// newHouse starts a server on the data directory. change may modify its configuration.
func newHouse(t *testing.T, dir string, change func(*queue.Config)) *house {
	t.Helper()
	h := &house{t: t, http: &http.Client{Timeout: hangTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	h.recorded = sync.NewCond(&h.mu)
	store, err := filestore.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	catalogue, _, err := registry.Open(t.Context(), store, store.Blobs())
	require.NoError(t, err)
	cfg := queue.Config{Dir: store.QueueDir(), Listen: func(ctx context.Context) (net.Listener, error) {
		return new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	}}
	if change != nil {
		change(&cfg)
	}
	kind := queue.New(cfg)
	t.Cleanup(func() { require.NoError(t, kind.Close()) })
	routing := router.New(router.Config{AccessLog: h.record})
	h.Deployer = deploy.New(deploy.Config{
		Registry: catalogue, Router: routing, Gate: admission.NewGate(20_000), Kinds: []services.Kind{kind, plain{}},
		Admission: map[string]deploy.Admission{queue.KindName: {Gate: admission.NewGate(20_000)}},
	})
	require.NoError(t, h.Boot(t.Context()))
	server := httptest.NewServer(routing)
	h.url = server.URL
	t.Cleanup(func() {
		h.http.CloseIdleConnections()
		server.Close()
		require.NoError(t, h.Close(context.Background()))
	})
	return h
}

func (h *house) record(r *accesslog.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, *r)
	h.recorded.Broadcast()
}

// lastRecord waits for the n-th access record.
func (h *house) lastRecord(n int) accesslog.Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.records) < n {
		h.recorded.Wait()
	}
	return h.records[n-1]
}

// plain is a kind whose services answer "plain".
type plain struct{}

func (plain) Name() string                 { return "plain" }
func (plain) Validate(services.Spec) error { return nil }
func (plain) Prepare(context.Context, services.Spec) (services.Deployment, error) {
	return plain{}, nil
}
func (plain) Serve(w http.ResponseWriter, _ *router.Request, _ *accesslog.Result) error {
	_, err := io.WriteString(w, "plain")
	return err
}
func (plain) Status() services.Status                     { return services.Status{State: services.StateReady} }
func (plain) Scale(context.Context, services.Scale) error { return nil }
func (plain) Close(context.Context) error                 { return nil }

// add deploys a queue and returns the address of the listener for workers.
func (h *house) add(prefix string, d queue.Document, o registry.Options) string {
	h.t.Helper()
	result, err := h.Add(h.t.Context(), spec(prefix, d, o))
	require.NoError(h.t, err)
	return addressOf(h.t, result.Status)
}

func spec(prefix string, d queue.Document, o registry.Options) services.Spec {
	return services.Spec{Prefix: registry.Prefix(prefix), Kind: queue.KindName, Module: d.Encode(), Options: o}
}

func addressOf(t *testing.T, s services.Status) string {
	t.Helper()
	m := regexp.MustCompile(`^workers at (http://[^/]+)/`).FindStringSubmatch(s.Target)
	require.NotNil(t, m, s.Target)
	return m[1]
}

// answer is a response to a client or a worker.
type answer struct {
	*http.Response
	body string
}

func (h *house) do(method, url, body string, headers ...string) answer {
	h.t.Helper()
	a, err := h.try(h.t.Context(), method, url, body, headers...)
	require.NoError(h.t, err)
	return a
}

func (h *house) try(ctx context.Context, method, url, body string, headers ...string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	resp, err := h.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp, string(text)}, err
}

// ask sends a request in the background.
func (h *house) ask(method, path, body string, headers ...string) chan answer {
	answered := make(chan answer, 1)
	go func() {
		a, err := h.try(context.Background(), method, h.url+path, body, headers...)
		if err != nil {
			a = answer{&http.Response{}, err.Error()}
		}
		answered <- a
	}()
	return answered
}

// awaitStatus waits until the queue has these numbers of requests.
func (h *house) awaitStatus(prefix string, waiting, leased int) {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		e, err := h.Inspect(registry.Prefix(prefix))
		return err == nil && e.Status.Queue != nil && e.Status.Queue.Waiting == waiting && e.Status.Queue.Leased == leased
	}, hangTimeout, time.Millisecond)
}

// taken is a request as a worker receives it.
type taken struct {
	Identifier  string
	Environment map[string]string
	Body        []byte
}

// take fetches a request.
func (h *house) take(url string) taken {
	h.t.Helper()
	for {
		a := h.do("GET", url, "")
		if a.StatusCode == http.StatusNotFound { // no request is waiting yet
			continue
		}
		require.Equal(h.t, http.StatusOK, a.StatusCode, a.body)
		var got taken
		require.NoError(h.t, json.Unmarshal([]byte(a.body), &got), a.body)
		return got
	}
}

// reply returns an answer as a worker sends it.
func reply(id string, code any, body string) string {
	text, err := json.Marshal(map[string]any{"identifier": id, "code": code, "headers": map[string]string{"Content-Type": "text/plain"}, "body": []byte(body)})
	if err != nil {
		panic(err)
	}
	return string(bytes.TrimSpace(text))
}

// requireProblem checks that the response is a problem of this kind.
func (a answer) requireProblem(t *testing.T, kind problem.Kind) {
	t.Helper()
	require.Equal(t, kind.Status(), a.StatusCode, a.body)
	require.Equal(t, problem.ContentType, a.Header.Get("Content-Type"))
	require.Contains(t, a.body, kind.Type())
}
