// Package access guards the surfaces of the server that are not public, such as management. With
// a token, it admits clients that send the token. Without one, it admits programs on this machine
// but no pages in a browser, because pages of services have the origin of the server itself.
package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/forwarded"
)

type listenerKey struct{}

// WithListener stores the listener's address in a server's base context. A request
// without it is treated as coming from a listener that other machines can reach.
func WithListener(ctx context.Context, addr net.Addr) context.Context {
	return context.WithValue(ctx, listenerKey{}, addr)
}

type ownOriginKey struct{}

// WithOwnOrigin records in a server's base context that its listener serves no pages of guests. Pages that it has
// served itself may then use a surface without a token.
func WithOwnOrigin(ctx context.Context) context.Context {
	return context.WithValue(ctx, ownOriginKey{}, true)
}

// OnOwnOrigin reports whether a request came over a listener of WithOwnOrigin.
func OnOwnOrigin(r *http.Request) bool { return r.Context().Value(ownOriginKey{}) != nil }

// Enabled reports whether a surface is served on a listener at addr. It requires a
// token or a loopback address.
func Enabled(addr net.Addr, token string) bool {
	return token != "" || loopback(addrOf(addr))
}

// Surface describes the guarded surface in the words of its refusals.
type Surface struct {
	Name       string // begins a sentence: "management"
	ListenFlag string // chooses the listener: "--listen"
	Example    string // a value of ListenFlag that other machines cannot reach: "127.0.0.1:8080"
	TokenFlag  string // sets the token: "--admin-token"
}

// Guard decides which requests may use one surface. It is immutable.
type Guard struct {
	surface  Surface
	hasToken bool
	token    [sha256.Size]byte // hashed, so that comparisons do not leak the length
	origin   *http.CrossOriginProtection
}

// New returns a guard. An empty token means no token.
func New(surface Surface, token string) *Guard {
	return &Guard{
		surface:  surface,
		hasToken: token != "",
		token:    sha256.Sum256([]byte(token)),
		origin:   http.NewCrossOriginProtection(),
	}
}

// Check returns nil if the request may use the surface, else the problem to answer
// with. Forwarding headers are never trusted. They can only cause a refusal.
//
// With a token, browsers may read from pages of other origins if they send the token.
// Without one, every request caused by a page is refused, including reads: the scripts
// of a service's pages have the server's origin. Pages of a listener of WithOwnOrigin are
// the server's own, and are admitted as programs of this machine are.
func (g *Guard) Check(r *http.Request) error {
	if !g.hasToken {
		return g.CheckLocal(r)
	}
	if err := g.CheckOrigin(r); err != nil {
		return err
	}
	return g.checkToken(r)
}

// CheckOrigin returns nil unless a browser sends a change for a page of another origin.
func (g *Guard) CheckOrigin(r *http.Request) error {
	if err := g.origin.Check(r); err != nil {
		return problem.Newf(problem.Forbidden,
			"a page of another origin sent this request: %s takes none from browsers elsewhere", g.surface.Name).WithCause(err)
	}
	return nil
}

// CheckLocal returns nil if a program on this machine sends the request, without a token.
func (g *Guard) CheckLocal(r *http.Request) error {
	switch ownOrigin := OnOwnOrigin(r); {
	case ownOrigin && fromPage(r.Header) && !fromOwnPage(r):
		return g.refuse("a page of another origin sent this request, as its Origin or Sec-Fetch-Site says: %s takes none from pages elsewhere", g.surface.Name)
	case !ownOrigin && fromPage(r.Header):
		return g.refuse("a page in a browser sent this request, as its Origin or Sec-Fetch-Site says, and without a token %s takes none from pages, "+
			"not even from those of this server's services: use a client that is no browser", g.surface.Name)
	}
	listener, _ := r.Context().Value(listenerKey{}).(net.Addr)
	switch {
	case !loopback(addrOf(listener)):
		return problem.Newf(problem.Forbidden, "%s is off on this listener, as other machines reach it and no token is set: "+
			"start the server with %s, or with %s on a loopback address such as %s",
			g.surface.Name, g.surface.TokenFlag, g.surface.ListenFlag, g.surface.Example)
	case !loopback(parseAddrPort(r.RemoteAddr)):
		return g.refuse("without a token, %s answers to this machine only", g.surface.Name)
	case proxied(r.Header) || forwarded.Relayed(r.Context()):
		return g.refuse("the request came through a proxy or from a service, and without a token %s answers to this machine only", g.surface.Name)
	}
	return g.CheckHost(r)
}

