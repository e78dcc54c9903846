package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// house is a server with modules and proxies.
type house struct {
	*servicetest.Server
	gate *admission.Gate // for proxies
}

func newHouse(t *testing.T) *house {
	t.Helper()
	gate, limits := admission.NewGate(16), admission.Limits{Queue: 100, Wait: time.Minute}
	s := servicetest.New(t, servicetest.Config{Deploy: deploy.Config{
		Gate:      admission.NewGate(4),
		Limits:    limits,
		Admission: map[string]deploy.Admission{proxy.KindName: {Gate: gate, Limits: limits}},
	}})
	modules, err := wasm.Open(t.Context(), wasm.Config{Slots: 4, SlotBytes: 1 << 20, Blob: s.Registry.Blob})
	require.NoError(t, err)
	return &house{s.Start(modules, proxy.New(proxy.Config{})), gate}
}

func module(t *testing.T, key string) services.Spec {
	return servicetest.Module(wasm.KindName, key, guests.Wat(t, "hello"))
}

func proxyTo(upstreams ...string) services.Spec {
	return spec("/a", proxy.Document{Upstreams: upstreams})
}

// TestReplaceUnderLoad replaces a proxy by a module, the module by another proxy, and rolls back,
// under load. Every request must succeed, and each replaced version must end with its connections.
func TestReplaceUnderLoad(t *testing.T) {
	h := newHouse(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			fmt.Fprintln(w, "from upstream")
		}
	}))
	defer upstream.Close()
	h.Deploy(proxyTo(upstream.URL))
	var stop atomic.Bool
	var clients sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]int{}
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	for range 6 {
		clients.Go(func() {
			for !stop.Load() {
				said := ask(transport, h.URL+"/a")
				mu.Lock()
				answers[said]++
				mu.Unlock()
			}
		})
	}
	for range 10 {
		for _, spec := range []services.Spec{module(t, "/a"), proxyTo(upstream.URL, "http://127.0.0.1:1")} {
			h.Deploy(spec)
			h.awaitGeneration(t)
		}
		_, err := h.Rollback(t.Context(), routekey.MustParse("/a"))
		require.NoError(t, err)
		h.awaitGeneration(t)
	}
	stop.Store(true)
	clients.Wait()
	transport.CloseIdleConnections()
	require.Len(t, answers, 2, answers)
	require.Positive(t, answers["200 OK: from upstream\n"])
	require.Positive(t, answers["200 OK: hello from vespo\n"])
}

// awaitGeneration waits until the current version has answered a request.
func (h *house) awaitGeneration(t *testing.T) {
	t.Helper()
	entry, err := h.Inspect(routekey.MustParse("/a"))
	require.NoError(t, err)
	current := entry.Service.Current
	rec := h.Records.First(func(r accesslog.Record) bool { return r.Generation == uint64(current.Generation) })
	require.Equal(t, accesslog.OutcomeOK, rec.Outcome)
	version := registry.DigestOf([]byte(current.Manifest))
	if own := current.BlobsOf(schema.FieldModule); len(own) > 0 {
		version = own[0]
	}
	require.Equal(t, string(version), rec.Version)
	require.Equal(t, current.Kind == proxy.KindName, rec.Start == "", "a proxy starts nothing")
}

// ask returns the status and the body, or the error text.
func ask(transport *http.Transport, url string) string {
	r, err := http.NewRequest("POST", url, http.NoBody)
	if err != nil {
		return err.Error()
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return resp.Status + ": " + string(body)
}

// TestProxiesTakeNoSlot holds more proxy requests than there are slots. A module must still answer.
func TestProxiesTakeNoSlot(t *testing.T) {
	h := newHouse(t)
	held, release := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		held <- struct{}{}
		<-release
	}))
	defer upstream.Close()
	h.Deploy(proxyTo(upstream.URL))
	h.Deploy(module(t, "/b"))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var clients sync.WaitGroup
	for range 10 {
		clients.Go(func() { ask(transport, h.URL+"/a") })
		<-held
	}
	require.Equal(t, 10, h.gate.Stats().InFlight)
	require.Equal(t, "200 OK: hello from vespo\n", ask(transport, h.URL+"/b"))
	close(release)
	clients.Wait()
	require.Zero(t, h.gate.Stats().InFlight)
}

// TestRollbackOverKinds replaces a proxy by a module and rolls back.
func TestRollbackOverKinds(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	before := h.Deploy(proxyTo("http://127.0.0.1:1"))
	h.Deploy(module(t, "/a"))
	result, err := h.Rollback(ctx, routekey.MustParse("/a"))
	require.NoError(t, err)
	require.Equal(t, proxy.KindName, result.Service.Current.Kind)
	require.Equal(t, "http://127.0.0.1:1", result.Status.Target)
	require.Equal(t, before.Service.Current.ContentDigest(), result.Service.Current.ContentDigest())
	_, err = h.Add(ctx, proxyTo("gopher://x"))
	require.Error(t, err)
	entry, err := h.Inspect(routekey.MustParse("/a"))
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:1", entry.Status.Target, "what is refused changes nothing")
}
