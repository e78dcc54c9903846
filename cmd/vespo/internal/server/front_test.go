package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// front is a running server whose prefix /up leads to an
// upstream that responds with the request header it received.
type front struct{ address string }

func newFront(t *testing.T, flags ...string) *front {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Via-Upstream", "yes")
		_ = json.NewEncoder(w).Encode(r.Header)
	}))
	t.Cleanup(upstream.Close)
	cfg, err := parse(t, append(flags, "--listen=127.0.0.1:0", "--slots=2", "--memory=1MiB", "--data="+t.TempDir())...)
	require.NoError(t, err)
	s, url := listening(t, cfg)
	f := &front{address: strings.TrimPrefix(url, "http://")}
	_, err = s.core.deployer.Add(t.Context(), servicetest.Spec(proxy.KindName, "/up", proxy.Document{Upstreams: []string{upstream.URL}}))
	require.NoError(t, err)
	return f
}

// ask sends text on a new connection. It returns the status and, from
// the upstream's response, the header that the upstream received.
func (f *front) ask(t *testing.T, text string) (int, http.Header) {
	t.Helper()
	conn, err := net.Dial("tcp", f.address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil { // closed without a response
		return 0, nil
	}
	defer resp.Body.Close()
	var seen http.Header
	if resp.StatusCode == http.StatusOK && resp.Header.Get("Via-Upstream") != "" {
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&seen))
	}
	return resp.StatusCode, seen
}

func request(path string, fields ...string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s\r\n", path, strings.Join(append(fields, ""), "\r\n"))
}

func TestNoProxyIsTrusted(t *testing.T) { onBoth(t, testNoProxyIsTrusted) }

func testNoProxyIsTrusted(t *testing.T, fastLane string) {
	f := newFront(t, fastLane)
	status, seen := f.ask(t, request("/up", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "Forwarded: for=192.0.2.1", "X-Real-IP: 192.0.2.1",
		"Vespo-Caller: /a", "X_Forwarded_For: 192.0.2.1", "Content_Length: 5", "Transfer_Encoding: chunked", "X-Request-Id: mine"))
	require.Equal(t, 200, status)
	require.Equal(t, "127.0.0.1", seen.Get("X-Forwarded-For"))
	require.Equal(t, "http", seen.Get("X-Forwarded-Proto"))
	require.NotEqual(t, "mine", seen.Get("X-Request-Id"))
	for _, name := range []string{"Forwarded", "X-Real-Ip", "Vespo-Caller", "X_forwarded_for", "Content_length", "Transfer_encoding"} {
		require.NotContains(t, seen, name)
	}
	status, _ = f.ask(t, "PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n"+request("/up"))
	require.Equal(t, 400, status, "a PROXY header is no request")
}

func TestTrustedProxy(t *testing.T) { onBoth(t, testTrustedProxy) }

func testTrustedProxy(t *testing.T, fastLane string) {
	f := newFront(t, fastLane, "--trusted-proxy=10.0.0.0/8,127.0.0.1")
	status, seen := f.ask(t, request("/up", "X-Forwarded-For: 198.51.100.1, 192.0.2.1, 10.0.0.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: www.example.com",
		"X-Request-Id: its-own"))
	require.Equal(t, 200, status)
	require.Equal(t, []string{"192.0.2.1, 10.0.0.7, 127.0.0.1", "https", "www.example.com", "its-own"},
		[]string{seen.Get("X-Forwarded-For"), seen.Get("X-Forwarded-Proto"), seen.Get("X-Forwarded-Host"), seen.Get("X-Request-Id")})
	status, _ = f.ask(t, request("/services/list", "X-Forwarded-For: 127.0.0.1"))
	require.Equal(t, 403, status, "what came through a proxy manages nothing, whoever it claims to be")
	status, _ = f.ask(t, request("/services/list", "X-Forwarded-Proto: https"))
	require.Equal(t, 403, status)
	status, _ = f.ask(t, request("/services/health"))
	require.Equal(t, 200, status)
}

// v2 is a header of the PROXY protocol, version 2: 192.0.2.1:56789 to 198.51.100.2:443.
const v2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\xdd\xd5\x01\xbb"

func TestProxyProtocol(t *testing.T) { onBoth(t, testProxyProtocol) }

func testProxyProtocol(t *testing.T, fastLane string) {
	f := newFront(t, fastLane, "--trusted-proxy=private_ranges", "--proxy-protocol")
	for _, header := range []string{"PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n", v2} {
		status, seen := f.ask(t, header+request("/up", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: https"))
		require.Equal(t, 200, status)
		require.Equal(t, "192.0.2.1", seen.Get("X-Forwarded-For"), "the client is no proxy, and not believed")
		require.Equal(t, "http", seen.Get("X-Forwarded-Proto"))
	}
	// A TCP proxy in front of an HTTP proxy.
	status, seen := f.ask(t, "PROXY TCP4 10.0.0.9 198.51.100.2 56789 443\r\n"+request("/up", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"))
	require.Equal(t, 200, status)
	require.Equal(t, "192.0.2.1, 10.0.0.9", seen.Get("X-Forwarded-For"))
	require.Equal(t, "https", seen.Get("X-Forwarded-Proto"))

	for _, header := range []string{"PROXY UNKNOWN\r\n", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"} {
		status, seen = f.ask(t, header+request("/up"))
		require.Equal(t, 200, status)
		require.Equal(t, "127.0.0.1", seen.Get("X-Forwarded-For"))
		status, _ = f.ask(t, header+request("/services/list"))
		require.Equal(t, 403, status)
	}
	status, _ = f.ask(t, "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"+request("/services/list"))
	require.Equal(t, 403, status, "management is for this machine, and not for who claims to be on it")
	status, _ = f.ask(t, request("/up"))
	require.Zero(t, status, "a trusted proxy sends a header")
	status, _ = f.ask(t, "PROXY TCP4 x\r\n"+request("/up"))
	require.Zero(t, status)
}
