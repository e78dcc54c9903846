package proxy_test

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
)

const handshake = "GET %s HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// webSocketAccept returns the server's accept value for a key, RFC 6455 section 4.2.2.
func webSocketAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// echoTunnel starts an upstream that switches protocols and echoes, with a greeting
// before and a farewell after.
func echoTunnel(t *testing.T) string {
	t.Helper()
	s := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" {
			http.Error(w, "no upgrade: "+r.Header.Get("Upgrade"), http.StatusUpgradeRequired)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\nhi ",
			webSocketAccept(r.Header.Get("Sec-WebSocket-Key")))
		_, _ = io.Copy(conn, buffered)
		fmt.Fprint(conn, " bye")
	})
	return s.URL
}

func TestWebSocket(t *testing.T) {
	f := newFront(t, proxy.Config{})
	f.to("/ws", echoTunnel(t))
	conn, from := f.Dial()
	// Data that the client sends before the response must not be lost in a buffer.
	fmt.Fprintf(conn, handshake+"early ", "/ws/room")
	resp, err := http.ReadResponse(from, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	require.Equal(t, "websocket", resp.Header.Get("Upgrade"))
	require.Equal(t, "Upgrade", resp.Header.Get("Connection"))
	require.Equal(t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", resp.Header.Get("Sec-WebSocket-Accept"))
	id := resp.Header.Get("X-Request-Id")
	require.Equal(t, 1, f.Status("/ws").InFlight)
	for range 3 {
		fmt.Fprint(conn, "word ")
	}
	require.NoError(t, conn.CloseWrite(), "who has said all can still listen")
	heard, err := io.ReadAll(from)
	require.NoError(t, err)
	require.Equal(t, "hi early word word word  bye", string(heard))
	rec := f.Records.Nth(1)
	require.Equal(t, id, rec.RequestID)
	require.Equal(t, http.StatusSwitchingProtocols, rec.Status)
	require.Equal(t, accesslog.OutcomeOK, rec.Outcome)
	require.EqualValues(t, len("early word word word "), rec.BytesIn)
	require.EqualValues(t, len(heard), rec.BytesOut)
	require.Positive(t, rec.TTFB)
}

func TestUpgradesThatAreRefused(t *testing.T) {
	f := newFront(t, proxy.Config{})
	f.to("/", echoTunnel(t))
	for _, upgrade := range []string{"other", "h2c", "h2c, websocket"} {
		resp := f.Get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: "+upgrade, "Http2-Settings: AAMAAABkAAQ")
		require.Equal(t, http.StatusUpgradeRequired, resp.StatusCode)
		if strings.Contains(upgrade, "h2c") {
			require.Equal(t, "no upgrade: \n", resp.Body, "what went by HTTP/2 then would pass by the server")
		}
	}
}

// TestTunnelEndsWithTheDeployment holds a tunnel open until the deployment is closed.
func TestTunnelEndsWithTheDeployment(t *testing.T) {
	f := newFront(t, proxy.Config{})
	f.to("/", echoTunnel(t))
	d := f.Deployment("/")
	conn, from := f.Dial()
	fmt.Fprintf(conn, handshake, "/")
	require.Equal(t, "HTTP/1.1 101 Switching Protocols", readHeader(from))
	f.Withdraw("/")
	_, _ = io.Copy(io.Discard, from)
	rec := f.Records.Nth(1)
	require.Equal(t, accesslog.OutcomeAborted, rec.Outcome)
	require.Zero(t, proxy.UpstreamRequests(d))
}

// TestTunnelEndsWithEitherSide closes a tunnel from the client, and another from the upstream.
func TestTunnelEndsWithEitherSide(t *testing.T) {
	f := newFront(t, proxy.Config{})
	ended := make(chan struct{})
	up := serveRaw(t, func(conn net.Conn, from *bufio.Reader) {
		first := readHeader(from)
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if strings.Contains(first, "/client") {
			_, _ = io.Copy(io.Discard, from)
			close(ended)
		}
	})
	f.to("/", up)
	conn, from := f.Dial()
	fmt.Fprintf(conn, handshake, "/client")
	require.Equal(t, "HTTP/1.1 101 Switching Protocols", readHeader(from))
	require.NoError(t, conn.Close())
	<-ended
	f.Records.Nth(1)
	conn, from = f.Dial()
	fmt.Fprintf(conn, handshake, "/upstream")
	require.Equal(t, "HTTP/1.1 101 Switching Protocols", readHeader(from))
	_, err := io.Copy(io.Discard, from)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Equal(t, http.StatusSwitchingProtocols, f.Records.Nth(2).Status)
}

// The limit of tunnels does not apply to requests.
func TestTunnelsAreBounded(t *testing.T) {
	f := newFront(t, proxy.Config{Tunnels: 1})
	f.to("/", echoTunnel(t))
	first, from := f.Dial()
	fmt.Fprintf(first, handshake, "/")
	require.Equal(t, "HTTP/1.1 101 Switching Protocols", readHeader(from))
	second, refused := f.Dial()
	fmt.Fprintf(second, handshake, "/")
	resp, err := http.ReadResponse(refused, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Equal(t, "1", resp.Header.Get("Retry-After"))
	stats := f.kind.Stats()
	require.Equal(t, []int{1, 1}, []int{stats.Tunnels, stats.MaxTunnels})
	require.Equal(t, http.StatusUpgradeRequired, f.Get("/").StatusCode, "a request is served")
	require.NoError(t, first.Close())
	f.Records.Nth(3)
	third, from := f.Dial()
	fmt.Fprintf(third, handshake, "/")
	require.Equal(t, "HTTP/1.1 101 Switching Protocols", readHeader(from))
}

// TestTunnelsOfOneClientAreBounded checks that a client leaves tunnels to
// others, and that a request to upgrade to HTTP/2 does not need a tunnel.
func TestTunnelsOfOneClientAreBounded(t *testing.T) {
	trust, err := forwarded.ParseTrust([]string{"127.0.0.1"})
	require.NoError(t, err)
	f := newFrontBehind(t, proxy.Config{Tunnels: 2, PerClient: 1}, trust)
	f.to("/", echoTunnel(t))
	ask := func(client, protocol string) (net.Conn, int) {
		conn, from := f.Dial()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Forwarded-For: %s\r\n\r\n", protocol, client)
		resp, err := http.ReadResponse(from, nil)
		require.NoError(t, err)
		return conn, resp.StatusCode
	}
	first, status := ask("192.0.2.1", "websocket")
	require.Equal(t, http.StatusSwitchingProtocols, status)
	_, status = ask("192.0.2.1", "websocket")
	require.Equal(t, http.StatusServiceUnavailable, status)
	_, status = ask("192.0.2.2", "websocket")
	require.Equal(t, http.StatusSwitchingProtocols, status)
	_, status = ask("192.0.2.3", "websocket")
	require.Equal(t, http.StatusServiceUnavailable, status, "all are taken")
	_, status = ask("192.0.2.1", "h2c")
	require.Equal(t, http.StatusUpgradeRequired, status, "a request is served")
	require.NoError(t, first.Close())
	f.Records.Nth(4)
	_, status = ask("192.0.2.3", "websocket")
	require.Equal(t, http.StatusSwitchingProtocols, status, "a refused client holds no share")
	_, status = ask("192.0.2.1", "websocket")
	require.Equal(t, http.StatusServiceUnavailable, status, "all are taken")
}

// An idle tunnel is closed, even if the client does not read the data sent to it.
func TestIdleTunnelsEnd(t *testing.T) {
	flood := serveRaw(t, func(conn net.Conn, from *bufio.Reader) {
		readHeader(from)
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		for {
			if _, err := conn.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	for name, up := range map[string]string{"silent": echoTunnel(t), "unread": flood} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, proxy.Config{TunnelIdle: 100 * time.Millisecond})
			f.to("/", up)
			conn, from := f.Dial()
			fmt.Fprintf(conn, handshake, "/")
			require.Equal(t, "HTTP/1.1 101 Switching Protocols", readHeader(from))
			rec := f.Records.Nth(1)
			require.Equal(t, accesslog.OutcomeAborted, rec.Outcome)
			require.ErrorIs(t, rec.Err, proxy.ErrTunnelIdle)
			require.Equal(t, http.StatusSwitchingProtocols, rec.Status)
		})
	}
}
