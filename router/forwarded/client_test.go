package forwarded

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func trust(t testing.TB, networks ...string) *Trust {
	t.Helper()
	all, err := ParseTrust(networks)
	require.NoError(t, err)
	return all
}

func TestParseTrust(t *testing.T) {
	all := trust(t, "10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.1")
	for _, inside := range []string{"10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3", "198.51.100.1"} {
		require.True(t, all.Contains(netip.MustParseAddr(inside)), inside)
	}
	for _, outside := range []string{"11.0.0.1", "192.0.2.8", "2001:db9::1", "127.0.0.1"} {
		require.False(t, all.Contains(netip.MustParseAddr(outside)), outside)
	}
	private := trust(t, PrivateRanges)
	for _, inside := range []string{"10.1.2.3", "172.31.0.1", "192.168.1.1", "127.0.0.1", "::1", "fd00::1"} {
		require.True(t, private.Contains(netip.MustParseAddr(inside)), inside)
	}
	require.False(t, private.Contains(netip.MustParseAddr("172.32.0.1")))
	require.False(t, (*Trust)(nil).Contains(netip.MustParseAddr("127.0.0.1")))
	require.False(t, all.Contains(netip.Addr{}))
	for _, wrong := range []string{"", "10.0.0.0/33", "10.0.0.1/8", "example.com", "10.0.0.0/8,11.0.0.0/8", "fe80::1%eth0", "::ffff:10.0.0.0/104"} {
		_, err := ParseTrust([]string{wrong})
		require.Error(t, err, wrong)
	}
}

