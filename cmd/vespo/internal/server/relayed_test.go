package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs/certtest"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/linestest"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// carrier is a way in which a request follows a PROXY header.
type carrier struct {
	name       string
	http2, tls bool
	eachByte   bool   // every byte of the header and of what follows first is a write of its own
	lane       string // --fast-lane
}

// carriers are all of them, the plainest one first.
func carriers() (all []carrier) {
	for _, lane := range []string{"off", "on"} {
		for i := range 8 {
			c := carrier{http2: i&1 != 0, tls: i&2 != 0, eachByte: i&4 != 0, lane: lane}
			c.name = fmt.Sprintf("lane %s, http2 %t, tls %t, each byte %t", lane, c.http2, c.tls, c.eachByte)
			all = append(all, c)
		}
	}
	return all
}

// beginning is a connection that writes a header first.
type beginning struct {
	net.Conn
	header   string
	eachByte bool
	writes   int
}

func (b *beginning) Write(p []byte) (int, error) {
	b.writes++
	if b.writes == 1 {
		if err := b.send([]byte(b.header)); err != nil {
			return 0, err
		}
	}
	if b.writes > 3 {
		return b.Conn.Write(p)
	}
	return len(p), b.send(p)
}

func (b *beginning) send(p []byte) error {
	if !b.eachByte {
		_, err := b.Conn.Write(p)
		return err
	}
	for i := range p {
		if _, err := b.Conn.Write(p[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// relayed is a server behind a proxy that speaks the PROXY protocol.
type relayed struct {
	plain, secure string // addresses
	tls           *tls.Config
	records       *linestest.Lines // access records in JSON
	server        *server          // of plain
}

// newRelayed starts two servers, with TLS and without.
func newRelayed(t *testing.T, lane string, flags ...string) *relayed {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(w).Encode(r.Header) }))
	t.Cleanup(upstream.Close)
	a := certtest.NewAuthority(t)
	cert, key := a.Files("localhost", "127.0.0.1")
	r := &relayed{tls: &tls.Config{RootCAs: a.Pool(), ServerName: "localhost"}, records: linestest.New()}
	for _, more := range [][]string{nil, {"--tls-cert=" + cert, "--tls-key=" + key}} {
		cfg, err := parse(t, append(append(more, flags...), "--fast-lane="+lane, "--listen=127.0.0.1:0", "--slots=2", "--memory=1MiB", "--data="+t.TempDir(), "--proxy-protocol")...)
		require.NoError(t, err)
		s, address := r.run(t, cfg)
		_, err = s.core.deployer.Add(t.Context(), servicetest.Spec(proxy.KindName, "/up", proxy.Document{Upstreams: []string{upstream.URL}}))
		require.NoError(t, err)
		if more == nil {
			r.plain, r.server = address, s
		} else {
			r.secure = address
		}
	}
	return r
}

// run runs a server until the end of the test, with its access records in r.records.
func (r *relayed) run(t *testing.T, cfg *Config) (s *server, address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	said := linestest.New()
	s = newServer(ctx, cfg, stdio.Streams{Err: said}, slog.New(slog.DiscardHandler))
	s.access.listener = accesslog.JSON(r.records)
	t.Cleanup(func() { require.NoError(t, s.close()) })
	require.NoError(t, s.open(ctx))
	_, address, _ = strings.Cut(toEnd(t, ctx, cancel, s, said), "://")
	return s, address
}

// client returns a client whose connections begin with a header.
func (r *relayed) client(t *testing.T, c carrier, header string) (client *http.Client, url string) {
	transport := &http.Transport{TLSClientConfig: r.tls.Clone(), Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!c.http2)
	transport.Protocols.SetHTTP2(c.http2 && c.tls)
	transport.Protocols.SetUnencryptedHTTP2(c.http2 && !c.tls)
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return &beginning{Conn: conn, header: header, eachByte: c.eachByte}, err
	}
	t.Cleanup(transport.CloseIdleConnections)
	url = "http://" + r.plain
	if c.tls {
		url = "https://" + r.secure
	}
	return &http.Client{Transport: transport, Timeout: time.Minute}, url
}

