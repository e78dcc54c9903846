package forward_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/lane/lanetest"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/services/egress/forward"
)

const (
	service  = "/a"
	version  = "sha256:1"
	token    = "the token"
	patience = 10 * time.Second
)

// serving is the kind of server that clients of the first host meet.
var serving lanetest.Kind

// TestMain runs all tests on net/http, and with the fast lane in front of it.
func TestMain(m *testing.M) {
	os.Exit(lanetest.Main(m, func(kind lanetest.Kind) { serving = kind }))
}

// code is a service whose code may not be loaded.
type code struct {
	loaded atomic.Bool
	limit  time.Duration
}

func (c *code) Unloaded() bool           { return !c.loaded.Load() }
func (c *code) TimeLimit() time.Duration { return c.limit }

// host is one of two hosts. Its service tells the name of the host that serves it.
type host struct {
	*forward.Forwarder
	t       *testing.T
	name    string
	code    code
	router  *router.Router
	gate    *admission.Gate
	runs    atomic.Int32
	leaving atomic.Bool
	limiter *admission.Limiter
	records chan accesslog.Record
	handle  router.HandlerFunc // the service
	public  *httptest.Server
	peers   *httptest.Server // the listener for other hosts
	pinged  chan struct{}    // capacity 1
	home    *forward.Peer    // nil: it is the home itself
}

func newHost(t *testing.T, name string, handle router.HandlerFunc) *host {
	t.Helper()
	h := &host{t: t, name: name, records: make(chan accesslog.Record, 1000), pinged: make(chan struct{}, 1), gate: admission.NewGate(8)}
	h.code.limit = patience
	h.Forwarder = forward.New(forward.Config{Home: func(string) *forward.Peer { return h.home }, Peers: func() int { return 1 }, Leaving: h.leaving.Load, MaxBodyBytes: 1 << 20})
	h.handle = func(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
		h.runs.Add(1)
		w.Header().Set("Served-By", name)
		if handle != nil {
			return handle(w, r, res)
		}
		return nil
	}
	trust, err := forwarded.ParseTrust([]string{"127.0.0.0/8"})
	require.NoError(t, err)
	h.router = router.New(router.Config{Trust: trust, AccessLog: func(rec *accesslog.Record) { h.records <- *rec }})
	h.publish(version)
	h.public = serving.Front(httptest.NewUnstartedServer(h.router))
	h.public.Start()
	t.Cleanup(h.public.Close)
	h.Receiver().ServeBy(h.router)
	receiver := h.Receiver()
	h.peers = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !forward.Asks(r) {
			select {
			case h.pinged <- struct{}{}:
			default:
			}
			return
		}
		receiver.Receive(w, r, token)
	}))
	h.peers.Config.DisableGeneralOptionsHandler = true // so that pings are seen
	h.peers.StartTLS()
	t.Cleanup(h.peers.Close)
	return h
}

// publish makes the host serve a version.
func (h *host) publish(version string) {
	h.t.Helper()
	key := routekey.Key{Prefix: service}
	h.limiter = h.gate.NewLimiter(admission.Limits{BodyFirst: true, Queue: 10, Wait: time.Second, Concurrency: 3})
	table, err := router.BuildTable([]*router.Route{router.NewRoute(router.Binding{
		Key:      key,
		Service:  service,
		Content:  version,
		Limiter:  h.limiter,
		Passable: true,
		Handler:  h.Handler(registry.Service{Key: key}, version, h.handle, &h.code),
	})})
	require.NoError(h.t, err)
	h.router.Publish(table)
}

// at returns the host as a peer.
func (h *host) at(token string) *forward.Peer {
	h.t.Helper()
	return h.behind(h.peers.Listener.Addr().String(), token)
}

// behind returns the host as a peer with an address of its own.
func (h *host) behind(address, token string) *forward.Peer {
	pool := x509.NewCertPool()
	pool.AddCert(h.peers.Certificate())
	p := forward.NewPeer(forward.PeerConfig{Address: address, Token: token, TLS: &tls.Config{RootCAs: pool, ServerName: "example.com"}})
	h.t.Cleanup(p.Close)
	return p
}

// pair returns two hosts, of which the second one is the home of the service. handle is the service on that one.
func pair(t *testing.T, handle router.HandlerFunc) (a, b *host) {
	t.Helper()
	a, b = newHost(t, "a", func(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		body, err := io.ReadAll(r.Body)
		_, _ = w.Write(body)
		return err
	}), newHost(t, "b", handle)
	a.home = b.at(token)
	return a, b
}

func (h *host) do(r *http.Request) (*http.Response, string) {
	h.t.Helper()
	r.RequestURI = ""
	resp, err := h.public.Client().Do(r)
	require.NoError(h.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(h.t, err)
	return resp, string(text)
}

func (h *host) request(method, path, body string) *http.Request {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.public.URL+path, strings.NewReader(body))
	require.NoError(h.t, err)
	return r
}

func (h *host) servedBy(path string) string {
	h.t.Helper()
	resp, _ := h.do(h.request("GET", path, ""))
	require.Equal(h.t, http.StatusOK, resp.StatusCode)
	return resp.Header.Get("Served-By")
}

func (h *host) record() accesslog.Record {
	h.t.Helper()
	select {
	case rec := <-h.records:
		return rec
	case <-time.After(patience):
	}
	require.Fail(h.t, "there is no record")
	return accesslog.Record{}
}
