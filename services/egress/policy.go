package egress

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// Policy defines the addresses that may be connected to. The zero Policy allows public addresses only.
type Policy struct {
	// Granted are the blocks allowed in addition to public addresses. IPv4 addresses match in their plain
	// form, however they are dialled. A metadata service is granted only by its own address (a /32 or /128):
	// a grant of 10.0.0.0/8 or 100.64.0.0/10 is not meant for the cloud's credentials. Immutable once in use.
	Granted []netip.Prefix
}

// LocalNetworks returns the blocks of this machine and of private networks: loopback,
// RFC 1918, carrier-grade NAT and IPv6 unique local addresses. Granting them all opens
// the local networks, but neither link-local addresses nor metadata services.
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

// RefusedError is returned for an address that a policy refuses.
type RefusedError struct {
	Addr  netip.Addr // as dialled
	Class Class
}

// Error returns a message with the address and its class. Callers that answer untrusted clients
// may want to keep it for the log, because it shows what a name resolves to in this network.
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

// Control is the ControlContext of a net.Dialer. It refuses an address after the name is
// resolved and before the first packet is sent. The dialer's error then wraps the *RefusedError.
func (p Policy) Control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		// A UNIX socket, or a form that a later Go version passes: unknown forms are refused.
		return &RefusedError{Class: Reserved}
	}
	return p.Check(ap.Addr())
}