// seen is what a server knows of a request.
type seen struct {
	status       int
	header       http.Header // of the request to the upstream, without what differs each time
	remote, peer string      // of the access record; without the peer's port
}

func (r *relayed) ask(t *testing.T, c carrier, header, path, id string, fields ...string) (s seen) {
	t.Helper()
	client, url := r.client(t, c, header)
	for n := range 2 { // the second request of a connection is like the first
		mark := fmt.Sprintf("%s-%d", id, n)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path+"?"+mark, nil)
		require.NoError(t, err)
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			req.Header.Set(name, value)
		}
		resp, err := client.Do(req)
		if err != nil {
			return seen{}
		}
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, resp.Body.Close())
		if resp.StatusCode == http.StatusBadRequest { // not a request, so there is no record
			return seen{status: resp.StatusCode}
		}
		require.NoError(t, err)
		require.Equal(t, c.http2, resp.ProtoMajor == 2)
		now := seen{status: resp.StatusCode}
		if resp.StatusCode == http.StatusOK && path == "/up" {
			require.NoError(t, json.Unmarshal(body, &now.header))
			scheme := "http"
			if c.tls {
				scheme = "https"
			}
			require.Equal(t, scheme, now.header.Get("X-Forwarded-Proto"))
			for _, differs := range []string{"X-Request-Id", "X-Forwarded-Proto", "X-Forwarded-Host", "Via"} {
				now.header.Del(differs)
			}
		}
		now.remote, now.peer = r.record(t, mark)
		if n == 1 {
			require.Equal(t, s, now)
		}
		s = now
	}
	return s
}

// record returns the remote and the peer of the access record whose URI has a mark.
func (r *relayed) record(t *testing.T, mark string) (remote, peer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.True(t, r.records.Await(ctx, func(text string) bool {
		for line := range strings.Lines(text) {
			if strings.Contains(line, mark) && strings.HasSuffix(line, "\n") {
				var rec struct{ Remote, Peer string }
				require.NoError(t, json.Unmarshal([]byte(line), &rec))
				remote, peer = rec.Remote, rec.Peer
				return true
			}
		}
		return false
	}))
	if host, port, err := net.SplitHostPort(remote); err == nil && host == "127.0.0.1" && port != "4321" {
		remote = host // the proxy itself
	}
	if host, _, err := net.SplitHostPort(peer); err == nil {
		peer = host
	}
	return remote, peer
}

