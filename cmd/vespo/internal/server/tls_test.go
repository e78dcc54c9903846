package server

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs/certtest"
	"github.com/vespo-dev/vespo/internal/halfclose"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// secure is a running server with TLS whose prefix /up leads to an upstream.
type secure struct {
	*server
	address string
	tls     *tls.Config // of a client
}

// newSecure starts a server with a certificate for 127.0.0.1 and for localhost.
func newSecure(t *testing.T, upstream http.HandlerFunc, flags ...string) *secure {
	t.Helper()
	a := certtest.NewAuthority(t)
	cert, key := a.Files("localhost", "127.0.0.1")
	cfg, err := parse(t, append([]string{"--listen=127.0.0.1:0", "--slots=2", "--memory=1MiB", "--data=" + t.TempDir(), "--tls-cert=" + cert, "--tls-key=" + key}, flags...)...)
	require.NoError(t, err)
	s, url := listening(t, cfg)
	address, found := strings.CutPrefix(url, "https://")
	require.True(t, found, url)
	up := httptest.NewServer(upstream)
	t.Cleanup(up.Close)
	_, err = s.core.deployer.Add(t.Context(), servicetest.Spec(proxy.KindName, "/up", proxy.Document{Upstreams: []string{up.URL}}))
	require.NoError(t, err)
	return &secure{server: s, address: address, tls: &tls.Config{RootCAs: a.Pool(), ServerName: "localhost"}}
}

// client returns a client with connections of its own.
func (s *secure) client(t *testing.T, http2 bool) *http.Client {
	transport := &http.Transport{TLSClientConfig: s.tls.Clone(), Protocols: new(http.Protocols), DisableKeepAlives: !http2}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// dial returns a connection that has not sent anything yet.
func (s *secure) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// sends responds with the request's fields, and the body with its length as a trailer.
func sends(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "Length")
	seen, _ := json.Marshal(r.Header)
	w.Header().Set("Seen", string(seen))
	n, _ := io.Copy(w, r.Body)
	w.Header().Set("Length", fmt.Sprint(n))
}

func TestTLS(t *testing.T) {
	s := newSecure(t, sends, "--hsts=24h")
	for _, http2 := range []bool{false, true} {
		client := s.client(t, http2)
		for range 3 {
			body := strings.Repeat("0123456789abcdef", 64<<10)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.address+"/up", strings.NewReader(body))
			require.NoError(t, err)
			req.Header.Set("Expect", "100-continue")
			resp, err := client.Do(req)
			require.NoError(t, err)
			back, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, 200, resp.StatusCode)
			require.Equal(t, http2, resp.ProtoMajor == 2)
			require.True(t, string(back) == body)
			require.Equal(t, fmt.Sprint(len(body)), resp.Trailer.Get("Length"))
			require.Equal(t, []string{"max-age=86400"}, resp.Header.Values("Strict-Transport-Security"))
			var seen http.Header
			require.NoError(t, json.Unmarshal([]byte(resp.Header.Get("Seen")), &seen))
			require.Equal(t, "https", seen.Get("X-Forwarded-Proto"))
		}
	}
	plain, err := http.Get("http://" + s.address + "/up")
	require.NoError(t, err)
	defer plain.Body.Close()
	require.Equal(t, 400, plain.StatusCode)
}

// TestTLSOfManagement checks that programs on this machine manage over TLS, as they do without.
func TestTLSOfManagement(t *testing.T) {
	s := newSecure(t, sends)
	resp, err := s.client(t, true).Get("https://" + s.address + "/services/list")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 200, resp.StatusCode)
}

// TestTunnelsOverTLS switches protocols, and closes each direction of the tunnel by itself.
func TestTunnelsOverTLS(t *testing.T) {
	s := newSecure(t, func(w http.ResponseWriter, r *http.Request) {
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		all, _ := io.ReadAll(both) // until the client closes its side
		fmt.Fprintf(conn, "%s, and the end", all)
	})
	conn := tls.Client(s.dial(t), s.tls)
	_, err := io.WriteString(conn, "GET /up HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nsome bytes")
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	require.Equal(t, 101, resp.StatusCode)
	_, err = io.WriteString(conn, " and more")
	require.NoError(t, err)
	require.NoError(t, halfclose.CloseWrite(conn))
	back, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Equal(t, "some bytes and more, and the end", string(back))
}

// TestProxyProtocolBeforeTLS checks that a PROXY header comes before the handshake.
func TestProxyProtocolBeforeTLS(t *testing.T) {
	s := newSecure(t, sends, "--trusted-proxy=127.0.0.1", "--proxy-protocol")
	tcp := s.dial(t)
	_, err := io.WriteString(tcp, v2)
	require.NoError(t, err)
	conn := tls.Client(tcp, s.tls)
	_, err = io.WriteString(conn, request("/up"))
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	var seen http.Header
	require.NoError(t, json.Unmarshal([]byte(resp.Header.Get("Seen")), &seen))
	require.Equal(t, "192.0.2.1", seen.Get("X-Forwarded-For"))
	require.Equal(t, "https", seen.Get("X-Forwarded-Proto"))
}

