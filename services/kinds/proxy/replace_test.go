package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// house is a whole server with modules and proxies, without the management API.
type house struct {
	*deploy.Deployer
	gate    *admission.Gate // for proxies
	url     string
	records chan accesslog.Record
}

func newHouse(t *testing.T) *house {
	t.Helper()
	store, err := filestore.Open(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	catalogue, _, err := registry.Open(t.Context(), store, store.Blobs())
	require.NoError(t, err)
	h := &house{gate: admission.NewGate(16), records: make(chan accesslog.Record, 1<<20)}
	routing := router.New(router.Config{AccessLog: func(r *accesslog.Record) { h.records <- *r }})
	modules, err := wasm.Open(t.Context(), wasm.Config{Slots: 4, SlotBytes: 1 << 20, Blob: catalogue.Blob})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, modules.Close(context.Background())) })
	limits := admission.Limits{Queue: 100, Wait: time.Minute}
	h.Deployer = deploy.New(deploy.Config{
		Registry: catalogue, Router: routing, Gate: admission.NewGate(4), Limits: limits,
		Kinds:     []services.Kind{modules, proxy.New(proxy.Config{})},
		Admission: map[string]deploy.Admission{proxy.KindName: {Gate: h.gate, Limits: limits}},
	})
	require.NoError(t, h.Boot(t.Context()))
	server := httptest.NewServer(routing)
	h.url = server.URL
	t.Cleanup(func() {
		server.Close()
		require.NoError(t, h.Close(context.Background()))
	})
	return h
}

func module(t *testing.T) services.Spec {
	return services.Spec{Prefix: "/a", Kind: wasm.KindName, Module: guests.Wat(t, "hello")}
}

func proxyTo(upstreams ...string) services.Spec {
	return services.Spec{Prefix: "/a", Kind: proxy.KindName, Module: proxy.Document{Upstreams: upstreams}.Encode()}
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
	_, err := h.Add(t.Context(), proxyTo(upstream.URL))
	require.NoError(t, err)
	var stop atomic.Bool
	var clients sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]int{}
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	for range 6 {
		clients.Go(func() {
			for !stop.Load() {
				said := ask(transport, h.url+"/a")
				mu.Lock()
				answers[said]++
				mu.Unlock()
			}
		})
	}
	for range 10 {
		for _, spec := range []services.Spec{module(t), proxyTo(upstream.URL, "http://127.0.0.1:1")} {
			_, err := h.Add(t.Context(), spec)
			require.NoError(t, err)
			h.awaitGeneration(t)
		}
		_, err := h.Rollback(t.Context(), "/a")
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
	entry, err := h.Inspect("/a")
	require.NoError(t, err)
	for rec := range h.records {
		if rec.Generation == uint64(entry.Service.Current.Generation) {
			require.Equal(t, accesslog.OutcomeOK, rec.Outcome)
			require.Equal(t, string(entry.Service.Current.Digest), rec.Version)
			require.Equal(t, entry.Service.Current.Kind == proxy.KindName, rec.Start == "", "a proxy starts nothing")
			return
		}
	}
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
	_, err := h.Add(t.Context(), proxyTo(upstream.URL))
	require.NoError(t, err)
	spec := module(t)
	spec.Prefix = "/b"
	_, err = h.Add(t.Context(), spec)
	require.NoError(t, err)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var clients sync.WaitGroup
	for range 10 {
		clients.Go(func() { ask(transport, h.url+"/a") })
		<-held
	}
	require.Equal(t, 10, h.gate.Stats().InFlight)
	require.Equal(t, "200 OK: hello from vespo\n", ask(transport, h.url+"/b"))
	close(release)
	clients.Wait()
	require.Zero(t, h.gate.Stats().InFlight)
}

// TestRollbackOverKinds replaces a proxy by a module and rolls back.
func TestRollbackOverKinds(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	_, err := h.Add(ctx, proxyTo("http://127.0.0.1:1"))
	require.NoError(t, err)
	_, err = h.Add(ctx, module(t))
	require.NoError(t, err)
	result, err := h.Rollback(ctx, "/a")
	require.NoError(t, err)
	require.Equal(t, proxy.KindName, result.Service.Current.Kind)
	require.Equal(t, "http://127.0.0.1:1", result.Status.Target)
	require.Equal(t, registry.DigestOf(proxyTo("http://127.0.0.1:1").Module), result.Service.Current.Digest)
	_, err = h.Add(ctx, proxyTo("gopher://x"))
	require.Error(t, err)
	entry, err := h.Inspect("/a")
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:1", entry.Status.Target, "what is refused changes nothing")
}