// A request means the same to the server over HTTP/1.1 and HTTP/2, with TLS and without, after every form of a PROXY header.
func TestPROXYHeadersMeanTheSameToAllProtocols(t *testing.T) {
	const signature = "\r\n\r\n\x00\r\nQUIT\n"
	ip6 := "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11)
	headers := map[string]struct {
		header       string
		remote, peer string // of the access record; empty: no request is served
	}{
		"v1 TCP4":              {"PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n", "192.0.2.1:56789", "127.0.0.1"},
		"v1 TCP6":              {"PROXY TCP6 2001:db8::1 2001:db8::2 56789 443\r\n", "[2001:db8::1]:56789", "127.0.0.1"},
		"v1 UNKNOWN":           {"PROXY UNKNOWN\r\n", "127.0.0.1", ""},
		"v1 UNKNOWN, more":     {"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "127.0.0.1", ""},
		"v1 of another proxy":  {"PROXY TCP4 10.0.0.9 198.51.100.2 4321 443\r\n", "203.0.113.7:0", "127.0.0.1"},
		"v2 TCP4":              {v2, "192.0.2.1:56789", "127.0.0.1"},
		"v2 TCP4 with TLVs":    {signature + "\x21\x11\x00\x16\xc0\x00\x02\x01\xc6\x33\x64\x02\xdd\xd5\x01\xbb\x04\x00\x07PRI * H", "192.0.2.1:56789", "127.0.0.1"},
		"v2 TCP6":              {signature + "\x21\x21\x00\x24" + ip6 + "\x01" + ip6 + "\x02\xdd\xd5\x01\xbb", "[2001:db8::1]:56789", "127.0.0.1"},
		"v2 LOCAL":             {signature + "\x20\x00\x00\x00", "203.0.113.7:0", "127.0.0.1"},
		"v2 LOCAL with a TLV":  {signature + "\x20\x00\x00\x03\x04\x00\x00", "203.0.113.7:0", "127.0.0.1"},
		"v2 UNSPEC":            {signature + "\x21\x00\x00\x00", "127.0.0.1", ""},
		"v2 UNIX":              {signature + "\x21\x31\x00\xd8" + strings.Repeat("a", 216), "127.0.0.1", ""},
		"none":                 {"", "", ""},
		"v1 malformed":         {"PROXY TCP4 192.0.2.1\r\n", "", ""},
		"v2 of version 3":      {signature + "\x31\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\xdd\xd5\x01\xbb", "", ""},
		"v2, addresses cut":    {signature + "\x21\x11\x00\x04\xc0\x00\x02\x01", "", ""},
		"v2, too long":         {signature + "\x21\x11\xff\xff\xc0\x00\x02\x01", "", ""},
		"two headers":          {v2 + "PROXY TCP4 192.0.2.9 198.51.100.2 1 443\r\n", "", ""},
		"v1 with a space more": {"PROXY  TCP4 192.0.2.1 198.51.100.2 56789 443\r\n", "", ""},
	}
	want := make(map[string]seen)
	var r *relayed
	lane := ""
	for i, c := range carriers() {
		if c.lane != lane {
			lane = c.lane
			r = newRelayed(t, lane, "--trusted-proxy=127.0.0.1,10.0.0.0/8")
		}
		n := 0
		for name, h := range headers {
			n++
			got := r.ask(t, c, h.header, "/up", fmt.Sprintf("mark-%d-%d", i, n), "X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.8", "User-Agent: test")
			if name == "two headers" && got.status == http.StatusBadRequest {
				got = seen{} // over HTTP/1.1 it is a malformed request
			}
			if h.remote == "" {
				require.Zero(t, got.status, "%s: %s", c.name, name)
				continue
			}
			require.Equal(t, http.StatusOK, got.status, "%s: %s", c.name, name)
			require.Equal(t, []string{h.remote, h.peer}, []string{got.remote, got.peer}, "%s: %s", c.name, name)
			if _, ok := want[name]; !ok {
				want[name] = got
			}
			require.Equal(t, want[name], got, "%s: %s", c.name, name)
			managed := r.ask(t, c, h.header, "/services/list", fmt.Sprintf("managed-%d-%d", i, n))
			require.Equal(t, http.StatusForbidden, managed.status, "%s: %s", c.name, name)
		}
	}
}

// A client that is not a trusted proxy cannot send a header: neither protocol takes it.
func TestPROXYHeadersOfOthersAreRefused(t *testing.T) {
	for _, c := range carriers() {
		if c.eachByte {
			continue
		}
		r := newRelayed(t, c.lane, "--trusted-proxy=10.0.0.0/8")
		for i, header := range []string{"PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n", v2} {
			got := r.ask(t, c, header, "/up", fmt.Sprintf("mark-%d", i))
			require.NotEqual(t, http.StatusOK, got.status, c.name)
		}
		got := r.ask(t, c, "", "/up", "plain", "X-Forwarded-For: 203.0.113.7")
		require.Equal(t, seen{status: 200, header: got.header, remote: "127.0.0.1"}, got, c.name)
		require.Equal(t, "127.0.0.1", got.header.Get("X-Forwarded-For"))
	}
}