// request returns a request from a peer; fields have the form "Name: value".
func request(peer string, fields ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr, r.Host, r.Header = peer, "in.example:8080", http.Header{}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestClient(t *testing.T) {
	const nginx, lb, stranger = "10.0.0.1:1000", "10.0.0.2:1000", "192.0.2.9:1000"
	tests := []struct {
		name   string
		peer   string
		fields []string

		remote, scheme, host, port, id, forwardedFor string
	}{
		{"a client", stranger, nil, stranger, "http", "in.example:8080", "", "", "192.0.2.9"},
		{"a client that claims", stranger, []string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: x", "Forwarded: for=1.1.1.1",
			"X-Request-Id: mine", "X-Forwarded-Port: 1"}, stranger, "http", "in.example:8080", "", "", "192.0.2.9"},
		{"no claim of a proxy", nginx, nil, nginx, "http", "in.example:8080", "", "", "10.0.0.1"},
		{"a proxy", nginx, []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: www.example.com", "X-Request-Id: a-1",
			"X-Forwarded-Port: 443"}, "192.0.2.1:0", "https", "www.example.com", "443", "a-1", "192.0.2.1, 10.0.0.1"},
		{"a forged beginning", nginx, []string{"X-Forwarded-For: 127.0.0.1, 192.0.2.1"}, "192.0.2.1:0", "http", "in.example:8080", "", "", "192.0.2.1, 10.0.0.1"},
		{"a forged field before", nginx, []string{"X-Forwarded-For: 10.0.0.9", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https, http",
			"X-Forwarded-Host: a, b"}, "192.0.2.1:0", "http", "b", "", "", "192.0.2.1, 10.0.0.1"},
		{"two proxies", lb, []string{"X-Forwarded-For: 1.1.1.1, 192.0.2.1 ,10.0.0.1", "X-Forwarded-Proto: http, https, http"},
			"192.0.2.1:0", "https", "in.example:8080", "", "", "192.0.2.1, 10.0.0.1, 10.0.0.2"},
		{"all are proxies", lb, []string{"X-Forwarded-For: 10.0.0.3, 10.0.0.1"}, "10.0.0.3:0", "http", "in.example:8080", "", "", "10.0.0.3, 10.0.0.1, 10.0.0.2"},
		{"with ports", nginx, []string{"X-Forwarded-For: 192.0.2.1:4711"}, "192.0.2.1:4711", "http", "in.example:8080", "", "", "192.0.2.1, 10.0.0.1"},
		{"IPv6", nginx, []string{"X-Forwarded-For: [2001:db8::1]:4711"}, "[2001:db8::1]:4711", "http", "in.example:8080", "", "", "2001:db8::1, 10.0.0.1"},
		{"IPv6 in brackets", nginx, []string{"X-Forwarded-For: [2001:db8::1]"}, "[2001:db8::1]:0", "http", "in.example:8080", "", "", "2001:db8::1, 10.0.0.1"},
		{"mapped", nginx, []string{"X-Forwarded-For: ::ffff:192.0.2.1"}, "192.0.2.1:0", "http", "in.example:8080", "", "", "192.0.2.1, 10.0.0.1"},
		{"not an address", nginx, []string{"X-Forwarded-For: 192.0.2.1, unknown"}, nginx, "http", "in.example:8080", "", "", "10.0.0.1"},
		{"nothing", nginx, []string{"X-Forwarded-For: "}, nginx, "http", "in.example:8080", "", "", "10.0.0.1"},
		{"scheme alone", nginx, []string{"X-Forwarded-Proto: HTTPS"}, nginx, "https", "in.example:8080", "", "", "10.0.0.1"},
		{"WebSocket", nginx, []string{"X-Forwarded-Proto: wss"}, nginx, "https", "in.example:8080", "", "", "10.0.0.1"},
		{"bad values", nginx, []string{"X-Forwarded-Proto: ftp", "X-Forwarded-Host: a/b", "X-Forwarded-Port: 0", "X-Request-Id: a b"},
			nginx, "http", "in.example:8080", "", "", "10.0.0.1"},
		{"RFC 7239", nginx, []string{`Forwarded: for=1.1.1.1;proto=http, For="[2001:db8::1]:4711" ; PROTO=https; host="www.example.com"`},
			"[2001:db8::1]:4711", "https", "www.example.com", "", "", "2001:db8::1, 10.0.0.1"},
		{"RFC 7239 beside the others", nginx, []string{"Forwarded: for=1.1.1.1;proto=https", "X-Forwarded-For: 192.0.2.1"},
			"192.0.2.1:0", "http", "in.example:8080", "", "", "192.0.2.1, 10.0.0.1"},
		{"RFC 7239, hidden", nginx, []string{"Forwarded: for=1.1.1.1, for=_secret;proto=https"}, nginx, "https", "in.example:8080", "", "", "10.0.0.1"},
		{"RFC 7239, malformed", nginx, []string{`Forwarded: for=1.1.1.1;proto="https`}, nginx, "http", "in.example:8080", "", "", "10.0.0.1"},
		{"a trace", nginx, []string{"Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
			nginx, "http", "in.example:8080", "", "", "10.0.0.1"},
		{"a long id", nginx, []string{"X-Request-Id: " + strings.Repeat("a", maxIDBytes+1)}, nginx, "http", "in.example:8080", "", "", "10.0.0.1"},
		{"an id that forges a log line", nginx, []string{"X-Request-Id: a\nlevel=ERROR"}, nginx, "http", "in.example:8080", "", "", "10.0.0.1"},
		{"two ids", nginx, []string{"X-Request-Id: a", "X-Request-Id: b"}, nginx, "http", "in.example:8080", "", "", "10.0.0.1"},
		{"no connection", "vespo:/a", []string{"X-Forwarded-For: 192.0.2.1"}, "vespo:/a", "http", "in.example:8080", "", "", "vespo"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(tt.peer, tt.fields...)
			all := trust(t, "10.0.0.0/8")
			c := all.Client(r)
			require.Equal(t, []string{tt.peer, tt.remote, tt.scheme, tt.host, tt.port, tt.id, tt.forwardedFor},
				[]string{c.Peer, c.Remote, c.Scheme, c.Host, c.Port, c.ID, c.ForwardedFor()})
			service := c.Service(r, false)
			require.Equal(t, tt.remote, service.RemoteAddr)
			require.Equal(t, tt.host, service.Host)
			require.Empty(t, service.Header["Forwarded"])
			if c.Trusted {
				again := all.Client(service.WithContext(t.Context()))
				again.ID = c.ID
				if again.Trusted { // the client itself has a trusted address
					require.Equal(t, c.Remote, again.Remote)
				}
			} else {
				require.Empty(t, service.Header["X-Forwarded-For"])
				require.Empty(t, service.Header["X-Forwarded-Proto"])
			}
		})
	}
}

func TestClientOverTLS(t *testing.T) {
	r := request("192.0.2.9:1000")
	r.TLS = &tls.ConnectionState{}
	c := (*Trust)(nil).Client(r)
	require.Equal(t, "https", c.Scheme)
	require.Equal(t, "443", c.ServerPort("example.com"))
	require.Equal(t, "8443", c.ServerPort("example.com:8443"))
}

func TestHopsAreBounded(t *testing.T) {
	c := trust(t, "10.0.0.0/8").Client(request("10.0.0.1:1", "X-Forwarded-For: 192.0.2.1"+strings.Repeat(", 10.0.0.2", maxHops)))
	require.Equal(t, "10.0.0.2:0", c.Remote)
	require.Equal(t, maxHops, strings.Count(c.ForwardedFor(), ","))
}

// relay is a connection with PROXY protocol data.
type relay Relay

func (r relay) Relay() Relay { return Relay(r) }

