package forwarded

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/vespo-dev/vespo/internal/httpfield"
)

// maxHops bounds the proxies between a client and this server.
const maxHops = 32

// Client is what is believed about the client of a request.
type Client struct {
	Peer   string // address and port of the TCP connection's peer
	Remote string // address and port of the client; the port is 0 if it is not known
	Scheme string // "http" or "https", as the client has used it
	Host   string // host and port that the client has asked for
	Port   string // port that the client has connected to, as a proxy has told; else empty
	Prefix string // path prefix that proxies have cut off, such as "/outer"; else empty
	ID     string // request id that a proxy has given; else empty
	// Trusted reports that a trusted proxy has sent the request, and so vouches for its X-Forwarded fields.
	Trusted bool

	chain string // X-Forwarded-For as it came, without what is not believed
	via   string // address of the nearest proxy that is believed
	proto bool   // a proxy has told the scheme
	host  bool   // a proxy has told the host
}

// Client decides about a request as the HTTP server has read it.
func (t *Trust) Client(r *http.Request) Client {
	c := Client{Peer: r.RemoteAddr, Remote: r.RemoteAddr, Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		c.Scheme = "https"
	}
	if t.empty() {
		return c
	}
	source, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !t.Contains(source.Addr()) { // as for requests that no connection has brought
		return c
	}
	if relay := relayOf(r.Context()); relay.Relayed && !relay.Local {
		if !relay.Source.IsValid() {
			return c // from a client of which the proxy could tell nothing, and by whom the fields may be
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

// Or returns c, or, where no router has decided, what is believed of r without any trust.
func (c Client) Or(r *http.Request) Client {
	if c.Scheme == "" {
		return (*Trust)(nil).Client(r)
	}
	return c
}

// believe takes over what the proxies claim, as far as they are trusted: from the nearest on, each vouches for the address before it.
func (c *Client) believe(t *Trust, nearest netip.AddrPort, claims claims) {
	client, depth := nearest, 0
	var chain []string // the client first
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
	// The fields that say what the client has used are lists too, where each proxy adds to them. The farthest one that is believed knows it.
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

// pick returns the element of a list that the proxy at a distance has added.
func pick(list []string, depth int) string {
	if len(list) == 0 {
		return ""
	}
	return list[max(0, len(list)-max(1, depth))]
}

// Addr returns the address of the client, the zero Addr if no connection has brought the request.
func (c *Client) Addr() netip.Addr {
	source, err := netip.ParseAddrPort(c.Remote)
	if err != nil {
		return netip.Addr{}
	}
	return source.Addr().Unmap()
}

// IP returns the address of the client as text, without the port.
func (c *Client) IP() string { return hostOf(c.Remote) }

// hostOf returns the host of host and port.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// ForwardedFor returns the X-Forwarded-For for an upstream: the client, and the proxies that the request came through.
func (c *Client) ForwardedFor() string {
	if c.chain == "" {
		return c.IP()
	}
	return c.chain + ", " + c.via
}

// Service returns the request as services get it: from the client that is believed in, and without the fields by which others claim to be
// another one. It returns r itself if that changes nothing. The field httpfield.CallerHeader stays if caller is true.
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

// header returns a copy of h with what is believed; nil if h has nothing else.
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

// dropped reports whether a field of a request is a claim, or another spelling of a name that must have one.
func dropped(name string, caller bool) bool {
	return httpfield.Claim(name) && !(caller && name == httpfield.CallerHeader) || httpfield.Disguised(name)
}

// vouchesFor reports whether a trusted proxy is believed about a field that is passed on as it came, such as X-Forwarded-User.
func (c *Client) vouchesFor(name string) bool {
	switch name {
	case "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix":
		return false // set by what was decided
	}
	return c.Trusted && strings.HasPrefix(name, "X-Forwarded-")
}

// set gives the request the claims that are believed.
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

// ServerPort returns the port that the client has connected to: as a proxy has told, as the host says, or that of the scheme.
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
