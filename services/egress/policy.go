package egress

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// Policy says which addresses may be connected to. The zero Policy allows the public ones alone.
type Policy struct {
	// Granted are the blocks allowed beside the public addresses. IPv4 addresses are matched in their plain form, in
	// whatever form they are dialled. A metadata service is granted only by its own address (a /32 or /128): whoever
	// grants 10.0.0.0/8 or all of 100.64.0.0/10 does not mean the cloud's credentials. Immutable once in use.
	Granted []netip.Prefix
}

// LocalNetworks returns the blocks of the own machine and of private networks: loopback, RFC 1918, carrier-grade NAT
// and IPv6 unique local addresses. Granted together they open a server to its surroundings, but neither to link-local
// addresses nor to a metadata service.
func LocalNetworks() []netip.Prefix {
	var local []netip.Prefix
	for _, b := range blocks() {
		switch b.class {
		case Loopback, Private, Shared:
			local = append(local, b.prefix)
		}
	}
	return local
}

// RefusedError says that a policy refuses an address.
type RefusedError struct {
	Addr  netip.Addr // as dialled
	Class Class
}

// Error names address and class. A caller that answers strangers may want to keep the address for the log, as it tells
// what a name resolves to in this network.
func (e *RefusedError) Error() string {
	if !e.Addr.IsValid() {
		return "egress: refused an address that is not an IP address"
	}
	return fmt.Sprintf("egress: refused %s, a %s address", e.Addr, e.Class)
}

// Check returns nil if p allows connections to addr, else a *RefusedError.
func (p Policy) Check(addr netip.Addr) error {
	class := Classify(addr)
	if class == Public {
		return nil
	}
	dest := destination(addr)
	granted := slices.ContainsFunc(p.Granted, func(g netip.Prefix) bool {
		return g.Contains(dest) && (class != Metadata || g.IsSingleIP())
	})
	if granted {
		return nil
	}
	return &RefusedError{Addr: addr, Class: class}
}

// Control is a net.Dialer's ControlContext: it refuses an address after the name was resolved and before the first
// packet is sent. The dialer's error then wraps the *RefusedError.
func (p Policy) Control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		// A UNIX socket, or a form that a later Go hands over: what cannot be judged is refused.
		return &RefusedError{Class: Reserved}
	}
	return p.Check(ap.Addr())
}
