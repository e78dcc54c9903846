package router

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/forwarded"
)

func TestShareholders(t *testing.T) {
	for name, c := range map[string]struct {
		peer, remote string
		trusted      bool
		http1        bool
		connection   bool
		client       string
	}{
		"this machine":                         {peer: "127.0.0.1:1", remote: "127.0.0.1:1", http1: true},
		"this machine, IPv6":                   {peer: "[::1]:1", remote: "[::1]:1", http1: true},
		"this machine, mapped":                 {peer: "[::ffff:127.0.0.1]:1", remote: "[::ffff:127.0.0.1]:1", http1: true},
		"streams of this machine":              {peer: "127.0.0.1:1", remote: "127.0.0.1:1", connection: true},
		"another":                              {peer: "192.0.2.1:1", remote: "192.0.2.1:1", http1: true, client: "192.0.2.1"},
		"streams of another":                   {peer: "[2001:db8::1]:1", remote: "[2001:db8::1]:1", connection: true, client: "2001:db8::"},
		"a proxy's client":                     {peer: "10.0.0.1:1", remote: "192.0.2.1:0", trusted: true, http1: true, client: "192.0.2.1"},
		"streams of a proxy":                   {peer: "10.0.0.1:1", remote: "192.0.2.1:0", trusted: true, client: "192.0.2.1"},
		"a proxy that tells nothing":           {peer: "10.0.0.1:1", remote: "10.0.0.1:1", trusted: true},
		"a request that no connection brought": {},
	} {
		t.Run(name, func(t *testing.T) {
			connection, client := shareholders(&forwarded.Client{Peer: c.peer, Remote: c.remote, Trusted: c.trusted}, c.http1)
			require.Equal(t, c.connection, connection != "")
			if c.client == "" {
				require.False(t, client.IsValid())
			} else {
				require.Equal(t, netip.MustParseAddr(c.client), client)
			}
		})
	}
}

// One connection with many streams takes no more than its share, while the requests of others are served.
func TestOneConnectionTakesItsShare(t *testing.T) {
	const capacity, share, streams = 4, 2, 40
	gate := admission.NewGate(capacity)
	limiter := gate.NewLimiter(admission.Limits{Queue: 4, Wait: time.Hour, Shares: admission.NewShares(share, 8, time.Hour)})
	begun := make(chan struct{}, streams)
	table, err := BuildTable([]*Route{NewRoute(Binding{
		Key:     routekey.Key{Prefix: "/a"},
		Limiter: limiter,
		Handler: HandlerFunc(func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
			if r.URL.Query().Has("wait") {
				begun <- struct{}{}
				<-r.Context().Done()
			}
			_, err := io.WriteString(w, "ok")
			return err
		}),
	})})
	require.NoError(t, err)
	rt := New(Config{})
	rt.Publish(table)
	server := httptest.NewUnstartedServer(rt)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	refused := make(chan int, streams)
	for range streams {
		all.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/a?wait", nil)
			if err != nil {
				return
			}
			if resp, err := transport.RoundTrip(req); err == nil {
				resp.Body.Close()
				refused <- resp.StatusCode
			}
		})
	}
	for range share {
		<-begun
	}
	for range streams - share - 8 {
		require.Equal(t, http.StatusServiceUnavailable, <-refused)
	}
	for range 10 {
		resp, err := server.Client().Get(server.URL + "/a")
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, "ok", string(body))
	}
	require.Equal(t, admission.GateStats{Capacity: capacity, InFlight: share}, gate.Stats())
	require.Empty(t, begun)
}
