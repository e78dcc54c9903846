package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/vespo-dev/vespo/router/problem"
)

type listenerKey struct{}

// WithListener notes in a server's base context which listener its requests come from:
//
//	server.BaseContext = func(l net.Listener) context.Context { return admin.WithListener(ctx, l.Addr()) }
//
// A request whose context was not marked counts as one from a listener that other machines reach.
func WithListener(ctx context.Context, addr net.Addr) context.Context {
	return context.WithValue(ctx, listenerKey{}, addr)
}

// Enabled reports whether management answers on a listener at addr at all: that needs a token or a loopback address.
func Enabled(addr net.Addr, token string) bool {
	return token != "" || loopback(addrOf(addr))
}

// access decides who may manage. It is immutable.
type access struct {
	hasToken bool
	token    [sha256.Size]byte // hash, so that a comparison tells not even the length
	origin   *http.CrossOriginProtection
}

func newAccess(token string) *access {
	return &access{
		hasToken: token != "",
		token:    sha256.Sum256([]byte(token)),
		origin:   http.NewCrossOriginProtection(),
	}
}

// check returns nil if the request may manage, else the problem to answer with. What a proxy claims in a header is never
// believed; it is only ever a reason to refuse.
func (a *access) check(r *http.Request) error {
	if err := a.origin.Check(r); err != nil {
		return problem.New(problem.Forbidden,
			"a page of another origin sent this request: management takes none from browsers elsewhere").WithCause(err)
	}
	if a.hasToken {
		return a.checkToken(r)
	}
	listener, _ := r.Context().Value(listenerKey{}).(net.Addr)
	switch {
	case !loopback(addrOf(listener)):
		return problem.New(problem.Forbidden, "management is off on this listener, as other machines reach it and no token is set: "+
			"start the server with --admin-token, or with --listen on a loopback address such as 127.0.0.1:8080")
	case !loopback(parseAddrPort(r.RemoteAddr)):
		return problem.New(problem.Forbidden, "without a token, management answers to this machine only: start the server with --admin-token")
	case proxied(r.Header):
		return problem.New(problem.Forbidden, "the request came through a proxy, and without a token management answers to this machine only: "+
			"start the server with --admin-token")
	case !localHost(r.Host):
		return problem.Newf(problem.Forbidden, "the Host %.100q is not a name of this machine: "+
			"use localhost, 127.0.0.1, [::1] or the listen address, or start the server with --admin-token", r.Host)
	}
	return nil
}

// checkToken wants RFC 6750's Authorization header, once, with the token.
func (a *access) checkToken(r *http.Request) error {
	given := r.Header.Values("Authorization")
	if len(given) == 0 {
		return problem.New(problem.Unauthorized, "management needs the header Authorization: Bearer TOKEN, with the server's --admin-token")
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	hash := sha256.Sum256([]byte(strings.TrimLeft(token, " ")))
	matches := subtle.ConstantTimeCompare(hash[:], a.token[:]) == 1
	if len(given) > 1 || !strings.EqualFold(scheme, "Bearer") || !matches {
		return problem.New(problem.Unauthorized, "the Authorization header does not carry the server's --admin-token")
	}
	return nil
}

// proxied reports whether a proxy left its mark. The peer on this machine is then not who asks.
func proxied(h http.Header) bool {
	for _, name := range [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if len(h.Values(name)) > 0 {
			return true
		}
	}
	return false
}

// localHost reports whether a Host header names this machine. A name that anybody can point at 127.0.0.1 is how a web page
// gets at local servers (DNS rebinding), so only what needs no resolver counts. The listen address is among these, as it is
// a loopback one where this is asked.
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

// addrOf gives the address of a listener, the zero Addr if it has none.
func addrOf(addr net.Addr) netip.Addr {
	if addr == nil {
		return netip.Addr{}
	}
	return parseAddrPort(addr.String())
}

// parseAddrPort gives the address of s, the zero Addr if it has none.
func parseAddrPort(s string) netip.Addr {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr()
}