// CheckHost returns nil if the Host of the request names this machine. Without a token, pages that every user of the
// machine may see need this, so that no page elsewhere takes their place.
func (g *Guard) CheckHost(r *http.Request) error {
	if !localHost(r.Host) {
		return g.refuse("the Host %.100q is not a name of this machine: use localhost, 127.0.0.1, [::1] or the listen address", r.Host)
	}
	return nil
}

// refuse returns a problem that ends with the flag to set, if the surface has one.
func (g *Guard) refuse(format string, args ...any) error {
	detail := fmt.Sprintf(format, args...)
	if g.surface.TokenFlag != "" {
		detail += ", or start the server with " + g.surface.TokenFlag
	}
	return problem.New(problem.Forbidden, detail)
}

// fromPage reports whether a browser marked the request as caused by a page. A URL
// typed by a user has no Origin, and Sec-Fetch-Site: none.
func fromPage(h http.Header) bool {
	if len(h["Origin"]) > 0 {
		return true
	}
	return slices.ContainsFunc(h["Sec-Fetch-Site"], func(site string) bool { return site != "none" })
}

// fromOwnPage reports whether a page with the origin of the request's target caused it. Both headers count where both
// are sent: a page in a sandbox has the origin "null" and can still be on the same site.
func fromOwnPage(r *http.Request) bool {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "none" {
			return false
		}
	}
	for _, origin := range r.Header["Origin"] {
		if origin != "http://"+r.Host && origin != "https://"+r.Host {
			return false
		}
	}
	return true
}

// CheckChange is like Check, for a surface on which every request is a change, even with a safe method.
func (g *Guard) CheckChange(r *http.Request) error {
	change := *r
	change.Method = http.MethodPost
	return g.Check(&change)
}

// checkToken requires exactly one Authorization header (RFC 6750) with the token.
func (g *Guard) checkToken(r *http.Request) error {
	if len(r.Header.Values("Authorization")) == 0 {
		return problem.Newf(problem.Unauthorized, "%s needs the header Authorization: Bearer TOKEN, with the server's %s",
			g.surface.Name, g.surface.TokenFlag)
	}
	token, ok := Bearer(r.Header)
	hash := sha256.Sum256([]byte(token))
	matches := subtle.ConstantTimeCompare(hash[:], g.token[:]) == 1
	if !ok || !matches {
		return problem.Newf(problem.Unauthorized, "the Authorization header does not carry the server's %s", g.surface.TokenFlag)
	}
	return nil
}

// Bearer returns the token of the Authorization header (RFC 6750). ok is false unless there is exactly one such header.
func Bearer(h http.Header) (token string, ok bool) {
	given := h.Values("Authorization")
	if len(given) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimLeft(token, " "), true
}

// CallerHeader names the calling service in outbound requests of this server's services.
const CallerHeader = httpfield.CallerHeader

// proxied reports whether a proxy or a service marked the request. The client is then
// not the peer on this machine.
func proxied(h http.Header) bool {
	for name := range h {
		if name == "Via" || httpfield.Claim(httpfield.Plain(name)) {
			return true
		}
	}
	return false
}

// localHost reports whether a Host header names this machine. Web pages reach local servers by a
// name that points to 127.0.0.1 (DNS rebinding), so only "localhost" and loopback addresses count.
// The listen address is among them, because Check has already required a loopback listener.
func localHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && loopback(addr)
}

func loopback(addr netip.Addr) bool { return addr.Unmap().IsLoopback() }

// addrOf returns the address of a listener, or the zero Addr if it has none.
func addrOf(addr net.Addr) netip.Addr {
	if addr == nil {
		return netip.Addr{}
	}
	return parseAddrPort(addr.String())
}

// parseAddrPort returns the address of s, or the zero Addr if s is not an address with a port.
func parseAddrPort(s string) netip.Addr {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr()
}