// TestSlowHandshakesMakeRoom takes all places by handshakes that do not go on. The next client gets one of them.
func TestSlowHandshakesMakeRoom(t *testing.T) {
	const places = 8
	s := newSecure(t, sends, fmt.Sprintf("--max-connections=%d", places))
	for range places {
		_, err := s.dial(t).Write([]byte{22, 3, 1, 2, 0, 1}) // of a ClientHello
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return s.surfaces[0].listener.Stats().Open == places }, time.Minute, time.Millisecond)
	resp, err := s.client(t, true).Get("https://" + s.address + "/up")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 200, resp.StatusCode)
}

func TestHandshakesThatFailAreCounted(t *testing.T) {
	s := newSecure(t, sends)
	stats := s.surfaces[0].listener.Stats
	require.Error(t, tls.Client(s.dial(t), &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}).Handshake())
	require.Eventually(t, func() bool { return stats().Failed == 1 }, time.Minute, time.Millisecond)
	require.NoError(t, s.dial(t).Close())
	require.Eventually(t, func() bool { return stats().Open == 0 }, time.Minute, time.Millisecond)
	require.EqualValues(t, 1, stats().Failed, "a connection without a handshake is one of a health check")
}

func TestRedirectToHTTPS(t *testing.T) {
	s := newSecure(t, sends, "--http-redirect=127.0.0.1:0")
	redirect := s.surfaces[1].listener.Addr().String()
	_, port, err := net.SplitHostPort(s.address)
	require.NoError(t, err)
	ask := func(text string) *http.Response {
		conn, err := net.Dial("tcp", redirect)
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, text)
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		return resp
	}
	resp := ask("POST //a%2fb?c=%20d HTTP/1.1\r\nHost: www.example.com:80\r\nContent-Length: 0\r\n\r\n")
	require.Equal(t, 308, resp.StatusCode)
	require.Equal(t, "https://www.example.com:"+port+"//a%2fb?c=%20d", resp.Header.Get("Location"))
	resp = ask("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n")
	require.Equal(t, "https://[::1]:"+port+"/", resp.Header.Get("Location"))
	for _, bad := range []string{"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"} {
		require.Equal(t, 400, ask(bad).StatusCode)
	}
	for host, want := range map[string]string{"a.example": "https://a.example/x", "[::1]:80": "https://[::1]/x"} {
		w := httptest.NewRecorder()
		redirectTo("443").ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://"+host+"/x", nil))
		require.Equal(t, want, w.Header().Get("Location"))
	}
}

func TestTLSSettings(t *testing.T) {
	const files = "--tls-cert=c --tls-key=k "
	for text, want := range map[string]string{
		"--tls-cert=c":                                    "--tls-key is given 0 times",
		files + "--tls-on=public,all,x":                   `--tls-on has "x"`,
		"--http-redirect=:80":                             "--http-redirect needs a certificate",
		"--hsts=1h":                                       "--hsts needs a certificate",
		files + "--hsts=1500ms":                           "whole seconds",
		files + "--http-redirect=80":                      "write it like :80",
		"--worker-client-ca=f":                            "--worker-client-ca needs a certificate",
		files + "--worker-client-ca=f --tls-on=all":       "",
		files + "--worker-client-ca=f --tls-on=public":    "add workers to --tls-on",
		files + "--worker-client-ca=f --worker-listen=:0": "",
	} {
		_, err := parse(t, strings.Fields(text)...)
		if want == "" {
			require.NoError(t, err, text)
		} else {
			require.ErrorContains(t, err, want, text)
		}
	}
}

func TestListenersWithTLS(t *testing.T) {
	const lan, loopback = "192.0.2.1:1", "localhost:1"
	for _, c := range []struct{ flags, listener, address string }{
		{"", onPublic, loopback},
		{"", onLambda, lan},
		{"", onAdmin, ":1"},
		{"--tls-on=lambda", onLambda, loopback},
		{"--tls-on=all", onWorkers, loopback},
		{"--worker-client-ca=f", onWorkers, loopback},
	} {
		cfg, err := parse(t, strings.Fields("--tls-cert=c --tls-key=k "+c.flags)...)
		require.NoError(t, err)
		require.True(t, cfg.secures(c.listener, c.address), c)
	}
	for _, c := range []struct{ flags, listener, address string }{
		{"", onWorkers, "127.0.0.1:1"},
		{"", onLambda, loopback},
		{"--tls-on=lambda", onPublic, lan},
		{"--worker-client-ca=f", onLambda, "[::1]:1"},
	} {
		cfg, err := parse(t, strings.Fields("--tls-cert=c --tls-key=k "+c.flags)...)
		require.NoError(t, err)
		require.False(t, cfg.secures(c.listener, c.address), c)
	}
}
