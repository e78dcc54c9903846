package conns

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/forwarded"
)

// relaying is the configuration of a listener whose peers are all trusted proxies.
func relaying(log *slog.Logger) Config {
	return Config{MaxConnections: 4, First: tick, Log: log, ProxyProtocol: true, Trusted: netip.Addr.IsLoopback}
}

func TestRelayIsReadFirst(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", relaying(nil))
	require.NoError(t, err)
	defer l.Close()
	server, client := accepted(t, l)
	_, err = io.WriteString(client, "PROXY TCP4 192.0.2.1 198.51.100.2 1 443\r\nGET")
	require.NoError(t, err)
	begin := make([]byte, 3)
	_, err = io.ReadFull(server, begin)
	require.NoError(t, err)
	require.Equal(t, "GET", string(begin))
	require.Equal(t, forwarded.Relay{Relayed: true, Source: netip.MustParseAddrPort("192.0.2.1:1"), Destination: netip.MustParseAddrPort("198.51.100.2:443")},
		server.Relay())
	require.Equal(t, client.LocalAddr().String(), server.RemoteAddr().String(), "the peer stays the proxy")
}

func TestMalformedHeadersAreReported(t *testing.T) {
	var said bytes.Buffer
	l, err := Listen(t.Context(), "127.0.0.1:0", relaying(slog.New(slog.NewTextHandler(&said, nil))))
	require.NoError(t, err)
	defer l.Close()
	for range 3 {
		server, client := accepted(t, l)
		_, err = io.WriteString(client, "GET / HTTP/1.1\r\n\r\n")
		require.NoError(t, err)
		for range 2 { // the result is kept
			_, err = server.Read(make([]byte, 1))
			var failed *net.OpError
			require.ErrorAs(t, err, &failed)
			require.Equal(t, "read", failed.Op, "the HTTP server closes such a connection without an answer")
		}
		require.Equal(t, forwarded.Relay{}, server.Relay())
	}
	wait(l, reportTicks)
	require.Contains(t, said.String(), "connections=3")
	said.Reset()
	wait(l, 2*reportTicks)
	require.Empty(t, said.String())
	require.EqualValues(t, 3, l.Stats().Malformed, "also after a report")
}

// TestHeadersAreAwaitedForATime checks that waiting for a
// PROXY header is bounded like that for the first request.
func TestHeadersAreAwaitedForATime(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", relaying(nil))
	require.NoError(t, err)
	defer l.Close()
	server, client := accepted(t, l)
	_, err = io.WriteString(client, "PROXY TCP4 192.0.2.1")
	require.NoError(t, err)
	wait(l, 3)
	_, err = server.Read(make([]byte, 1))
	var failed net.Error
	require.ErrorAs(t, err, &failed)
	require.True(t, failed.Timeout())
}

func TestTrustedProxiesHaveNoShare(t *testing.T) {
	cfg := Config{MaxConnections: 4, PerPeer: 1, Trusted: func(addr netip.Addr) bool { return addr == netip.MustParseAddr("10.0.0.1") }}
	l, err := Listen(t.Context(), "127.0.0.1:0", cfg)
	require.NoError(t, err)
	defer l.Close()
	for trusted, want := range map[bool]verdict{true: admitted, false: refused} {
		peer := netip.MustParseAddr("10.0.0.2")
		if trusted {
			peer = netip.MustParseAddr("10.0.0.1")
		}
		newcomer := func() *conn { return &conn{peer: peer, trusted: trusted, ticks: &l.ticks} }
		require.Equal(t, admitted, l.place(newcomer()))
		require.Equal(t, want, l.place(newcomer()))
	}
}