func TestRelayedConnections(t *testing.T) {
	addr := netip.MustParseAddrPort
	for _, c := range []struct {
		name                 string
		peer                 string
		relay                Relay
		remote, scheme, port string
	}{
		{"no header", "10.0.0.1:1", Relay{}, "192.0.2.1:0", "https", ""},
		{"a client", "10.0.0.1:1", Relay{Relayed: true, Source: addr("192.0.2.5:7"), Destination: addr("198.51.100.1:443")}, "192.0.2.5:7", "http", "443"},
		{"a proxy behind", "10.0.0.1:1", Relay{Relayed: true, Source: addr("10.0.0.2:7"), Destination: addr("198.51.100.1:443")}, "192.0.2.1:0", "https", "443"},
		{"a client that is not known", "10.0.0.1:1", Relay{Relayed: true}, "10.0.0.1:1", "http", ""},
		{"the proxy itself", "10.0.0.1:1", Relay{Relayed: true, Local: true}, "192.0.2.1:0", "https", ""},
		{"a peer that is not trusted", "192.0.2.9:1", Relay{Relayed: true, Source: addr("10.0.0.2:7")}, "192.0.2.9:1", "http", ""},
	} {
		r := request(c.peer, "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https")
		r = r.WithContext(WithConn(r.Context(), relay(c.relay)))
		client := trust(t, "10.0.0.0/8").Client(r)
		require.Equal(t, []string{c.remote, c.scheme, c.port}, []string{client.Remote, client.Scheme, client.Port}, c.name)
		require.Equal(t, c.relay.Relayed, Relayed(r.Context()))
	}
	require.False(t, Relayed(context.Background()))
}

func TestServiceDropsWhatClientsClaim(t *testing.T) {
	fields := []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-User: alice", "X-Forwarded-Prefix: /outer/", "Forwarded: for=1.1.1.1", "X-Real-Ip: 1.1.1.1",
		"Vespo-Caller: /a", "Content_Length: 3", "X_Forwarded_For: 1.1.1.1", "Transfer_Encoding: chunked", "Api_key: k", "Accept: */*"}
	plain := http.Header{"Api_key": {"k"}, "Accept": {"*/*"}}
	all := trust(t, "10.0.0.0/8")

	r := request("192.0.2.9:1", fields...)
	before := r.Header.Clone()
	c := all.Client(r)
	require.Equal(t, plain, c.Service(r, false).Header)
	require.Equal(t, before, r.Header, "the server's request stays as it is")
	withCaller := plain.Clone()
	withCaller.Set("Vespo-Caller", "/a")
	require.Equal(t, withCaller, c.Service(r, true).Header)

	trusted := plain.Clone()
	for name, value := range map[string]string{"X-Forwarded-For": "192.0.2.1", "X-Forwarded-User": "alice", "X-Forwarded-Prefix": "/outer", "X-Real-Ip": "192.0.2.1"} {
		trusted.Set(name, value)
	}
	r = request("10.0.0.1:1", fields...)
	c = all.Client(r)
	require.Equal(t, trusted, c.Service(r, false).Header)

	r = request("192.0.2.9:1", "Accept: */*")
	c = all.Client(r)
	require.Same(t, r, c.Service(r, false))
}

// FuzzClient checks invariants for all headers: claims of untrusted peers are ignored, and
// accepted claims are well-formed.
func FuzzClient(f *testing.F) {
	f.Add("1.1.1.1, 192.0.2.1", "https", "example.com", `for="[::1]";proto=https`, "id", "10.0.0.1:1")
	f.Add("", "", "", "for=a;;", "", "192.0.2.1:1")
	f.Add("10.0.0.1:1, [::1]:2", "ws,https", "[::1]:1", `For = "\"`, "", "10.0.0.1:1")
	all := trust(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, addresses, schemes, hosts, forwarded, id, peer string) {
		r := request(peer)
		for name, value := range map[string]string{"X-Forwarded-For": addresses, "X-Forwarded-Proto": schemes, "X-Forwarded-Host": hosts,
			"Forwarded": forwarded, "X-Request-Id": id} {
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
		c := all.Client(r)
		require.Contains(t, []string{"http", "https"}, c.Scheme)
		if !c.Trusted {
			require.Equal(t, peer, c.Remote)
			require.Equal(t, "in.example:8080", c.Host)
			require.Empty(t, c.ID)
			service := c.Service(r, false).Header
			delete(service, "X-Request-Id") // an ordinary header of the client
			require.Empty(t, service)
			return
		}
		require.True(t, validHost(c.Host))
		require.True(t, c.ID == "" || validID(c.ID) || lowerHex(c.ID))
		_, err := netip.ParseAddrPort(c.Remote)
		require.NoError(t, err)
		for element := range strings.SplitSeq(c.ForwardedFor(), ", ") {
			_, err := netip.ParseAddr(element)
			require.NoError(t, err)
		}
	})
}
