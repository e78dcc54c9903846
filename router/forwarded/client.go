package forwarded

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/vespo-dev/vespo/internal/httpfield"
)

// maxHops is the maximum number of proxies between a client and this server.
const maxHops = 32

// Client holds the accepted facts about the client of a request.
type Client struct {
	Peer   string // address and port of the TCP connection's peer
	Remote string // address and port of the client; the port is 0 if unknown
	Scheme string // "http" or "https", as used by the client
	Host   string // host and port requested by the client
	Port   string // port the client connected to, as reported by a proxy; else empty
	Prefix string // path prefix removed by proxies, such as "/outer"; else empty
	ID     string // request id set by a proxy, or by WithID; else empty
	// Trusted reports whether the request came from a trusted proxy, whose X-Forwarded fields are accepted.
	Trusted bool

	chain string // X-Forwarded-For as received, without untrusted elements
	via   string // address of the nearest trusted proxy
	proto bool   // a proxy reported the scheme
	host  bool   // a proxy reported the host
}

// Client returns the client of a request as the HTTP server has read it.
func (t *Trust) Client(r *http.Request) Client {
	c := Client{Peer: r.RemoteAddr, Remote: r.RemoteAddr, Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		c.Scheme = "https"
	}
	if t.empty() {
		return c
	}
	source, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !t.Contains(source.Addr()) { // such as internal requests, which have no connection
		return c
	}
	if relay := relayOf(r.Context()); relay.Relayed && !relay.Local {
		if !relay.Source.IsValid() {
			return c // the proxy does not know its client, which may have sent the fields
		}
		source, c.Remote = relay.Source, relay.Source.String()
		if port := relay.Destination.Port(); port != 0 {
			c.Port = portText(port)
		}
		if !t.Contains(source.Addr()) {
			return c
		}
	}
	c.Trusted = true
	c.believe(t, source, claimsOf(r.Header))
	c.ID = requestID(r.Header)
	return c
}

// Or returns c, or if c is unset, the client of r without any trusted proxy.
func (c Client) Or(r *http.Request) Client {
	if c.Scheme == "" {
		return (*Trust)(nil).Client(r)
	}
	return c
}

// believe accepts the claims of trusted proxies: starting with the nearest, each
// vouches for the address before it.
func (c *Client) believe(t *Trust, nearest netip.AddrPort, claims claims) {
	client, depth := nearest, 0
	var chain []string // client first
	for i := len(claims.addresses) - 1; i >= 0 && depth < maxHops && t.Contains(client.Addr()); i-- {
		before, ok := parseNode(claims.addresses[i])
		if !ok {
			break
		}
		client, depth = before, depth+1
		chain = append([]string{before.Addr().String()}, chain...)
	}
	if depth > 0 {
		c.Remote, c.chain, c.via = client.String(), strings.Join(chain, ", "), nearest.Addr().Unmap().String()
	}
	// Proxies may append to the other fields, too. The element of the farthest trusted
	// proxy describes the client.
	if scheme, ok := parseScheme(pick(claims.schemes, depth)); ok {
		c.Scheme, c.proto = scheme, true
	}
	if host := pick(claims.hosts, depth); validHost(host) {
		c.Host, c.host = host, true
	}
	if port := pick(claims.ports, depth); validPort(port) {
		c.Port = port
	}
	if validPrefix(claims.prefix) {
		c.Prefix = claims.prefix
	}
}

// pick returns the element of a list that was added by the proxy at the given depth.
func pick(list []string, depth int) string {
	if len(list) == 0 {
		return ""
	}
	return list[max(0, len(list)-max(1, depth))]
}

// Addr returns the address of the client, the zero Addr for requests without a connection.
func (c *Client) Addr() netip.Addr {
	source, err := netip.ParseAddrPort(c.Remote)
	if err != nil {
		return netip.Addr{}
	}
	return source.Addr().Unmap()
}

// IP returns the address of the client as text, without the port.
func (c *Client) IP() string { return hostOf(c.Remote) }

// hostOf returns hostport without the port.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// ForwardedFor returns X-Forwarded-For for an upstream: the client and the proxies that
// the request passed through.
func (c *Client) ForwardedFor() string {
	if c.chain == "" {
		return c.IP()
	}
	return c.chain + ", " + c.via
}

// Service returns the request for a service: with the accepted client, and without untrusted claims in the
// header. It returns r itself if nothing changes. The field httpfield.CallerHeader is kept if caller is true.
func (c *Client) Service(r *http.Request, caller bool) *http.Request {
	header := c.header(r.Header, caller)
	if header == nil && c.Remote == r.RemoteAddr && c.Host == r.Host {
		return r
	}
	own := *r
	own.RemoteAddr, own.Host = c.Remote, c.Host
	if header != nil {
		own.Header = header
	}
	return &own
}

// header returns a copy of h with only accepted claims; nil if h has no claims.
func (c *Client) header(h http.Header, caller bool) http.Header {
	clean := true
	for name := range h {
		if dropped(name, caller) {
			clean = false
			break
		}
	}
	if clean {
		return nil
	}
	own := make(http.Header, len(h))
	for name, values := range h {
		if !dropped(name, caller) || c.vouchesFor(name) {
			own[name] = values
		}
	}
	c.set(own, h)
	return own
}

// dropped reports whether a field is a claim, or disguises the name of one.
func dropped(name string, caller bool) bool {
	return httpfield.Claim(name) && !(caller && name == httpfield.CallerHeader) || httpfield.Disguised(name)
}

// vouchesFor reports whether a field from a trusted proxy is passed on unchanged, such as X-Forwarded-User.
func (c *Client) vouchesFor(name string) bool {
	switch name {
	case "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix":
		return false // written by set
	}
	return c.Trusted && strings.HasPrefix(name, "X-Forwarded-")
}

// set writes the accepted claims to the header own. came is the header as received.
func (c *Client) set(own, came http.Header) {
	if !c.Trusted {
		return
	}
	for _, field := range [...]struct {
		name, value string
		told        bool
	}{
		{"X-Forwarded-For", c.chain, c.chain != ""},
		{"X-Forwarded-Proto", c.Scheme, c.proto},
		{"X-Forwarded-Host", c.Host, c.host},
		{"X-Forwarded-Port", c.Port, c.Port != ""},
		{"X-Forwarded-Prefix", c.Prefix, c.Prefix != ""},
		{"X-Real-Ip", c.IP(), len(came["X-Real-Ip"]) > 0},
	} {
		if field.told {
			own[field.name] = []string{field.value}
		}
	}
}

// ServerPort returns the port that the client connected to: as reported by a proxy,
// else from host, else the scheme's default.
func (c *Client) ServerPort(host string) string {
	if c.Port != "" {
		return c.Port
	}
	if _, port, err := net.SplitHostPort(host); err == nil && validPort(port) {
		return port
	}
	if c.Scheme == "https" {
		return "443"
	}
	return "80"
}
