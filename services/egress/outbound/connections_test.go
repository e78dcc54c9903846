package outbound

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// upstream starts a server that answers when as many requests as together are there, and counts its connections.
func upstream(t *testing.T, secure bool, together int) (s *httptest.Server, accepted *atomic.Int64) {
	var meet sync.Mutex
	arrived, all := 0, make(chan struct{})
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		meet.Lock()
		wait := all
		if arrived++; arrived%together == 0 {
			close(all)
			all = make(chan struct{})
		}
		meet.Unlock()
		<-wait
	}))
	accepted = new(atomic.Int64)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			accepted.Add(1)
		}
	}
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, accepted
}

// sharing returns a client that trusts the server.
func sharing(t *testing.T, s *httptest.Server, connections *Connections) *Client {
	a, violations := ParseAllow([]string{s.URL})
	require.Empty(t, violations)
	c := New(Config{Allow: a, Caller: "/caller", Connections: connections})
	t.Cleanup(c.Close)
	if s.TLS != nil {
		c.transport.TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	}
	return c
}

// TestConnectionsAreKept checks that as many requests at a time as usual find the connections of earlier ones.
func TestConnectionsAreKept(t *testing.T) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			const together = 64
			s, accepted := upstream(t, secure, together)
			connections := NewConnections(0)
			c := sharing(t, s, connections)
			for range 3 {
				done := make(chan error, together)
				for range together {
					go func() { done <- get(t.Context(), c, s.URL) }()
				}
				for range together {
					require.NoError(t, <-done)
				}
			}
			// A transport that waits for the processor for 50 ms gives a connection up.
			require.Less(t, accepted.Load(), int64(2*together))
			require.LessOrEqual(t, connections.Open(), accepted.Load())
			c.Close()
			require.Eventually(t, func() bool { return connections.Open() == 0 }, 10*time.Second, time.Millisecond)
		})
	}
}

// get makes one call.
func get(ctx context.Context, c *Client, url string) error {
	call, err := c.exchange().Open(ctx, "GET", url)
	if err != nil {
		return err
	}
	defer call.Close()
	if _, err = call.Send(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, call)
	return err
}

// TestConnectionsAreBounded checks that clients together keep no more connections than allowed.
func TestConnectionsAreBounded(t *testing.T) {
	const most, clients = 3, 12
	s, accepted := upstream(t, false, 1)
	connections := NewConnections(most)
	all := make([]*Client, clients)
	for i := range all {
		all[i] = sharing(t, s, connections)
	}
	for range 4 {
		for _, c := range all {
			require.NoError(t, get(t.Context(), c, s.URL))
		}
	}
	require.Eventually(t, func() bool { return connections.Open() <= most+1 }, 10*time.Second, time.Millisecond)
	require.Positive(t, connections.Open())
	require.Greater(t, accepted.Load(), int64(clients))
}

// TestFailedConnectionsAreNotCounted checks that neither a refused connection nor a failed handshake stays in the count.
func TestFailedConnectionsAreNotCounted(t *testing.T) {
	s, _ := upstream(t, true, 1)
	connections := NewConnections(0)
	c := sharing(t, s, connections)
	c.transport.TLSClientConfig.RootCAs = nil
	require.Error(t, get(t.Context(), c, s.URL))
	require.Eventually(t, func() bool { return connections.Open() == 0 }, 10*time.Second, time.Millisecond)
	s.Close()
	require.Error(t, get(t.Context(), c, s.URL))
	require.Zero(t, connections.Open())
}
